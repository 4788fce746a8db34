/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate windows of policies' rules. A window belongs to what a rule is about (its key),
 * not to the rule's place or its limit: so neither a reload nor a restart refills it, and
 * a rule that was taken out and put back finds what was counted. Judge only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/policies.h"
#include "keymasterd/judge/turn.h"

#define KEY_LEN (POLICY_KEY_SIZE - 1)
#define DAY_MS 86400000ull /* the longest window */

struct window {
	char key[POLICY_KEY_SIZE];
	struct limiter *limiter;
	bool used; /* by a rule in force */
	TAILQ_ENTRY(window) link;
};

static TAILQ_HEAD(, window) windows = TAILQ_HEAD_INITIALIZER(windows);
static struct map by_key;

static struct window *
window_new(struct span key, struct limit_rate rate)
{
	struct window *w = calloc(1, sizeof(*w));

	if (w == NULL || span_copy(key, w->key, sizeof(w->key)) == -1 ||
	    (w->limiter = limiter_new(rate)) == NULL ||
	    map_put(&by_key, w->key, KEY_LEN, w) == -1) {
		if (w != NULL)
			limiter_free(w->limiter);
		free(w);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&windows, w, link);
	return w;
}

struct limiter *
policy_window(struct span key)
{
	static const struct limit_rate longest = {1000000, DAY_MS};
	struct window *w = key.len != KEY_LEN ? NULL : map_get(&by_key, key.p, KEY_LEN);

	if (w == NULL && key.len == KEY_LEN)
		w = window_new(key, longest);
	return w != NULL ? w->limiter : NULL;
}

int
policy_windows_attach(struct policy_set *s)
{
	struct policy_rule *r;
	struct window *w;
	size_t i, k;

	TAILQ_FOREACH (w, &windows, link)
		w->used = false;
	for (i = 0; i < s->n; i++)
		for (k = 0; k < s->v[i]->nrules; k++) {
			r = &s->v[i]->rules[k];
			if (!r->has_rate)
				continue;
			w = map_get(&by_key, r->key, KEY_LEN);
			if (w == NULL)
				w = window_new(span_str(r->key), r->rate);
			if (w == NULL)
				return -1;
			limiter_set(w->limiter, r->rate);
			w->used = true;
			r->window = w->limiter;
		}
	return 0;
}

void
policy_windows_dirty(void (*fn)(struct limiter *, const char *key))
{
	struct window *w;

	TAILQ_FOREACH (w, &windows, link)
		if (limiter_dirty(w->limiter))
			fn(w->limiter, w->key);
}

void
policy_windows_unsaved(void)
{
	struct window *w;

	TAILQ_FOREACH (w, &windows, link)
		limiter_dirty_set(w->limiter, 1);
}

void
policy_windows_sweep(void)
{
	struct window *w, *later;
	char key[32];

	for (w = TAILQ_FIRST(&windows); w != NULL; w = later) {
		later = TAILQ_NEXT(w, link);
		if (w->used || limiter_count(w->limiter, judge_limit_ms()) > 0)
			continue;
		snprintf(key, sizeof(key), "policy:%s", w->key);
		turn_touched();
		if (store_window_delete(judge_store, judge_conf.tenant, key) != 0)
			return;
		map_del(&by_key, w->key, KEY_LEN);
		TAILQ_REMOVE(&windows, w, link);
		limiter_free(w->limiter);
		free(w);
	}
}
