/* SPDX-License-Identifier: Apache-2.0 */
/* Acts under way; see act.h. Judge only. */
#include "keymasterd/judge/act.h"

#include <stdlib.h>

#include "common/proto.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"

static LIST_HEAD(, act) acts = LIST_HEAD_INITIALIZER(acts);

void *
act_new(struct chan *c, uint64_t reqid, const char *event, size_t size)
{
	struct act *a = calloc(1, size);

	if (a == NULL) {
		admin_done(c, reqid, ADMIN_FAILED, "The judge has no memory left.");
		return NULL;
	}
	a->chan = c;
	a->reqid = reqid;
	a->event = event;
	LIST_INSERT_HEAD(&acts, a, entry);
	return a;
}

void
act_end(struct act *a, uint32_t code, const char *message)
{
	if (a->chan != NULL)
		admin_done(a->chan, a->reqid, code, message);
	LIST_REMOVE(a, entry);
	free(a);
}

void
act_fail(struct act *a, const char *message)
{
	struct ledger_row row = {.kind = LEDGER_ADMIN,
	    .event = span_str(a->event),
	    .code = span_str("failed"),
	    .reason = span_str(message)};

	(void)ledger_append(&row, NULL);
	act_end(a, ADMIN_FAILED, message);
}

void
act_gone(const struct chan *c)
{
	struct act *a;

	LIST_FOREACH (a, &acts, entry)
		if (a->chan == c)
			a->chan = NULL;
}
