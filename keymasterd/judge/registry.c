/* SPDX-License-Identifier: Apache-2.0 */
/* Agents and their tokens in memory, and the reading of everything. Judge only. */
#include "keymasterd/judge/registry.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/registry_int.h"
#include "keymasterd/judge/turn.h"

/* Until then a run's token is answered "has expired" rather than "unknown". */
#define PURGE_AFTER_MS (24 * 3600 * 1000ull)
#define PURGE_MAX 100

struct agent_list agents = TAILQ_HEAD_INITIALIZER(agents);
struct token_list tokens = TAILQ_HEAD_INITIALIZER(tokens);
static struct map by_hash, by_id;

struct agent *
agent_by_id(const char *tenant, const char *id)
{
	struct agent *a = map_get(&by_id, id, strlen(id));

	return a != NULL && strcmp(a->row.tenant, tenant) == 0 ? a : NULL;
}

struct agent *
agent_by_name(const char *tenant, struct span name)
{
	struct agent *a;

	TAILQ_FOREACH (a, &agents, link)
		if (span_eq(name, a->row.name) && strcmp(a->row.tenant, tenant) == 0)
			return a;
	return NULL;
}

static bool
token_ended(const struct token *t, uint64_t unix_ms)
{
	return t->row.expires_ms != 0 && t->row.expires_ms <= unix_ms;
}

struct token *
token_by_hash(const uint8_t hash[STORE_HASH_LEN], uint64_t unix_ms)
{
	struct token *t = map_get(&by_hash, hash, STORE_HASH_LEN);

	return t != NULL && !token_ended(t, unix_ms) ? t : NULL;
}

struct token *
token_by_text(struct span text, uint64_t unix_ms, enum agent_token_state *state)
{
	uint8_t hash[STORE_HASH_LEN];
	struct token *t;

	text = span_trim(text);
	judge_sha256(text.p, text.len, hash);
	t = map_get(&by_hash, hash, sizeof(hash));
	*state = t == NULL            ? TOKEN_UNKNOWN
	    : token_ended(t, unix_ms) ? TOKEN_EXPIRED
				      : TOKEN_GOOD;
	return *state == TOKEN_GOOD ? t : NULL;
}

struct agent *
agent_by_token(struct span text, uint64_t unix_ms, enum agent_token_state *state)
{
	struct token *t = token_by_text(text, unix_ms, state);

	return t != NULL ? t->agent : NULL;
}

/* A changed or new rate on a limiter that may exist. */
int
limiter_apply(struct limiter **l, const char *rate)
{
	struct limit_rate r;

	if (rate[0] == '\0' || limit_parse(span_str(rate), &r) == -1) {
		limiter_free(*l);
		*l = NULL;
		return rate[0] == '\0' ? 0 : -1;
	}
	if (*l == NULL)
		*l = limiter_new(r);
	else
		limiter_set(*l, r);
	return *l != NULL ? 0 : -1;
}

struct agent *
agent_set(const struct store_agent *row)
{
	struct agent *a = agent_by_id(row->tenant, row->id);

	if (a == NULL) {
		a = calloc(1, sizeof(*a));
		if (a == NULL)
			return NULL;
		a->row = *row;
		if (map_put(&by_id, a->row.id, strlen(a->row.id), a) == -1) {
			free(a);
			return NULL;
		}
		TAILQ_INSERT_TAIL(&agents, a, link);
	}
	a->row = *row;
	a->gone = 0;
	if (limiter_apply(&a->limiter, row->rate_limit) == -1)
		LOG_ERROR(
		    "agent.limit", LS("agent", row->name), LS("limit", row->rate_limit));
	return a;
}

static void
agent_free(struct agent *a)
{
	limiter_free(a->limiter);
	free(a);
}

void
agent_forget(struct agent *a)
{
	struct token *t, *next;

	for (t = TAILQ_FIRST(&tokens); t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->agent == a)
			token_forget(t);
	}
	rights_forget_agent(a);
	map_del(&by_id, a->row.id, strlen(a->row.id));
	TAILQ_REMOVE(&agents, a, link);
	a->gone = 1;
	if (a->refs == 0)
		agent_free(a);
}

void
agent_release(struct agent *a)
{
	if (a == NULL)
		return;
	a->in_flight--;
	if (--a->refs == 0 && a->gone)
		agent_free(a);
}

struct token *
token_find(const struct agent *a, const char *run)
{
	struct token *t;

	TAILQ_FOREACH (t, &tokens, link)
		if (t->agent == a && strcmp(t->row.run, run) == 0)
			return t;
	return NULL;
}

struct token *
token_set(const struct store_token *row)
{
	struct agent *a = agent_by_id(row->tenant, row->agent_id);
	struct token *t;

	if (a == NULL)
		return NULL;
	t = token_find(a, row->run);
	if (t != NULL)
		token_forget(t);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->row = *row;
	t->agent = a;
	if (map_put(&by_hash, t->row.hash, sizeof(t->row.hash), t) == -1) {
		free(t);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&tokens, t, link);
	return t;
}

void
token_forget(struct token *t)
{
	map_del(&by_hash, t->row.hash, sizeof(t->row.hash));
	TAILQ_REMOVE(&tokens, t, link);
	free(t);
}

void
tokens_purge(uint64_t unix_ms)
{
	struct token *t, *next;
	unsigned n = 0;

	for (t = TAILQ_FIRST(&tokens); t != NULL && n < PURGE_MAX; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->row.expires_ms == 0 ||
		    t->row.expires_ms + PURGE_AFTER_MS > unix_ms)
			continue;
		turn_touched();
		if (store_token_delete(
			judge_store, t->row.tenant, t->row.agent_id, t->row.run) != 0)
			return;
		token_forget(t);
		n++;
	}
}

/* ---- reading everything ---- */

static int
load_agent(const struct store_agent *row, void *arg)
{
	(void)arg;
	return agent_set(row) == NULL;
}

static int
load_token(const struct store_token *row, void *arg)
{
	(void)arg;
	/* of an agent that is not there: foreign keys do not allow it */
	return token_set(row) == NULL && agent_by_id(row->tenant, row->agent_id) != NULL;
}

int
registry_load(void)
{
	struct agent *a, *next;
	struct token *t;

	TAILQ_FOREACH (a, &agents, link)
		a->gone = 1;
	while ((t = TAILQ_FIRST(&tokens)) != NULL)
		token_forget(t);
	if (store_agent_each(judge_store, load_agent, NULL) == -1)
		return -1;
	for (a = TAILQ_FIRST(&agents); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (a->gone)
			agent_forget(a);
	}
	if (store_token_each(judge_store, load_token, NULL) == -1)
		return -1;
	return credentials_load() == -1 || rights_load() == -1 ? -1 : 0;
}
