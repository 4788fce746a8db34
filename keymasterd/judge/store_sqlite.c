/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQLite store: opening, statements, and the transaction of a turn. Judge only; the
 * database is this process's own and no other program is meant to open it while it runs.
 */
#include "keymasterd/judge/store_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The helper thread keeps the log short; if it falls behind by this much we help. */
#define WAL_PAGES_MAX 16384

static int
on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *s = arg;

	(void)db;
	(void)name;
	s->wal_pages = pages;
	return SQLITE_OK;
}

static int
pragmas(sqlite3 *db, int sync)
{
	static const char common[] = "PRAGMA foreign_keys=ON;"
				     "PRAGMA wal_autocheckpoint=0;"
				     "PRAGMA temp_store=MEMORY;"
				     "PRAGMA trusted_schema=OFF;"
				     "PRAGMA cache_size=-8192;";
	sqlite3_stmt *st = NULL;
	int wal = 0;

	if (sqlite3_prepare_v2(db, "PRAGMA journal_mode=WAL", -1, &st, NULL) ==
		SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		wal = strcmp((const char *)sqlite3_column_text(st, 0), "wal") == 0;
	sqlite3_finalize(st);
	if (!wal)
		return -1;
	if (sqlite3_exec(db, common, NULL, NULL, NULL) != SQLITE_OK)
		return -1;
	return sqlite3_exec(db,
		   sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", NULL,
		   NULL, NULL) == SQLITE_OK
	    ? 0
	    : -1;
}

struct store *
store_open(const char *path, int sync, char *err, size_t err_size)
{
	struct store *s = calloc(1, sizeof(*s));
	mode_t mask;
	int r;

	if (s == NULL || strlen(path) >= sizeof(s->path)) {
		snprintf(
		    err, err_size, "%s", s == NULL ? "out of memory" : "path too long");
		free(s);
		return NULL;
	}
	snprintf(s->path, sizeof(s->path), "%s", path);
	mask = umask(077);
	r = sqlite3_open_v2(path, &s->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		SQLITE_OPEN_PRIVATECACHE,
	    NULL);
	if (r == SQLITE_OK) {
		sqlite3_extended_result_codes(s->db, 1);
		sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		r = pragmas(s->db, sync) == 0 ? SQLITE_OK : SQLITE_ERROR;
	}
	umask(mask);
	if (r != SQLITE_OK) {
		r = s->db != NULL ? sqlite3_errcode(s->db) & 0xff : SQLITE_NOMEM;
		snprintf(err, err_size, "%s%s: %s%s",
		    r == SQLITE_NOTADB || r == SQLITE_CORRUPT
			? "Database file is corrupted: "
			: "",
		    path, s->db != NULL ? sqlite3_errmsg(s->db) : "out of memory",
		    r == SQLITE_NOTADB || r == SQLITE_CORRUPT
			? ": bring it back with \"aegis db restore\""
			: "");
		goto fail;
	}
	sqlite3_wal_hook(s->db, on_wal, s);
	if (store_migrate(s->db, err, err_size) == -1)
		goto fail;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	return s;
fail:
	sqlite3_close(s->db);
	free(s);
	return NULL;
}

void
store_close(struct store *s)
{
	unsigned i;

	if (s == NULL)
		return;
	store_rollback(s);
	store_helper_stop(s);
	for (i = 0; i < SLOT_MAX; i++)
		sqlite3_finalize(s->stmts[i]);
	sqlite3_close(s->db); /* the last connection copies the log into the file */
	free(s);
}

int
store_fail(struct store *s, const char *what)
{
	snprintf(s->error, sizeof(s->error), "%s: %s", what, sqlite3_errmsg(s->db));
	return -1;
}

const char *
store_error(const struct store *s)
{
	return s->error;
}

sqlite3_stmt *
store_stmt(struct store *s, enum store_slot slot, const char *sql)
{
	if (s->stmts[slot] == NULL &&
	    sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmts[slot],
		NULL) != SQLITE_OK) {
		(void)store_fail(s, "prepare");
		return NULL;
	}
	return s->stmts[slot];
}

static int
simple(struct store *s, enum store_slot slot, const char *sql)
{
	sqlite3_stmt *st = store_stmt(s, slot, sql);
	int r;

	if (st == NULL)
		return -1;
	r = sqlite3_step(st);
	if (r != SQLITE_DONE)
		(void)store_fail(s, sql);
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}

sqlite3_stmt *
store_write(struct store *s, enum store_slot slot, const char *sql)
{
	sqlite3_stmt *st;

	if (s->failed)
		return NULL;
	if (!s->in_txn) {
		if (simple(s, SLOT_BEGIN, "BEGIN IMMEDIATE") == -1) {
			s->failed = 1;
			return NULL;
		}
		s->in_txn = 1;
	}
	st = store_stmt(s, slot, sql);
	if (st == NULL)
		s->failed = 1;
	return st;
}

int
store_run(struct store *s, sqlite3_stmt *st)
{
	int r = sqlite3_step(st), code = sqlite3_extended_errcode(s->db);

	if (r == SQLITE_DONE) {
		sqlite3_reset(st);
		return 0;
	}
	(void)store_fail(s, "write");
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	/* a clash undoes its statement only; everything else the turn */
	if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY)
		return STORE_EXISTS;
	s->failed = 1;
	return -1;
}

int
store_pending(const struct store *s)
{
	return s->in_txn || s->failed;
}

int
store_failed(const struct store *s)
{
	return s->failed;
}

int
store_commit(struct store *s)
{
	if (s->failed || (s->in_txn && simple(s, SLOT_COMMIT, "COMMIT") == -1)) {
		store_rollback(s);
		return -1;
	}
	s->in_txn = 0;
	if (s->wal_pages > WAL_PAGES_MAX) {
		s->wal_pages -=
		    WAL_PAGES_MAX / 16; /* if it is busy: not at every commit */
		(void)sqlite3_wal_checkpoint_v2(
		    s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	}
	return 0;
}

void
store_rollback(struct store *s)
{
	char kept[sizeof(s->error)];

	/* after some errors SQLite has rolled back by itself */
	memcpy(kept, s->error, sizeof(kept));
	if (!sqlite3_get_autocommit(s->db))
		(void)simple(s, SLOT_ROLLBACK, "ROLLBACK");
	memcpy(s->error, kept, sizeof(kept));
	s->in_txn = 0;
	s->failed = 0;
}

void
store_poison(struct store *s, const char *why)
{
	snprintf(s->error, sizeof(s->error), "%s", why);
	s->failed = 1;
}

void
store_limit_pages(struct store *s, unsigned pages)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%u", pages);
	(void)sqlite3_exec(s->db, sql, NULL, NULL, NULL);
}

void
column_str(sqlite3_stmt *st, int col, char *out, size_t size)
{
	const unsigned char *p = sqlite3_column_text(st, col);
	size_t n = (size_t)sqlite3_column_bytes(st, col);

	if (p == NULL || n >= size)
		n = 0;
	if (n > 0)
		memcpy(out, p, n);
	out[n] = '\0';
}

void
column_fix(sqlite3_stmt *st, int col, void *out, size_t size)
{
	const void *p = sqlite3_column_blob(st, col);

	if (p != NULL && (size_t)sqlite3_column_bytes(st, col) == size)
		memcpy(out, p, size);
	else
		memset(out, 0, size);
}

int
store_copy(struct store *s, int (*fn)(const void *p, size_t len, void *arg), void *arg)
{
	sqlite3_int64 len = 0;
	unsigned char *p;
	int r;

	/* what other turns have written is committed; a turn of now is for its own end */
	if (s->in_txn)
		return -1;
	p = sqlite3_serialize(s->db, "main", &len, 0);
	if (p == NULL)
		return store_fail(s, "copy");
	r = fn(p, (size_t)len, arg);
	sqlite3_free(p);
	return r;
}

int
store_meta_get(struct store *s, const char *key, char *value, size_t size)
{
	sqlite3_stmt *st =
	    store_stmt(s, SLOT_META_GET, "SELECT value FROM meta WHERE key = ?1");
	int r;

	if (st == NULL)
		return -1;
	bind_str(st, 1, key);
	r = sqlite3_step(st);
	if (r == SQLITE_ROW)
		column_str(st, 0, value, size);
	else if (r != SQLITE_DONE)
		(void)store_fail(s, "meta");
	sqlite3_reset(st);
	return r == SQLITE_ROW ? 0 : r == SQLITE_DONE ? STORE_MISSING : -1;
}

int
store_meta_set(struct store *s, const char *key, const char *value)
{
	sqlite3_stmt *st = store_write(s, SLOT_META_SET,
	    "INSERT INTO meta(key, value) VALUES(?1, ?2)"
	    " ON CONFLICT(key) DO UPDATE SET value = excluded.value");

	if (st == NULL)
		return -1;
	bind_str(st, 1, key);
	bind_str(st, 2, value);
	return store_run(s, st);
}
