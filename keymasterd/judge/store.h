/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the judge keeps on disk, as typed functions: no SQL leaves the file that
 * implements them. store_sqlite.c and its neighbours do it with SQLite; another database
 * implements the same list. Every function takes the tenant, every table has it, every
 * query uses it.
 *
 * The ledger is not among it (ledger.h).
 *
 * Writes of one turn of the loop are one transaction, opened by the first of them
 * (turn.h commits). A write that fails makes the whole turn fail: later writes of the
 * turn return -1 at once and store_commit() rolls back. Reads happen at start-up and for
 * administrators; deciding runs on the copies in memory (registry.h).
 *
 * Runs in the judge only. Functions return 0, or -1 when the database said no;
 * STORE_MISSING and STORE_EXISTS where noted. Strings in rows are NUL-terminated.
 */
#ifndef AEGIS_JUDGE_STORE_H
#define AEGIS_JUDGE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define STORE_MISSING 1
#define STORE_EXISTS 2

#define STORE_TENANT_MAX 65
#define STORE_ID_MAX 37 /* a UUID and its NUL */
#define STORE_HASH_LEN 32
#define STORE_PREFIX_MAX 13
#define STORE_CONTEXT_MAX 129

struct store;

/* Opens (and creates, mode 0600) the database and brings its schema up to date. sync: 1
 * waits for the disk at every commit. NULL with text for the operator in err. */
struct store *store_open(const char *path, int sync, char *err, size_t err_size);
/* Starts the thread that copies the log into the database file; before the sandbox. */
int store_helper_start(struct store *);
void store_close(struct store *);

/* Is something waiting to be committed? */
int store_pending(const struct store *);
/* Has a write of this turn failed? Then it can only be rolled back. */
int store_failed(const struct store *);
/* 0: on disk as far as `sync` says. -1: rolled back, nothing of the turn is there. */
int store_commit(struct store *);
/* Forgets the turn's writes. */
void store_rollback(struct store *);
/* Makes the turn fail for a reason outside the database. */
void store_poison(struct store *, const char *why);
/* For tests: the file may not grow beyond this many pages, as on a full disk. */
void store_limit_pages(struct store *, unsigned pages);
/* The last error of the database, for logs. */
const char *store_error(const struct store *);

/* The whole database as one text for fn, which returns 0 or -1. Without the open turn. */
int store_copy(
    struct store *, int (*fn)(const void *p, size_t len, void *arg), void *arg);

/* ---- meta: small values of the database itself ---- */
/* STORE_MISSING when absent. */
int store_meta_get(struct store *, const char *key, char *value, size_t size);
int store_meta_set(struct store *, const char *key, const char *value);

/* ---- credentials: everything but the secret, which vault has ---- */
struct store_credential {
	char id[STORE_ID_MAX];
	char tenant[STORE_TENANT_MAX];
	char name[129];
	char service[65];
	char domains[4097]; /* comma separated, normalised */
	char auth_type[17];
	char header_name[129];
	char query_param[129];
	char scopes[65]; /* comma separated */
	char rate_limit[33];
	char inspection[9];
	char upstream[301];
	char secret_ref[513]; /* where the secret is; "": vault has it */
	int allow_private;
	char methods[65], allow_paths[1001], deny_paths[1001]; /* common/access.h */
	uint64_t expires_ms;                                   /* 0: never */
	uint64_t created_ms, updated_ms, rotated_ms;
	uint64_t grace_ms; /* until then vault keeps the secret before; 0: none */
};
/* Inserts, or overwrites the row with the same id. STORE_EXISTS: name or service taken.
 */
int store_credential_put(struct store *, const struct store_credential *);
int store_credential_delete(struct store *, const char *tenant, const char *id);
int store_credential_each(
    struct store *, int (*fn)(const struct store_credential *, void *), void *arg);

/* ---- agents ---- */
struct store_agent {
	char id[STORE_ID_MAX];
	char tenant[STORE_TENANT_MAX];
	char name[65];
	char rate_limit[33];
	uint64_t created_ms;
	/* which process it has to be (attest_process.c) */
	int64_t proc_uid; /* -1: any */
	char proc_exe[1025], proc_sha256[65], proc_cgroup[257];
};
int store_agent_put(struct store *, const struct store_agent *);
/* With its tokens, grants and contexts. */
int store_agent_delete(struct store *, const char *tenant, const char *id);
int store_agent_each(
    struct store *, int (*fn)(const struct store_agent *, void *), void *arg);

/* Tokens are kept as SHA-256. run "" is the agent's own, else the name of a run. */
struct store_token {
	char tenant[STORE_TENANT_MAX];
	char agent_id[STORE_ID_MAX];
	char run[65];
	uint8_t hash[STORE_HASH_LEN];
	char prefix[STORE_PREFIX_MAX];
	uint64_t created_ms;
	uint64_t expires_ms; /* 0: never */
};
/* Replaces the token of the same agent and run. */
int store_token_put(struct store *, const struct store_token *);
int store_token_delete(
    struct store *, const char *tenant, const char *agent_id, const char *run);
int store_token_each(
    struct store *, int (*fn)(const struct store_token *, void *), void *arg);

/* Which credentials, and which SecurityContexts, an agent may use. */
int store_grant_put(struct store *, const char *tenant, const char *agent_id,
    const char *credential_id, uint64_t now_ms);
int store_grant_delete(
    struct store *, const char *tenant, const char *agent_id, const char *credential_id);
int store_grant_each(struct store *,
    int (*fn)(
	const char *tenant, const char *agent_id, const char *credential_id, void *),
    void *arg);
int store_agent_context_put(struct store *, const char *tenant, const char *agent_id,
    const char *context, uint64_t now_ms);
int store_agent_context_delete(
    struct store *, const char *tenant, const char *agent_id, const char *context);
int store_agent_context_each(struct store *,
    int (*fn)(const char *tenant, const char *agent_id, const char *context, void *),
    void *arg);

/* ---- SecurityContexts made by an administrator ---- */
struct store_context {
	char tenant[STORE_TENANT_MAX];
	char name[STORE_CONTEXT_MAX];
	uint32_t version; /* 1, and one more with each replacement */
	struct span json;
	uint64_t updated_ms;
};
int store_context_put(struct store *, const struct store_context *);
int store_context_delete(struct store *, const char *tenant, const char *name);
/* json is valid during the call. */
int store_context_each(
    struct store *, int (*fn)(const struct store_context *, void *), void *arg);

/*
 * Every version there was; those of the configuration have tenant "", and an empty json
 * when they were taken out of it. version 0: the newest. STORE_MISSING.
 */
int store_context_version_put(struct store *, const struct store_context *);
int store_context_version_get(struct store *, const char *tenant, const char *name,
    uint32_t version, int (*fn)(const struct store_context *, void *), void *arg);
/* The newest of each name. */
int store_context_version_each(struct store *, const char *tenant,
    int (*fn)(const struct store_context *, void *), void *arg);

/* ---- SEAL sessions ---- */
struct store_session {
	char id[65];
	char tenant[STORE_TENANT_MAX];
	char agent_id[STORE_ID_MAX]; /* "" when an operator made it */
	char sub[129];
	char context[STORE_CONTEXT_MAX];
	uint8_t public_key[32];
	char exec_id[65];
	uint8_t token_hash[STORE_HASH_LEN];
	char patterns[2049]; /* JSON array of tool patterns */
	uint8_t state;       /* enum session_state of session.h */
	uint64_t created_ms, expires_ms;
	char reason[129]; /* why it was revoked */
	char run[65];     /* of the token that attested it; "": the agent's own */
};
/* Inserts or overwrites by tenant and id. */
int store_session_put(struct store *, const struct store_session *);
int store_session_delete(struct store *, const char *tenant, const char *id);
/* Those not expired at now_ms. */
int store_session_each(struct store *, uint64_t now_ms,
    int (*fn)(const struct store_session *, void *), void *arg);
/* Deletes the expired ones of every tenant, at most `limit`. */
int store_session_purge(struct store *, uint64_t before_ms, unsigned limit);

/* ---- nodes of a cluster ---- */
struct store_node {
	char tenant[STORE_TENANT_MAX];
	char id[65];
	uint8_t public_key[32];
	char role[17];
	uint8_t registered;
	uint64_t created_ms, seen_ms;
	uint64_t last_time; /* Unix second of the newest envelope */
};
int store_node_put(struct store *, const struct store_node *);
int store_node_each(
    struct store *, int (*fn)(const struct store_node *, void *), void *arg);
/* A nonce is good once. STORE_EXISTS: it was seen. It is known as long as the token lives
 * that it brought; what is shown again later brings one that only the node's key can use.
 */
#define STORE_NONCE_KEEP_MS 3600000
int store_node_nonce(
    struct store *, const char *tenant, const char *nonce, uint64_t now_ms);
/* Forgets those of before, at most `limit` at once. */
int store_node_nonce_purge(struct store *, uint64_t before_ms, unsigned limit);

/* ---- people who administer; tokens are kept as SHA-256 ---- */
struct store_user {
	char tenant[STORE_TENANT_MAX];
	char name[65];
	char role[9];
	uint8_t token_hash[STORE_HASH_LEN];
	char prefix[20];
	uint64_t created_ms, updated_ms;
};
/* Inserts, or overwrites the row with the same name. */
int store_user_put(struct store *, const struct store_user *);
int store_user_delete(struct store *, const char *tenant, const char *name);
int store_user_each(
    struct store *, int (*fn)(const struct store_user *, void *), void *arg);

/* ---- tokens of operators that we gave out: one is good until it is revoked ---- */
struct store_operator {
	char tenant[STORE_TENANT_MAX];
	char jti[STORE_ID_MAX];
	char name[65];
	unsigned role; /* enum operator_role; in the database 0 when revoked */
	uint64_t created_ms, expires_ms;
};
int store_operator_add(struct store *, const struct store_operator *);
/* 1: it was revoked; 0: it was not, or another host gave it out. */
int store_operator_revoked(struct store *, const char *tenant, const char *jti);
/* Keeps the row as long as the token could be shown. */
int store_operator_revoke(struct store *, const char *tenant, const char *jti);
int store_operator_purge(struct store *, const char *tenant, uint64_t before_ms);
/* Until fn returns not 0. */
int store_operator_each(struct store *, const char *tenant,
    int (*fn)(const struct store_operator *, void *), void *arg);

/* ---- rate windows: what the limiters know, saved now and then (limit.h) ---- */
int store_window_put(
    struct store *, const char *tenant, const char *key, const void *blob, size_t len);
int store_window_delete(struct store *, const char *tenant, const char *key);
int store_window_each(struct store *,
    int (*fn)(const char *tenant, const char *key, const void *blob, size_t len, void *),
    void *arg);

#endif
