/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of deliveries: appended in the turn of the event, handed to the webhook's
 * worker, deleted once the receiver said 2xx. After a failure it waits twice as long each
 * time; after judge_conf.hook_attempts it is dead, kept and listed. A delivery can be
 * made twice (we died before the answer was noted), its id tells. Judge only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/metrics.h"
#include "common/proc.h"
#include "common/proto.h"
#include "keymasterd/judge/count.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/redeemer.h"
#include "keymasterd/judge/sealed.h"
#include "keymasterd/judge/turn.h"

#define BODY_MAX 16384
#define SEND_MS 10000
#define ANSWER_MS 15000
#define FIRST_WAIT_MS 1000
#define LONGEST_WAIT_MS 3600000
#define WANT_AGAIN_MS 5000
#define HOUR_MS 3600000ull
#define DROPPED_MS 60000 /* a row about those that were dropped, of a webhook */

/* One on its way; the hook may be removed meanwhile. */
struct flying {
	char tenant[STORE_TENANT_MAX];
	struct store_delivery d;
};

static void
count_queued(struct hook *h)
{
	uint64_t dead;

	(void)store_delivery_count(
	    judge_store, h->row.tenant, h->row.id, &h->pending, &dead, &h->next_ms);
}

static unsigned
number_of(uint32_t event)
{
	unsigned i;

	for (i = 0; i < HOOK_EVENTS - 1; i++)
		if (event == 1u << i)
			break;
	return i;
}

static void
lost(struct hook *h, uint32_t event)
{
	count_hook(hook_event_name(event), "dropped");
	h->dropped[number_of(event)]++;
}

/* What was dropped is said at once, then once a minute. */
static void
tell_dropped(struct hook *h)
{
	uint64_t now = loop_now_ms();
	struct ledger_row row = {
	    .kind = LEDGER_SYSTEM, .event = span_str("webhook.dropped")};
	char detail[128];
	unsigned i;

	if (h->dropped_ms != 0 && now - h->dropped_ms < DROPPED_MS)
		return;
	for (i = 0; i < HOOK_EVENTS; i++) {
		if (h->dropped[i] == 0)
			continue;
		h->dropped_ms = now;
		snprintf(detail, sizeof(detail), "webhook %s, %u events, %u wait",
		    h->row.id, h->dropped[i], h->waiting[i]);
		row.tenant = span_str(h->row.tenant);
		row.code = span_str(hook_event_name(1u << i));
		row.detail = span_str(detail);
		LOG_WARN("webhook.dropped", LS("webhook", h->row.id),
		    LS("kind", hook_event_name(1u << i)), LU("events", h->dropped[i]));
		(void)ledger_append_budget(&row, LEDGER_CAUSE_PEER, NULL, 0);
		h->dropped[i] = 0;
	}
}

void
hook_tell(const char *tenant, uint32_t event, struct span details)
{
	struct store_delivery d = {.event = event, .created_ms = judge_now_ms()};
	unsigned kind = number_of(event);
	struct hook *h;
	struct buf body;

	buf_init(&body);
	TAILQ_FOREACH (h, &hooks, link) {
		if (!(h->row.events & event) || strcmp(h->row.tenant, tenant) != 0)
			continue;
		if (h->waiting[kind] >= HOOK_WAITING_MAX) {
			lost(h, event);
			continue;
		}
		buf_reset(&body);
		judge_uuid(d.id);
		if (hook_body(&body, d.id, event, details) == -1 || body.len > BODY_MAX) {
			lost(h, event);
			continue;
		}
		memcpy(d.tenant, h->row.tenant, sizeof(d.tenant));
		memcpy(d.hook, h->row.id, sizeof(d.hook));
		d.body = span_mem(body.p, body.len);
		d.next_ms = d.created_ms;
		if (store_delivery_add(judge_store, &d) != 0)
			break;  /* the turn has failed */
		turn_touched(); /* if the turn fails they are counted again */
		h->pending++;
		h->waiting[kind]++;
		if (h->next_ms > d.next_ms || h->pending == 1)
			h->next_ms = d.next_ms;
	}
	buf_free(&body);
}

struct redeemer *
hook_worker(struct hook *h)
{
	struct chan *dispatcher = proc_peer(ROLE_DISPATCH);
	struct redeemer *r = redeemer_worker(h->row.tenant, h->name);
	uint64_t now = loop_now_ms();
	MSG_INIT(worker_want, m);

	if (r != NULL) {
		h->wanted_ms = 0;
		return r;
	}
	if (dispatcher != NULL &&
	    (h->wanted_ms == 0 || now - h->wanted_ms > WANT_AGAIN_MS)) {
		h->wanted_ms = now;
		m.tenant = span_str(h->row.tenant);
		m.credential = span_str(h->name);
		(void)chan_note(dispatcher, MSG_worker_want, &m);
	}
	return NULL;
}

void
hook_outcome(
    enum chan_status status, const struct msg_hook_sent *m, char *out, size_t size)
{
	if (status != CHAN_OK)
		snprintf(out, size, "%s",
		    status == CHAN_TIMEOUT ? "no answer in time"
					   : "the worker ended before the answer");
	else if (m->outcome == OUTCOME_OK)
		snprintf(out, size, "status %u from %.*s", m->status, (int)m->detail.len,
		    m->detail.len > 0 ? m->detail.p : "");
	else
		snprintf(out, size, "%s: %.*s", ledger_outcome_name(m->outcome),
		    (int)m->detail.len, m->detail.len > 0 ? m->detail.p : "");
}

static void
bury(const struct store_delivery *d)
{
	struct ledger_row row = {.kind = LEDGER_SYSTEM,
	    .tenant = span_str(d->tenant),
	    .event = span_str("webhook.dead"),
	    .code = span_str(hook_event_name(d->event)),
	    .reason = span_str(d->last)};
	char detail[128];

	snprintf(detail, sizeof(detail), "webhook %s, delivery %s, %u attempts", d->hook,
	    d->id, d->attempts);
	row.detail = span_str(detail);
	LOG_WARN("webhook.dead", LS("webhook", d->hook), LS("delivery", d->id),
	    LS("why", d->last));
	(void)ledger_append_budget(&row, LEDGER_CAUSE_PEER, NULL, 0);
	(void)store_delivery_trim(judge_store, d->tenant, d->hook, HOOK_DEAD_MAX);
}

/* One has arrived or is dead. */
static void
waits_no_more(struct hook *h, uint32_t event)
{
	turn_touched();
	if (h->waiting[number_of(event)] > 0)
		h->waiting[number_of(event)]--;
}

/* It did not arrive: later again, or never. */
static void
failed(struct hook *h, struct store_delivery *d)
{
	uint64_t wait = FIRST_WAIT_MS;
	unsigned i;

	d->attempts++;
	for (i = 1; i < d->attempts && wait < LONGEST_WAIT_MS; i++)
		wait *= 2;
	d->next_ms = judge_now_ms() + (wait < LONGEST_WAIT_MS ? wait : LONGEST_WAIT_MS);
	d->dead = d->attempts >= judge_conf.hook_attempts;
	(void)store_delivery_update(judge_store, d);
	if (d->dead) {
		waits_no_more(h, d->event);
		bury(d);
	}
	count_hook(hook_event_name(d->event), d->dead ? "dead" : "retried");
}

/* 1, and its place; or 0, and a free one, HOOK_IN_FLIGHT: there is none. */
static int
is_flying(const struct hook *h, const char *id, unsigned *place)
{
	unsigned i;

	*place = HOOK_IN_FLIGHT;
	for (i = 0; i < HOOK_IN_FLIGHT; i++) {
		if (h->flying[i][0] == '\0') {
			*place = i;
		} else if (strcmp(h->flying[i], id) == 0) {
			*place = i;
			return 1;
		}
	}
	return 0;
}

static void
on_sent(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	const struct msg_hook_sent *m = msg;
	struct flying *f = arg;
	struct hook *h = hook_find(f->tenant, span_str(f->d.hook));
	unsigned place;

	(void)c;
	/* else it was removed meanwhile, and perhaps another with its id has come */
	if (h != NULL && is_flying(h, f->d.id, &place)) {
		h->flying[place][0] = '\0';
		hook_outcome(status, m, f->d.last, sizeof(f->d.last));
		if (status == CHAN_OK && m->outcome == OUTCOME_OK && m->status >= 200 &&
		    m->status <= 299) {
			(void)store_delivery_delete(judge_store, &f->d);
			waits_no_more(h, f->d.event);
			count_hook(hook_event_name(f->d.event), "delivered");
		} else {
			failed(h, &f->d);
		}
		count_queued(h);
	}
	free(f);
}

struct sending {
	struct hook *h;
	struct redeemer *worker;
};

static int
send_one(const struct store_delivery *d, void *arg)
{
	struct sending *s = arg;
	struct flying *f;
	unsigned place;
	MSG_INIT(hook_send, m);

	if (is_flying(s->h, d->id, &place))
		return 0;
	if (place == HOOK_IN_FLIGHT || (f = calloc(1, sizeof(*f))) == NULL)
		return 1;
	f->d = *d;
	f->d.body = span_str("");
	memcpy(f->tenant, d->tenant, sizeof(f->tenant));
	m.delivery = span_str(d->id);
	m.event = span_str(hook_event_name(d->event));
	m.target = span_str(s->h->url.target);
	m.body = d->body;
	m.timeout_ms = SEND_MS;
	if (chan_ask(s->worker->chan, MSG_hook_send, &m, ANSWER_MS, on_sent, f) == 0) {
		free(f);
		return 1;
	}
	memcpy(s->h->flying[place], d->id, sizeof(d->id));
	return 0;
}

static void
run(struct hook *h)
{
	/* none waits for longer, unless the clock was wrong when it began to */
	uint64_t now = judge_now_ms(), latest = now + LONGEST_WAIT_MS;
	struct sending s = {.h = h};
	unsigned place;

	if (h->pending == 0 || (h->next_ms > now && h->next_ms <= latest))
		return;
	(void)is_flying(h, "", &place);
	if (place == HOOK_IN_FLIGHT || (s.worker = hook_worker(h)) == NULL)
		return;
	if (store_delivery_due(
		judge_store, h->row.tenant, h->row.id, now, latest, send_one, &s) == -1)
		LOG_ERROR("webhook.queue", LS("error", store_error(judge_store)));
}

static void
tell_checkpoint(void)
{
	static uint64_t told = UINT64_MAX;
	const struct ledger_checkpoint *c = ledger_checkpoint_newest();
	struct jsonw w;
	struct buf b;

	if (c->seq == told)
		return;
	if (told != UINT64_MAX) { /* not the one that was there at the start */
		buf_init(&b);
		jsonw_init(&w, &b);
		ledger_checkpoint_json(&w, c);
		jsonw_key_str(&w, "time", c->time);
		jsonw_key_str(&w, "kid", c->kid);
		jsonw_obj_close(&w);
		if (jsonw_done(&w) == 0)
			hook_tell(
			    judge_conf.tenant, HOOK_CHECKPOINT, span_mem(b.p, b.len));
		buf_free(&b);
	}
	told = c->seq;
}

void
hook_tick(void)
{
	static uint64_t looked_ms;
	uint64_t now = loop_now_ms();
	struct hook *h;

	tell_checkpoint();
	if (looked_ms == 0 || now - looked_ms >= HOUR_MS) {
		looked_ms = now;
		(void)hook_expiring(HOOK_EXPIRY_DAYS, NULL, NULL);
		(void)store_hook_told_purge(
		    judge_store, judge_now_ms() / (24 * HOUR_MS) - 2);
	}
	TAILQ_FOREACH (h, &hooks, link) {
		tell_dropped(h);
		if (!vault_sealed) /* nobody could sign them: they wait */
			run(h);
	}
}

void
hook_numbers(struct buf *b)
{
	uint64_t pending, dead, next, all = 0, all_dead = 0;
	const struct hook *h;

	TAILQ_FOREACH (h, &hooks, link)
		if (store_delivery_count(judge_store, h->row.tenant, h->row.id, &pending,
			&dead, &next) == 0) {
			all += pending;
			all_dead += dead;
		}
	(void)metrics_put(b, METRIC_hook_pending, NULL, all);
	(void)metrics_put(b, METRIC_hook_dead, NULL, all_dead);
}
