/* SPDX-License-Identifier: Apache-2.0 */
/* The table of MCP sessions. Judge only. */
#include "keymasterd/judge/mcp_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"
#include "common/loop.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/mcp.h"
#include "keymasterd/judge/mcp_forward.h"
#include "keymasterd/judge/mcp_stream.h"
#include "keymasterd/judge/session.h"
#include "keymasterd/judge/tools.h"

struct mcp_session_list mcp_sessions = TAILQ_HEAD_INITIALIZER(mcp_sessions);
static struct map by_id, rates;

/* The limits of one agent in one context. */
struct rate {
	struct session session; /* of which only the limits are used */
	size_t keylen;
	char key[STORE_ID_MAX + STORE_CONTEXT_MAX];
};

/* The agent has as many as it may: the one idle longest goes. */
static void
make_room(const char *agent_id)
{
	struct mcp_session *s, *oldest = NULL;
	unsigned n = 0;

	TAILQ_FOREACH (s, &mcp_sessions, link)
		if (strcmp(s->agent_id, agent_id) == 0 && n++ == 0)
			oldest = s;
	if (n >= MCP_SESSIONS_PER_AGENT)
		mcp_session_end(oldest);
}

struct mcp_session *
mcp_session_new(const struct agent *agent, const char *context,
    const uint8_t token_hash[STORE_HASH_LEN])
{
	struct mcp_session *s = calloc(1, sizeof(*s));
	uint8_t random[MCP_SESSION_ID_LEN / 2];

	if (s == NULL)
		return NULL;
	make_room(agent->row.id);
	judge_random(random, sizeof(random));
	(void)hex_encode(random, sizeof(random), s->id, sizeof(s->id));
	snprintf(s->tenant, sizeof(s->tenant), "%s", agent->row.tenant);
	snprintf(s->agent_id, sizeof(s->agent_id), "%s", agent->row.id);
	snprintf(s->context, sizeof(s->context), "%s", context);
	memcpy(s->token_hash, token_hash, sizeof(s->token_hash));
	s->used_ms = loop_now_ms();
	TAILQ_INIT(&s->subscriptions);
	if (map_put(&by_id, s->id, MCP_SESSION_ID_LEN, s) == -1) {
		free(s);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&mcp_sessions, s, link);
	return s;
}

struct mcp_session *
mcp_session_find(
    struct span id, const struct agent *agent, const uint8_t token_hash[STORE_HASH_LEN])
{
	struct mcp_session *s = map_get(&by_id, id.p, id.len);

	if (s == NULL || strcmp(s->agent_id, agent->row.id) != 0 ||
	    strcmp(s->tenant, agent->row.tenant) != 0 ||
	    memcmp(s->token_hash, token_hash, sizeof(s->token_hash)) != 0)
		return NULL;
	s->used_ms = loop_now_ms();
	TAILQ_REMOVE(&mcp_sessions, s, link);
	TAILQ_INSERT_TAIL(&mcp_sessions, s, link);
	return s;
}

static void
drop_subscription(struct mcp_session *s, struct mcp_subscription *u)
{
	TAILQ_REMOVE(&s->subscriptions, u, link);
	s->nsubscriptions--;
	free(u);
}

void
mcp_session_end(struct mcp_session *s)
{
	char execution[TOOL_EXECUTION_SIZE];

	mcp_stream_close(s);
	mcp_forget_session(s);
	if (s->has_processes) {
		tool_execution_of(s->id, execution);
		tool_execution_end(execution);
	}
	while (!TAILQ_EMPTY(&s->subscriptions))
		drop_subscription(s, TAILQ_FIRST(&s->subscriptions));
	map_del(&by_id, s->id, MCP_SESSION_ID_LEN);
	TAILQ_REMOVE(&mcp_sessions, s, link);
	free(s);
}

/* ---- subscriptions ---- */

static struct mcp_subscription *
subscription(const struct mcp_session *s, uint32_t server, struct span uri)
{
	struct mcp_subscription *u;

	TAILQ_FOREACH (u, &s->subscriptions, link)
		if (u->server == server && u->len == uri.len &&
		    memcmp(u->uri, uri.p, uri.len) == 0)
			return u;
	return NULL;
}

bool
mcp_session_subscribed(const struct mcp_session *s, uint32_t server, struct span uri)
{
	return subscription(s, server, uri) != NULL;
}

int
mcp_subscribe(struct mcp_session *s, uint32_t server, struct span uri)
{
	struct mcp_subscription *u;

	if (subscription(s, server, uri) != NULL)
		return 0;
	if (s->nsubscriptions >= MCP_SUBSCRIPTIONS_MAX ||
	    (u = malloc(sizeof(*u) + uri.len)) == NULL)
		return -1;
	u->server = server;
	u->len = uri.len;
	memcpy(u->uri, uri.p, uri.len);
	TAILQ_INSERT_TAIL(&s->subscriptions, u, link);
	s->nsubscriptions++;
	return 0;
}

void
mcp_unsubscribe(struct mcp_session *s, uint32_t server, struct span uri)
{
	struct mcp_subscription *u = subscription(s, server, uri);

	if (u != NULL)
		drop_subscription(s, u);
}

bool
mcp_subscribed(uint32_t server, struct span uri)
{
	const struct mcp_session *s;

	TAILQ_FOREACH (s, &mcp_sessions, link)
		if (subscription(s, server, uri) != NULL)
			return true;
	return false;
}

/* ---- limits ---- */

struct session *
mcp_rates(const struct agent *agent, const char *context)
{
	char key[STORE_ID_MAX + STORE_CONTEXT_MAX];
	int n = snprintf(key, sizeof(key), "%s/%s", agent->row.id, context);
	struct rate *r;

	if (n <= 0 || (size_t)n >= sizeof(key))
		return NULL;
	if ((r = map_get(&rates, key, (size_t)n)) != NULL)
		return &r->session;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	/* no flight has this session: mcp_forward.c counts what is under way */
	snprintf(r->session.id, sizeof(r->session.id), "mcp");
	memcpy(r->key, key, (size_t)n);
	r->keylen = (size_t)n;
	if (map_put(&rates, r->key, r->keylen, r) == -1) {
		free(r);
		return NULL;
	}
	return &r->session;
}

/* ---- ends ---- */

void
mcp_agent_changed(const char *agent_id, const char *context)
{
	struct mcp_session *s, *next;

	for (s = TAILQ_FIRST(&mcp_sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (strcmp(s->agent_id, agent_id) == 0 &&
		    (context == NULL || strcmp(s->context, context) == 0))
			mcp_session_end(s);
	}
}

void
mcp_token_ended(const uint8_t token_hash[STORE_HASH_LEN])
{
	struct mcp_session *s, *next;

	for (s = TAILQ_FIRST(&mcp_sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (memcmp(s->token_hash, token_hash, sizeof(s->token_hash)) == 0)
			mcp_session_end(s);
	}
}

void
mcp_session_tick(void)
{
	uint64_t now = loop_now_ms();
	struct mcp_session *s;

	while ((s = TAILQ_FIRST(&mcp_sessions)) != NULL &&
	    now - s->used_ms > 1000 * (uint64_t)mcp_conf.idle_s) {
		if (s->gate == NULL) {
			mcp_session_end(s);
			continue;
		}
		s->used_ms = now; /* whoever listens is not idle */
		TAILQ_REMOVE(&mcp_sessions, s, link);
		TAILQ_INSERT_TAIL(&mcp_sessions, s, link);
	}
}
