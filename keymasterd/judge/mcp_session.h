/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCP sessions: which agent speaks, under which SecurityContext, what its client can do,
 * and the stream it may have open. In memory only: after a restart of the judge clients
 * hear 404 and begin anew, as MCP has it. Judge only.
 */
#ifndef AEGIS_JUDGE_MCP_SESSION_H
#define AEGIS_JUDGE_MCP_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/span.h"
#include "keymasterd/judge/store.h"

struct agent;
struct chan;
struct session;

#define MCP_SESSION_ID_LEN 32
#define MCP_SESSIONS_PER_AGENT 256 /* one more ends the one that was idle longest */
#define MCP_SUBSCRIPTIONS_MAX 256

struct mcp_subscription {
	TAILQ_ENTRY(mcp_subscription) link;
	uint32_t server;
	size_t len;
	char uri[];
};

struct mcp_session {
	TAILQ_ENTRY(mcp_session) link; /* idle longest first */
	char id[MCP_SESSION_ID_LEN + 1];
	char tenant[STORE_TENANT_MAX];
	char agent_id[STORE_ID_MAX];
	char context[STORE_CONTEXT_MAX];
	uint8_t token_hash[STORE_HASH_LEN];
	bool sampling, elicitation; /* the client can */
	bool has_processes;         /* of tool servers, which end with it */
	uint8_t level;              /* enum mcp_level */
	uint64_t used_ms;           /* loop_now_ms() */
	struct chan *gate;          /* of the open stream, NULL: none */
	uint8_t stream[16];
	TAILQ_HEAD(, mcp_subscription) subscriptions;
	unsigned nsubscriptions;
};

TAILQ_HEAD(mcp_session_list, mcp_session);
extern struct mcp_session_list mcp_sessions;

struct mcp_session *mcp_session_new(
    const struct agent *, const char *context, const uint8_t token_hash[STORE_HASH_LEN]);
/* NULL: unknown, or of somebody else. Counts as use. */
struct mcp_session *mcp_session_find(
    struct span id, const struct agent *, const uint8_t token_hash[STORE_HASH_LEN]);
/* Ends it: its calls lose their session, its stream closes. */
void mcp_session_end(struct mcp_session *);

/* 0, or -1 when there are too many or no memory. Twice is once. */
int mcp_subscribe(struct mcp_session *, uint32_t server, struct span uri);
void mcp_unsubscribe(struct mcp_session *, uint32_t server, struct span uri);
/* Is anybody subscribed? */
bool mcp_subscribed(uint32_t server, struct span uri);
bool mcp_session_subscribed(const struct mcp_session *, uint32_t server, struct span uri);

/*
 * Rate limits of capabilities hold for an agent in a context, over all its MCP sessions:
 * a session is had for the asking. NULL without memory.
 */
struct session *mcp_rates(const struct agent *, const char *context);

/* The agent was removed or has another token (context NULL), or may not use this context
 * any more. */
void mcp_agent_changed(const char *agent_id, const char *context);
/* A token is no more: the sessions that began with it end. */
void mcp_token_ended(const uint8_t token_hash[STORE_HASH_LEN]);
/* Once a second: ends those that are idle. */
void mcp_session_tick(void);

#endif
