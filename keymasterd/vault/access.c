/* SPDX-License-Identifier: Apache-2.0 */
/* Notes about secrets that were asked for; see access.h. Runs in vault. */
#include "keymasterd/vault/access.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "common/log.h"
#include "common/proc.h"
#include "common/utf8.h"

#define KEPT_MAX 1024

struct kept {
	STAILQ_ENTRY(kept) entry;
	struct msg_access_context note; /* its texts lie behind it */
	char text[];
};

static STAILQ_HEAD(, kept) kept_notes = STAILQ_HEAD_INITIALIZER(kept_notes);
static unsigned nkept;

uint64_t
access_clock_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int
keep(const struct msg_access_context *m)
{
	size_t n = m->tenant.len + m->subject.len + m->variable.len + m->execution.len +
	    m->reference.len + m->reason.len + m->lease.len;
	struct kept *k = nkept < KEPT_MAX ? malloc(sizeof(*k) + n) : NULL;
	char *at;

	if (k == NULL)
		return -1;
	k->note = *m;
	at = k->text;
	span_move(&k->note.tenant, &at);
	span_move(&k->note.subject, &at);
	span_move(&k->note.variable, &at);
	span_move(&k->note.execution, &at);
	span_move(&k->note.reference, &at);
	span_move(&k->note.reason, &at);
	span_move(&k->note.lease, &at);
	STAILQ_INSERT_TAIL(&kept_notes, k, entry);
	nkept++;
	return 0;
}

/* The leading characters that have max octets at most. */
static struct span
cut(struct span s, size_t max)
{
	return span_mem(s.p, utf8_cut(s.p, s.len, max));
}

int
access_tell(const struct access *a)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(access_context, m);

	m.use = (uint8_t)a->use;
	m.act = (uint8_t)a->act;
	m.tenant = a->tenant;
	m.subject = a->subject;
	m.variable = a->variable;
	m.execution = a->execution;
	m.reference = cut(a->reference, ACCESS_REFERENCE_MAX);
	m.code = a->code;
	m.reason = cut(a->reason, 256);
	m.version = a->version;
	m.cached = a->cached;
	m.latency_us = a->latency_us;
	m.lease = cut(a->lease, 256);
	m.lease_s = a->lease_s;
	/* one that could not be sent for a moment must not hold back those after it */
	access_flush();
	if (judge != NULL && nkept == 0 && chan_note(judge, MSG_access_context, &m) == 0)
		return 0;
	if (keep(&m) == 0)
		return 0;
	LOG_ERROR("access.lost", LSN("subject", a->subject.p, a->subject.len),
	    LU("kept", nkept));
	return -1;
}

void
access_flush(void)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	struct kept *k;

	while (judge != NULL && (k = STAILQ_FIRST(&kept_notes)) != NULL) {
		if (chan_note(judge, MSG_access_context, &k->note) == -1)
			return;
		STAILQ_REMOVE_HEAD(&kept_notes, entry);
		nkept--;
		free(k);
	}
}
