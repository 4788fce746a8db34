/* SPDX-License-Identifier: Apache-2.0 */
/* Windows of sessions and capabilities. Judge only. */
#include "keymasterd/judge/session_rate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "keymasterd/judge/context_eval.h"
#include "keymasterd/judge/flight.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/ledger_int.h"
#include "keymasterd/judge/ledger_scan.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/turn.h"

#define META_KEY "session_windows_seq"
#define KEY_MAX 128

static uint64_t saved_seq, saving_seq;

void
session_rates_free(struct session *s)
{
	for (size_t i = 0; i < s->nrates; i++)
		if (s->rates[i] != NULL)
			limiter_free(s->rates[i]);
	free(s->rates);
	s->rates = NULL;
	s->nrates = 0;
}

/* NULL without memory. A context with other rules begins anew. */
static struct limiter *
rate_of(const struct session_rate *r, size_t cap)
{
	const struct context *rules = r->context->rules;
	struct session *s = r->session;
	struct limit_rate rate;

	if (s->rates == NULL || s->rates_generation != r->context->generation) {
		session_rates_free(s);
		if ((s->rates = calloc(rules->ncaps, sizeof *s->rates)) == NULL)
			return NULL;
		s->nrates = rules->ncaps;
		s->rates_generation = r->context->generation;
		s->rates_version = r->context->version;
	}
	if (s->rates[cap] == NULL) {
		rate.count = rules->caps[cap].rate_calls;
		rate.window_ms = rules->caps[cap].rate_window_ms;
		s->rates[cap] = limiter_new(rate);
	}
	return s->rates[cap];
}

uint32_t
session_rate_wait(size_t cap, void *arg)
{
	const struct session_rate *r = arg;
	const struct context_capability *c = &r->context->rules->caps[cap];
	char detail[SESSION_RATE_DETAIL];
	struct limiter *l;

	session_rate_detail(cap, detail);
	if (c->max_concurrent != 0 &&
	    flight_same(span_str(r->session->id), detail) >= c->max_concurrent)
		return CONTEXT_BUSY;
	if (c->rate_calls == 0)
		return 0;
	l = rate_of(r, cap);
	return l == NULL ? 1
			 : limiter_check(l, judge_limit_ms()); /* no memory: not now */
}

void
session_rate_take(struct session_rate *r, size_t cap)
{
	struct limiter *l;

	if (r->context->rules->caps[cap].rate_calls == 0)
		return;
	if ((l = rate_of(r, cap)) != NULL)
		limiter_take(l, judge_limit_ms());
}

void
session_rate_detail(size_t cap, char out[SESSION_RATE_DETAIL])
{
	snprintf(out, SESSION_RATE_DETAIL, "capabilities[%zu]", cap);
}

/* ---- the database ---- */

static void
key_make(char key[KEY_MAX], const struct session *s, size_t cap)
{
	snprintf(
	    key, KEY_MAX, "session:%s:%" PRIu32 ":%zu", s->id, s->rates_version, cap);
}

void
session_rates_forget(const struct session *s)
{
	char key[KEY_MAX];

	for (size_t i = 0; i < s->nrates; i++) {
		if (s->rates[i] == NULL)
			continue;
		key_make(key, s, i);
		(void)store_window_delete(judge_store, s->tenant, key);
	}
}

/* The window of a session's capability, when it still is what it was. */
static struct limiter *
window_of(struct span id, uint32_t version, bool any_version, size_t cap)
{
	struct session_rate r = {.session = session_by_id(id)};

	if (r.session == NULL)
		return NULL;
	r.context = context_find(r.session->tenant, span_str(r.session->context));
	if (r.context == NULL || (!any_version && r.context->version != version) ||
	    cap >= r.context->rules->ncaps || r.context->rules->caps[cap].rate_calls == 0)
		return NULL;
	return rate_of(&r, cap);
}

static int
load_one(const char *tenant, const char *key, const void *blob, size_t len, void *arg)
{
	const char *id = key + strlen("session:"), *colon;
	unsigned long version, cap;
	struct limiter *l;
	char *end;

	(void)tenant;
	(void)arg;
	if (strncmp(key, "session:", strlen("session:")) != 0 ||
	    (colon = strchr(id, ':')) == NULL)
		return 0;
	version = strtoul(colon + 1, &end, 10);
	if (*end != ':')
		return 0;
	cap = strtoul(end + 1, &end, 10);
	l = window_of(span_mem(id, (size_t)(colon - id)), (uint32_t)version, false, cap);
	if (l != NULL && limiter_load(l, blob, len, judge_limit_ms()) == -1)
		LOG_ERROR("window.load", LS("key", key));
	return 0;
}

static int
replay_row(const struct ledger_line *row, void *arg)
{
	static const char prefix[] = "capabilities[";
	char detail[SESSION_RATE_DETAIL];
	struct limiter *l;
	struct span session;
	uint64_t ms;

	(void)arg;
	session = ledger_text_get(row->text, "session");
	if (session.len == 0 ||
	    !span_eq(ledger_text_get(row->text, "kind"), "decision") ||
	    !span_eq(ledger_text_get(row->text, "decision"), "allowed") ||
	    !ledger_text_has(row->text, "tool") ||
	    span_copy(ledger_text_get(row->text, "detail"), detail, sizeof detail) != 0 ||
	    strncmp(detail, prefix, sizeof prefix - 1) != 0 ||
	    (ms = ledger_text_ms(row->text)) == 0)
		return 0;
	l = window_of(session, 0, true, strtoul(detail + sizeof prefix - 1, NULL, 10));
	if (l != NULL)
		limiter_count_past(l, ms, judge_limit_ms());
	return 0;
}

int
session_rates_load(void)
{
	char text[24];
	uint64_t seq = 0;
	int r;

	if (TAILQ_EMPTY(&sessions))
		return 0;
	if (store_window_each(judge_store, load_one, NULL) == -1)
		return -1;
	r = store_meta_get(judge_store, META_KEY, text, sizeof text);
	if (r == -1)
		return -1;
	if (r == 0)
		seq = strtoull(text, NULL, 10);
	saved_seq = seq;
	return ledger_each(seq, UINT64_MAX, 0, replay_row, NULL);
}

/* What was saved in a turn that failed has to be saved again. */
static void
saved(int ok, void *arg)
{
	struct session *s;

	(void)arg;
	if (ok) {
		saved_seq = saving_seq;
		return;
	}
	TAILQ_FOREACH (s, &sessions, link)
		for (size_t i = 0; i < s->nrates; i++)
			if (s->rates[i] != NULL)
				limiter_dirty_set(s->rates[i], 1);
}

static int
save_session(struct session *s)
{
	static struct buf blob;
	char key[KEY_MAX];

	for (size_t i = 0; i < s->nrates; i++) {
		if (s->rates[i] == NULL || !limiter_dirty(s->rates[i]))
			continue;
		buf_reset(&blob);
		key_make(key, s, i);
		if (limiter_dump(s->rates[i], &blob) != 0 ||
		    store_window_put(judge_store, s->tenant, key, blob.p, blob.len) != 0)
			return -1;
		limiter_dirty_set(s->rates[i], 0);
	}
	return 0;
}

void
session_rates_save(void)
{
	struct session *s;
	char text[24];

	if (ledger_seq_pending() == saved_seq)
		return;
	saving_seq = ledger_seq_pending();
	turn_then(saved, NULL);
	TAILQ_FOREACH (s, &sessions, link)
		if (save_session(s) != 0)
			return;
	snprintf(text, sizeof text, "%" PRIu64, saving_seq);
	(void)store_meta_set(judge_store, META_KEY, text);
}
