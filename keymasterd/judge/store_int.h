/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the SQLite store share; nobody else includes it. */
#ifndef AEGIS_JUDGE_STORE_INT_H
#define AEGIS_JUDGE_STORE_INT_H

#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "keymasterd/judge/store.h"

/* One prepared statement each; prepared when first used, kept. */
enum store_slot {
	SLOT_BEGIN,
	SLOT_COMMIT,
	SLOT_ROLLBACK,
	SLOT_META_GET,
	SLOT_META_SET,
	SLOT_CREDENTIAL_PUT,
	SLOT_CREDENTIAL_DELETE,
	SLOT_CREDENTIAL_EACH,
	SLOT_AGENT_PUT,
	SLOT_AGENT_DELETE,
	SLOT_AGENT_EACH,
	SLOT_TOKEN_PUT,
	SLOT_TOKEN_DELETE,
	SLOT_TOKEN_EACH,
	SLOT_GRANT_PUT,
	SLOT_GRANT_DELETE,
	SLOT_GRANT_EACH,
	SLOT_AGENT_CONTEXT_PUT,
	SLOT_AGENT_CONTEXT_DELETE,
	SLOT_AGENT_CONTEXT_EACH,
	SLOT_CONTEXT_PUT,
	SLOT_CONTEXT_DELETE,
	SLOT_CONTEXT_EACH,
	SLOT_CONTEXT_VERSION_PUT,
	SLOT_CONTEXT_VERSION_GET,
	SLOT_CONTEXT_VERSION_EACH,
	SLOT_SESSION_PUT,
	SLOT_SESSION_DELETE,
	SLOT_SESSION_EACH,
	SLOT_SESSION_PURGE,
	SLOT_WINDOW_PUT,
	SLOT_WINDOW_DELETE,
	SLOT_WINDOW_EACH,
	SLOT_NODE_PUT,
	SLOT_NODE_EACH,
	SLOT_NODE_NONCE,
	SLOT_NODE_NONCE_PURGE,
	SLOT_USER_PUT,
	SLOT_USER_DELETE,
	SLOT_USER_EACH,
	SLOT_HOOK_PUT,
	SLOT_HOOK_DELETE,
	SLOT_HOOK_QUEUE_DELETE,
	SLOT_HOOK_EACH,
	SLOT_DELIVERY_ADD,
	SLOT_DELIVERY_UPDATE,
	SLOT_DELIVERY_DELETE,
	SLOT_DELIVERY_DUE,
	SLOT_DELIVERY_DEAD,
	SLOT_DELIVERY_COUNT,
	SLOT_DELIVERY_HOOK_NEXT,
	SLOT_DELIVERY_WAITING,
	SLOT_DELIVERY_TRIM,
	SLOT_HOOK_TOLD,
	SLOT_HOOK_TOLD_PURGE,
	SLOT_OPERATOR_ADD,
	SLOT_OPERATOR_GET,
	SLOT_OPERATOR_DELETE,
	SLOT_OPERATOR_PURGE,
	SLOT_OPERATOR_EACH,
	SLOT_MAX
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmts[SLOT_MAX];
	int in_txn;
	int failed; /* a write of this turn failed */
	int wal_pages;
	char error[256];
	/* the helper thread */
	char path[1100];
	int helper;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int stop;
};

/* A statement ready to be bound; NULL (and an error noted) when it cannot be prepared. */
sqlite3_stmt *store_stmt(struct store *, enum store_slot, const char *sql);
/* The same for a write: opens the turn's transaction; NULL once the turn has failed. */
sqlite3_stmt *store_write(struct store *, enum store_slot, const char *sql);
/* Runs a bound write; resets it. 0, STORE_EXISTS on a UNIQUE clash, -1. */
int store_run(struct store *, sqlite3_stmt *);
/* Notes the database's message. Returns -1. */
int store_fail(struct store *, const char *what);

/* migrations.c: brings the schema up to date. 0, or -1 with text. */
int store_migrate(sqlite3 *, char *err, size_t err_size);
/* store_helper.c */
void store_helper_stop(struct store *);

static inline void
bind_str(sqlite3_stmt *st, int i, const char *s)
{
	sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC);
}

static inline void
bind_u64(sqlite3_stmt *st, int i, uint64_t v)
{
	sqlite3_bind_int64(st, i, (sqlite3_int64)v);
}

/* Column as text into a fixed array; cut never happens with what we wrote ourselves. */
void column_str(sqlite3_stmt *, int col, char *out, size_t size);
/* A blob of exactly size octets; zeros when it is not. */
void column_fix(sqlite3_stmt *, int col, void *out, size_t size);

static inline uint64_t
column_u64(sqlite3_stmt *st, int col)
{
	return (uint64_t)sqlite3_column_int64(st, col);
}

#endif
