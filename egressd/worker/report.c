/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion notes to the judge. They are rows of the ledger, so they wait while the
 * judge is away (it is started again at once); their number is bounded all the same.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/log.h"
#include "common/proc.h"
#include "egressd/worker/worker.h"

#define KEPT_MAX 4096

struct kept {
	STAILQ_ENTRY(kept) entry;
	struct msg_done note;
	char detail[257];
};

static STAILQ_HEAD(, kept) kept_notes = STAILQ_HEAD_INITIALIZER(kept_notes);
static unsigned nkept;

static void
keep(const struct msg_done *m)
{
	struct kept *k = nkept < KEPT_MAX ? malloc(sizeof(*k)) : NULL;

	if (k == NULL || span_copy(m->detail, k->detail, sizeof(k->detail)) == -1) {
		free(k);
		LOG_ERROR(
		    "report.lost", LX("request", m->request_id, sizeof(m->request_id)));
		return;
	}
	k->note = *m;
	STAILQ_INSERT_TAIL(&kept_notes, k, entry);
	nkept++;
}

void
report_done(struct msg_done *m)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);

	if (judge == NULL || nkept > 0 || chan_note(judge, MSG_done, m) == -1)
		keep(m);
}

void
report_flush(void)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	struct kept *k;

	while (judge != NULL && (k = STAILQ_FIRST(&kept_notes)) != NULL) {
		k->note.detail = span_str(k->detail);
		if (chan_note(judge, MSG_done, &k->note) == -1)
			return;
		STAILQ_REMOVE_HEAD(&kept_notes, entry);
		nkept--;
		free(k);
	}
}
