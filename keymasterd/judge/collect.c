/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One collection at a time; who asks meanwhile gets the same. Every process is asked for
 * its numbers and has half a second; what one says counts only for what is its own
 * (metrics_collect). Judge only.
 */
#include "keymasterd/judge/collect.h"

#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/msg.h"
#include "common/proc.h"
#include "common/stats.h"
#include "keymasterd/judge/count.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/perm.h"

#define PATIENCE_MS 500
#define ASKERS_MAX 8
#define SAID_MAX 8192 /* octets that count of one that many are of */
#define LIST_MAX (2u << 20)
#define PART 48000

static struct decide askers[ASKERS_MAX];
static unsigned naskers, open_questions;
static struct buf list;
static bool sending; /* questions are going out: none of them is the last */

void
collect_parts(const struct decide *d, const void *p, size_t len)
{
	const uint8_t *octets = p;
	size_t at, n;
	MSG_INIT(answer_part, m);

	for (at = 0; at < len; at += n) {
		n = len - at < PART ? len - at : PART;
		m.data = span_mem(octets + at, n);
		(void)chan_note_for(d->chan, d->reqid, MSG_answer_part, &m);
	}
}

static void
deliver(struct decide *d)
{
	collect_parts(d, list.p, list.len);
	d->headers = "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		     "Cache-Control: no-store\r\n";
	decide_answer(d, 200, "", 0);
}

static void
finish(void)
{
	unsigned i;

	if (open_questions > 0 || sending)
		return;
	count_put(&list);
	for (i = 0; i < naskers; i++)
		if (askers[i].chan != NULL)
			deliver(&askers[i]);
	naskers = 0;
	buf_free(&list);
}

static void
on_values(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	const struct msg_stats_values *m = msg;
	enum role role = chan_peer_role(c);

	(void)arg;
	open_questions--;
	if (status == CHAN_OK && list.len < LIST_MAX &&
	    (role == ROLE_MASTER || m->values.len <= SAID_MAX) &&
	    metrics_collect(&list, m->values, role, chan_peer_name(c)) == -1)
		LOG_WARN("stats.malformed", LS("peer", role_name(role)),
		    LU("instance", chan_peer_instance(c)));
	finish();
}

static void
ask(struct chan *door, size_t queued, void *arg)
{
	MSG_INIT(stats, m);

	(void)queued;
	(void)arg;
	if (chan_peer_role(door) != ROLE_ADMIN && chan_is_ready(door) &&
	    chan_ask(door, MSG_stats, &m, PATIENCE_MS, on_values, NULL) != 0)
		open_questions++;
}

static void
begin(void)
{
	struct buf own;

	buf_init(&own);
	if (stats_list(&own) == 0)
		(void)metrics_collect(
		    &list, span_mem(own.p, own.len), ROLE_JUDGE, proc_self.name);
	buf_free(&own);
	sending = true;
	chans_each(ask, NULL);
	sending = false;
	finish();
}

void
collect_handle(struct api_call *c)
{
	struct operator_who op;

	if (!judge_conf.metrics) {
		c->d->budget = LEDGER_CAUSE_HTTP;
		decide_refuse(c->d, 404, "not_found", "Metrics not enabled",
		    "They are with observability.metrics: true.", DK_END);
		return;
	}
	if (judge_conf.metrics_auth && api_require(c, PERM_DASHBOARD_VIEW, &op) == -1)
		return;
	/* the numbers are everybody's, so they are for the operators of the house */
	if (strcmp(c->tenant, judge_conf.tenant) != 0) {
		api_refuse(c->d, 403, "Metrics are not for operators of this tenant");
		return;
	}
	if (naskers == ASKERS_MAX) {
		c->d->headers = "Retry-After: 1\r\n";
		api_refuse(c->d, 503, "Too many ask for metrics at once");
		return;
	}
	c->d->row = (struct ledger_row){0}; /* looking is no act */
	askers[naskers++] = *c->d;
	if (naskers == 1)
		begin();
}

void
collect_gate_gone(const struct chan *c)
{
	unsigned i;

	for (i = 0; i < naskers; i++)
		if (askers[i].chan == c)
			askers[i].chan = NULL;
}
