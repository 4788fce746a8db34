/* SPDX-License-Identifier: Apache-2.0 */
/* The table of SEAL sessions. Judge only; deciding on a call asks no database. */
#include "keymasterd/judge/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/session_rate.h"
#include "keymasterd/judge/turn.h"

#define PATTERNS_MAX 256
#define PURGE_EVERY_MS 10000
#define PURGE_AT_ONCE 256

struct session_list sessions = TAILQ_HEAD_INITIALIZER(sessions);
static struct map by_token, by_exec, by_id;
static uint64_t purged_ms;

struct session *
session_by_token(const uint8_t hash[STORE_HASH_LEN])
{
	return map_get(&by_token, hash, STORE_HASH_LEN);
}

struct session *
session_by_exec(const char *tenant, struct span exec_id)
{
	char key[sizeof((struct session *)0)->exec_key];
	int n =
	    snprintf(key, sizeof key, "%s\n%.*s", tenant, (int)exec_id.len, exec_id.p);

	return n < 0 || (size_t)n >= sizeof key ? NULL
						: map_get(&by_exec, key, (size_t)n);
}

struct session *
session_by_id(struct span id)
{
	return map_get(&by_id, id.p, id.len);
}

static void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->npatterns; i++)
		free(s->patterns[i].text);
	session_rates_free(s);
	if (s->pace != NULL)
		limiter_free(s->pace);
	free(s->patterns);
	free(s->patterns_json);
	free(s);
}

static void
session_drop(struct session *s)
{
	map_del(&by_token, s->token_hash, sizeof s->token_hash);
	if (map_get(&by_exec, s->exec_key, strlen(s->exec_key)) == s)
		map_del(&by_exec, s->exec_key, strlen(s->exec_key));
	map_del(&by_id, s->id, strlen(s->id));
	TAILQ_REMOVE(&sessions, s, link);
	session_free(s);
}

/* `["*"]`, `["fs.*","x"]` or "" for every tool. */
static int
read_patterns(struct session *s, const char *json)
{
	char text[CONTEXT_TOOL_MAX + 1];
	struct json_doc d;
	struct json_iter it;
	size_t len;
	int ret = -1;

	if ((s->patterns_json = strdup(json)) == NULL)
		return -1;
	if (json[0] == '\0')
		return 0;
	json_init(&d);
	if (json_parse(&d, json, strlen(json), NULL) != JSON_OK ||
	    json_type(&d, json_root(&d)) != JT_ARRAY ||
	    json_count(&d, json_root(&d)) > PATTERNS_MAX)
		goto out;
	s->patterns = calloc(json_count(&d, json_root(&d)) + 1, sizeof *s->patterns);
	if (s->patterns == NULL)
		goto out;
	json_iter_init(&it, &d, json_root(&d));
	while (json_iter_next(&it, &d)) {
		struct session_pattern *p = &s->patterns[s->npatterns];
		const char *star;

		if (json_str_copy(&d, it.value, text, sizeof text, &len) != 0 || len == 0)
			goto out;
		star = memchr(text, '*', len);
		if (star != NULL && strchr(star + 1, '*') != NULL)
			goto out; /* one at most */
		if ((p->text = strndup(text, len)) == NULL)
			goto out;
		p->len = len;
		p->star = star == NULL ? len : (size_t)(star - text);
		s->npatterns++;
	}
	ret = 0;
out:
	json_free(&d);
	return ret;
}

bool
session_patterns_ok(const char *json)
{
	struct session *s = calloc(1, sizeof *s);
	bool ok = s != NULL && read_patterns(s, json) == 0;

	session_free(s);
	return ok;
}

/* What is none of ours in the database counts as revoked. */
static enum session_state
state_of(const struct store_session *row)
{
	return row->state == SESSION_ACTIVE || row->state == SESSION_USED
	    ? (enum session_state)row->state
	    : SESSION_REVOKED;
}

struct session *
session_enter(const struct store_session *row)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	memcpy(s->id, row->id, sizeof s->id);
	memcpy(s->tenant, row->tenant, sizeof s->tenant);
	memcpy(s->agent_id, row->agent_id, sizeof s->agent_id);
	memcpy(s->sub, row->sub, sizeof s->sub);
	memcpy(s->context, row->context, sizeof s->context);
	memcpy(s->exec_id, row->exec_id, sizeof s->exec_id);
	memcpy(s->reason, row->reason, sizeof s->reason);
	memcpy(s->run, row->run, sizeof s->run);
	memcpy(s->public_key, row->public_key, sizeof s->public_key);
	memcpy(s->token_hash, row->token_hash, sizeof s->token_hash);
	s->state = state_of(row);
	s->created_ms = row->created_ms;
	s->expires_ms = row->expires_ms;
	if (read_patterns(s, row->patterns) != 0 ||
	    map_put(&by_id, s->id, strlen(s->id), s) != 0)
		goto fail;
	(void)snprintf(s->exec_key, sizeof s->exec_key, "%s\n%s", s->tenant, s->exec_id);
	/* an execution may get a new session; the old one is found by its token only */
	if ((s->state != SESSION_REVOKED ||
		map_get(&by_exec, s->exec_key, strlen(s->exec_key)) == NULL) &&
	    map_put(&by_exec, s->exec_key, strlen(s->exec_key), s) != 0)
		goto fail_exec;
	if (map_put(&by_token, s->token_hash, sizeof s->token_hash, s) != 0)
		goto fail_token;
	TAILQ_INSERT_TAIL(&sessions, s, link);
	return s;
fail_token:
	if (map_get(&by_exec, s->exec_key, strlen(s->exec_key)) == s)
		map_del(&by_exec, s->exec_key, strlen(s->exec_key));
fail_exec:
	map_del(&by_id, s->id, strlen(s->id));
fail:
	session_free(s);
	return NULL;
}

static void
row_of(const struct session *s, struct store_session *row)
{
	memset(row, 0, sizeof *row);
	memcpy(row->id, s->id, sizeof row->id);
	memcpy(row->tenant, s->tenant, sizeof row->tenant);
	memcpy(row->agent_id, s->agent_id, sizeof row->agent_id);
	memcpy(row->sub, s->sub, sizeof row->sub);
	memcpy(row->context, s->context, sizeof row->context);
	memcpy(row->exec_id, s->exec_id, sizeof row->exec_id);
	memcpy(row->reason, s->reason, sizeof row->reason);
	memcpy(row->run, s->run, sizeof row->run);
	memcpy(row->public_key, s->public_key, sizeof row->public_key);
	memcpy(row->token_hash, s->token_hash, sizeof row->token_hash);
	snprintf(row->patterns, sizeof row->patterns, "%s", s->patterns_json);
	row->state = (uint8_t)s->state;
	row->created_ms = s->created_ms;
	row->expires_ms = s->expires_ms;
}

struct session *
session_create(const struct store_session *row)
{
	struct session *s;

	turn_touched();
	if (store_session_put(judge_store, row) != 0)
		return NULL;
	if ((s = session_enter(row)) == NULL)
		(void)store_session_delete(judge_store, row->tenant, row->id);
	return s;
}

void
session_revoke(struct session *s, const char *reason)
{
	struct store_session row;

	if (s->state == SESSION_REVOKED)
		return;
	turn_touched();
	s->state = SESSION_REVOKED;
	(void)span_copy(span_mem(reason, strnlen(reason, sizeof s->reason - 1)),
	    s->reason, sizeof s->reason);
	row_of(s, &row);
	(void)store_session_put(judge_store, &row); /* a failure fails the turn */
}

void
session_use(struct session *s)
{
	struct store_session row;

	if (s->state != SESSION_ACTIVE)
		return;
	turn_touched();
	s->state = SESSION_USED;
	row_of(s, &row);
	(void)store_session_put(judge_store, &row);
}

/* A star at the end stands for one character at least, one elsewhere for any number. */
static bool
pattern_fits(const struct session_pattern *p, struct span name)
{
	size_t tail = p->star < p->len ? p->len - p->star - 1 : 0;

	if (p->star == p->len)
		return name.len == p->len && memcmp(name.p, p->text, p->len) == 0;
	return name.len >= p->star + (tail > 0 ? tail : 1) &&
	    memcmp(name.p, p->text, p->star) == 0 &&
	    memcmp(name.p + name.len - tail, p->text + p->star + 1, tail) == 0;
}

bool
session_may_call(const struct session *s, struct span tool)
{
	if (s->patterns_json[0] == '\0')
		return true;
	for (size_t i = 0; i < s->npatterns; i++)
		if (pattern_fits(&s->patterns[i], tool))
			return true;
	return false;
}

/* ---- the database ---- */

static int
load_one(const struct store_session *row, void *arg)
{
	struct session *s = session_by_id(span_str(row->id));

	(void)arg;
	if (s == NULL)
		s = session_enter(row);
	if (s == NULL) {
		LOG_ERROR("session.load", LS("session", row->id));
		return 0;
	}
	s->seen = true;
	s->state = state_of(row);
	if (s->state != SESSION_REVOKED) /* one that replaced it may be gone */
		(void)map_put(&by_exec, s->exec_key, strlen(s->exec_key), s);
	memcpy(s->reason, row->reason, sizeof s->reason);
	return 0;
}

/* A turn was rolled back: new sessions go, revoked ones are what the database says. */
static void
load_again(void *arg)
{
	struct session *s, *next;

	(void)arg;
	TAILQ_FOREACH (s, &sessions, link)
		s->seen = false;
	if (store_session_each(judge_store, 0, load_one, NULL) != 0) {
		LOG_ERROR("session.load", LS("error", store_error(judge_store)));
		return;
	}
	for (s = TAILQ_FIRST(&sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (!s->seen)
			session_drop(s);
	}
}

int
session_table_load(void)
{
	uint64_t now = judge_now_ms();

	turn_on_rollback(load_again, NULL);
	return store_session_each(judge_store,
	    now > SESSION_KEEP_MS ? now - SESSION_KEEP_MS : 0, load_one, NULL);
}

void
session_table_tick(uint64_t unix_ms)
{
	struct session *s, *next;

	if (unix_ms < SESSION_KEEP_MS ||
	    (unix_ms >= purged_ms && unix_ms - purged_ms < PURGE_EVERY_MS))
		return;
	purged_ms = unix_ms;
	for (s = TAILQ_FIRST(&sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->expires_ms < unix_ms - SESSION_KEEP_MS) {
			session_rates_forget(s);
			session_drop(s);
		}
	}
	(void)store_session_purge(judge_store, unix_ms - SESSION_KEEP_MS, PURGE_AT_ONCE);
	if (unix_ms > STORE_NONCE_KEEP_MS)
		(void)store_node_nonce_purge(
		    judge_store, unix_ms - STORE_NONCE_KEEP_MS, PURGE_AT_ONCE);
}
