/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEAL sessions in memory: who holds which key, under which context, until when. The
 * database has them too, so that a restart ends none. Judge only.
 */
#ifndef AEGIS_JUDGE_SESSION_H
#define AEGIS_JUDGE_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/span.h"
#include "common/context.h"
#include "keymasterd/judge/store.h"

struct limiter;

/*
 * Over is not a state: that is what expires_ms says. Values are in the database. USED
 * counts as active unless a token is good for one call only (seal.jti_once).
 */
enum session_state { SESSION_ACTIVE = 1, SESSION_REVOKED = 2, SESSION_USED = 3 };

/* One of allowed_tool_patterns: a name, or a prefix, a star and a suffix. */
struct session_pattern {
	char *text;
	size_t len, star; /* star: its place; len when there is none */
};

/* How long an ended session is remembered, so that calls hear what became of it. */
#define SESSION_KEEP_MS 600000

struct session {
	char id[65];
	char tenant[STORE_TENANT_MAX];
	char agent_id[STORE_ID_MAX];
	char sub[129];
	char context[STORE_CONTEXT_MAX];
	char exec_id[65];
	char exec_key[STORE_TENANT_MAX + 65]; /* tenant, line end, exec_id */
	char reason[129];
	char run[65]; /* "aegis run" that it belongs to and ends with, or "" */
	uint8_t public_key[32];
	uint8_t token_hash[STORE_HASH_LEN];
	enum session_state state;
	uint64_t created_ms, expires_ms;
	/* the token's own signature and claims were found right once; it ends then */
	bool token_verified;
	uint8_t verified_hash[STORE_HASH_LEN];
	unsigned verified_with;           /* trust_generation() */
	int64_t token_exp;                /* with the issuer's leeway */
	struct session_pattern *patterns; /* none: every tool */
	size_t npatterns;
	char *patterns_json;
	/* sliding windows of the context's capabilities, made when first needed */
	struct limiter **rates;
	size_t nrates;
	uint64_t rates_generation;
	uint32_t rates_version; /* the context's, for their names in the database */
	struct limiter *pace;   /* all its calls in a second; made when first needed */
	bool has_processes;     /* of tool servers, which end with it */
	bool seen;              /* while comparing with the database */
	TAILQ_ENTRY(session) link;
};

TAILQ_HEAD(session_list, session);
extern struct session_list sessions;

struct session *session_by_token(const uint8_t hash[STORE_HASH_LEN]);
struct session *session_by_exec(const char *tenant, struct span exec_id);
struct session *session_by_id(struct span id);

/* Takes a session into memory; copies. NULL when out of memory. */
struct session *session_enter(const struct store_session *);
/* Into memory and the database; the turn's rollback takes it out again. NULL: failed. */
struct session *session_create(const struct store_session *);
/* Ends a session in memory and in the database. The caller writes the ledger's row. */
void session_revoke(struct session *, const char *reason);
/* The same with its row, SessionRevoked (seal.c). */
void session_revoke_row(struct session *, const char *reason);
/* Its token was shown for the first time. */
void session_use(struct session *);
/* Is this text a list of patterns as allowed_tool_patterns has it? */
bool session_patterns_ok(const char *json);
bool session_may_call(const struct session *, struct span tool);

/* Reads the database. 0 or -1. */
int session_table_load(void);
/* Forgets what ended long ago, and nodes' nonces of long ago. */
void session_table_tick(uint64_t unix_ms);

#endif
