/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents, tokens, credentials and rights in memory, as the database has them: deciding
 * asks no database. Filled at start, changed by administrators' acts, read again when a
 * turn with such acts could not be committed. Judge only.
 */
#ifndef AEGIS_JUDGE_REGISTRY_H
#define AEGIS_JUDGE_REGISTRY_H

#include "common/proto.h"
#include "keymasterd/judge/judge.h"

enum { SCOPE_READ = 1, SCOPE_WRITE = 2, SCOPE_ALL = 4 };

struct waiting;
TAILQ_HEAD(waiting_list, waiting);

struct access;

struct credential {
	struct store_credential row;
	struct limiter *limiter; /* NULL: no limit */
	struct access *access;   /* to methods and paths */
	unsigned scopes;
	enum inspect_mode inspect;
	char *patterns[64]; /* the domains, into pattern_text */
	unsigned npatterns;
	char pattern_text[4097];
	char authority[300];     /* where requests without X-Target-Host go; "" if none is
				    plain */
	char scheme[8];          /* of the upstream */
	uint32_t port;           /* of the upstream, 0: the scheme's own */
	struct redeemer *worker; /* ready to take grants, or NULL */
	struct waiting_list waiting;
	unsigned nwaiting;
	unsigned stale;
	char name_key[STORE_TENANT_MAX + 129];
	char service_key[STORE_TENANT_MAX + 65];
	TAILQ_ENTRY(credential) link;
};

struct token {
	struct store_token row;
	struct agent *agent;
	TAILQ_ENTRY(token) link;
};

TAILQ_HEAD(agent_list, agent);
TAILQ_HEAD(credential_list, credential);
TAILQ_HEAD(token_list, token);
extern struct agent_list agents;
extern struct credential_list credentials;
extern struct token_list tokens;

/* Reads everything. 0, or -1: see store_error(). Also the rollback hook's work. */
int registry_load(void);

struct credential *credential_by_service(const char *tenant, struct span service);
struct credential *credential_by_name(const char *tenant, struct span name);
/* A row was written: take it into memory. NULL when out of memory. */
struct credential *credential_set(const struct store_credential *);
void credential_forget(struct credential *);
/* Does the domain list cover host:port (port 0: none was named)? */
int credential_covers(const struct credential *, const char *host, uint16_t port);
/* Writes host[:port] as the worker and the upstream get it. 0 or -1. */
int credential_authority(
    const struct credential *, const char *host, uint16_t port, char *out, size_t size);

struct agent *agent_set(const struct store_agent *);
void agent_forget(struct agent *);
void agent_release(struct agent *); /* a reference of a flight or waiter ends */
struct token *token_set(const struct store_token *);
void token_forget(struct token *);
/* Forgets tokens of runs that ended more than a day ago; a hundred at most. */
void tokens_purge(uint64_t unix_ms);
struct token *token_find(const struct agent *, const char *run);
/* As agent_by_token(), the token itself. */
struct token *token_by_text(
    struct span token, uint64_t unix_ms, enum agent_token_state *);
/* The token with this hash, unless it has ended. */
struct token *token_by_hash(const uint8_t hash[STORE_HASH_LEN], uint64_t unix_ms);

/* May the agent use the credential? */
int grant_has(const struct agent *, const struct credential *);
int grant_set(const struct agent *, const struct credential *, int on);
int agent_context_set(const struct agent *, const char *context, int on);
/* Walks what an agent may use, for lists. */
void grant_each(
    const struct agent *, void (*fn)(const struct credential *, void *), void *);
void agent_context_each(const struct agent *, void (*fn)(const char *, void *), void *);

/* Rate windows: load at start, save those that changed (every few seconds, and at the
 * end). */
int windows_load(void);
void windows_save(void);

#endif
