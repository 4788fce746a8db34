/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait for a worker. Judge only. */
#include "keymasterd/judge/waiting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "keymasterd/judge/authorize.h"
#include "keymasterd/judge/redeemer.h"
#include "keymasterd/judge/sealed.h"

/* One block: the strings follow the struct. */
struct waiting {
	struct decide d;
	struct credential *credential;
	struct decide_proxy proxy;
	uint64_t due_ms;
	TAILQ_ENTRY(waiting) link;
	TAILQ_ENTRY(waiting) by_time;
	char text[];
};

static TAILQ_HEAD(, waiting) all = TAILQ_HEAD_INITIALIZER(all);

static struct span
keep(char **at, struct span s)
{
	struct span copy = {NULL, s.len};

	if (s.p == NULL)
		return s;
	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	copy.p = *at;
	*at += s.len;
	return copy;
}

static void
waiting_end(struct waiting *w)
{
	TAILQ_REMOVE(&w->credential->waiting, w, link);
	TAILQ_REMOVE(&all, w, by_time);
	w->credential->nwaiting--;
	agent_release(w->proxy.agent);
	free(w);
}

static void
refuse(struct decide *d, const char *why)
{
	char hint[400];

	if (vault_sealed) {
		decide_refuse(d, 503, SEALED_CODE, SEALED_ERROR, SEALED_HINT,
		    DK("status", "sealed"));
		return;
	}
	snprintf(hint, sizeof(hint),
	    "The process that holds this credential is not there: %s", why);
	d->headers = "Retry-After: 5\r\n";
	decide_refuse(d, 503, "worker_unavailable", "Service temporarily unavailable",
	    hint, DKS("service", d->row.service));
}

static int
want(const struct credential *c)
{
	struct chan *dispatcher = proc_peer(ROLE_DISPATCH);
	MSG_INIT(worker_want, m);

	m.tenant = span_str(c->row.tenant);
	m.credential = span_str(c->row.name);
	return dispatcher != NULL ? chan_note(dispatcher, MSG_worker_want, &m) : -1;
}

void
waiting_add(struct decide *d, struct credential *c, const struct decide_proxy *p)
{
	const struct ledger_row *row = &d->row;
	struct waiting *w;
	size_t n;
	char *at;

	n = row->peer.len + row->service.len + row->path.len + row->domain.len +
	    p->method.len + p->authority.len + p->target.len + p->headers.len +
	    row->agent.len;
	w = c->nwaiting < WAITING_MAX ? calloc(1, sizeof(*w) + n) : NULL;
	if (w == NULL) {
		refuse(d, "too many requests wait for it already");
		return;
	}
	if (c->nwaiting == 0 && want(c) == -1) {
		free(w);
		refuse(d, "the dispatcher of workers is not running");
		return;
	}
	w->d = *d;
	w->d.row.request = w->d.request_id;
	w->credential = c;
	w->proxy = *p;
	at = w->text;
	w->d.row.peer = keep(&at, row->peer);
	w->d.row.service = keep(&at, row->service);
	w->d.row.path = keep(&at, row->path);
	w->d.row.domain = keep(&at, row->domain);
	w->d.row.agent = keep(&at, row->agent);
	w->d.row.policy.p = w->d.row.policy.p != NULL ? w->d.policy : NULL;
	w->d.row.tenant = span_str(c->row.tenant);
	w->d.row.credential = span_str(c->row.name);
	w->proxy.method = keep(&at, p->method);
	if (!p->upgrade)
		w->d.row.method = w->proxy.method;
	w->proxy.authority = keep(&at, p->authority);
	w->proxy.target = keep(&at, p->target);
	w->proxy.headers = keep(&at, p->headers);
	w->due_ms = loop_now_ms() + WAITING_MS;
	TAILQ_INSERT_TAIL(&c->waiting, w, link);
	TAILQ_INSERT_TAIL(&all, w, by_time);
	c->nwaiting++;
	if (p->agent != NULL) {
		p->agent->refs++;
		p->agent->in_flight++;
	}
}

void
waiting_run(struct credential *c)
{
	struct waiting *w;

	while (c->worker != NULL && (w = TAILQ_FIRST(&c->waiting)) != NULL) {
		/* what was true when it came may not be true any more */
		if (authorize_again(&w->d, c, w->proxy.agent) == 0)
			decide_grant_proxy(&w->d, c->worker, &w->proxy);
		waiting_end(w);
	}
}

const struct ledger_row *
waiting_first(const struct credential *c)
{
	const struct waiting *w = TAILQ_FIRST(&c->waiting);

	return w != NULL ? &w->d.row : NULL;
}

void
waiting_fail(struct credential *c, const char *why)
{
	struct waiting *w;

	while ((w = TAILQ_FIRST(&c->waiting)) != NULL) {
		refuse(&w->d, why);
		waiting_end(w);
	}
}

void
waiting_forget(const struct chan *c)
{
	struct waiting *w, *next;

	for (w = TAILQ_FIRST(&all); w != NULL; w = next) {
		next = TAILQ_NEXT(w, by_time);
		if (w->d.chan == c)
			waiting_end(w);
	}
}

unsigned
waiting_count(void)
{
	const struct waiting *w;
	unsigned n = 0;

	TAILQ_FOREACH (w, &all, by_time)
		n++;
	return n;
}

void
waiting_tick(void)
{
	struct waiting *w;

	while ((w = TAILQ_FIRST(&all)) != NULL && w->due_ms <= loop_now_ms()) {
		refuse(&w->d, "it did not start in time");
		waiting_end(w);
	}
}
