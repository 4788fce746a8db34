/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema, version by version. Each step is one transaction; a database of a later
 * version is refused, since an older program could not keep its promises. Judge, at
 * start.
 */
#include "keymasterd/judge/store_int.h"

#include <stdio.h>

static const char schema_1[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE credentials("
    " id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, name TEXT NOT NULL,"
    " service TEXT NOT NULL, domains TEXT NOT NULL, auth_type TEXT NOT NULL,"
    " header_name TEXT NOT NULL, query_param TEXT NOT NULL, scopes TEXT NOT NULL,"
    " rate_limit TEXT NOT NULL, body_inspection TEXT NOT NULL, upstream TEXT NOT NULL,"
    " allow_private INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, rotated_at INTEGER NOT "
    "NULL,"
    " UNIQUE(tenant_id, name), UNIQUE(tenant_id, service));"
    "CREATE TABLE agents("
    " id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, name TEXT NOT NULL,"
    " rate_limit TEXT NOT NULL, created_at INTEGER NOT NULL, UNIQUE(tenant_id, name));"
    "CREATE TABLE agent_tokens("
    " tenant_id TEXT NOT NULL,"
    " agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,"
    " run TEXT NOT NULL, token_hash BLOB NOT NULL UNIQUE, prefix TEXT NOT NULL,"
    " created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
    " PRIMARY KEY(tenant_id, agent_id, run)) WITHOUT ROWID;"
    "CREATE TABLE agent_credentials("
    " tenant_id TEXT NOT NULL,"
    " agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,"
    " credential_id TEXT NOT NULL REFERENCES credentials(id) ON DELETE CASCADE,"
    " granted_at INTEGER NOT NULL,"
    " PRIMARY KEY(tenant_id, agent_id, credential_id)) WITHOUT ROWID;"
    "CREATE INDEX agent_credentials_credential ON agent_credentials(credential_id);"
    "CREATE TABLE agent_contexts("
    " tenant_id TEXT NOT NULL,"
    " agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,"
    " context TEXT NOT NULL, granted_at INTEGER NOT NULL,"
    " PRIMARY KEY(tenant_id, agent_id, context)) WITHOUT ROWID;"
    "CREATE TABLE contexts("
    " tenant_id TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,"
    " json TEXT NOT NULL, updated_at INTEGER NOT NULL,"
    " PRIMARY KEY(tenant_id, name)) WITHOUT ROWID;"
    "CREATE TABLE sessions("
    " id TEXT NOT NULL, tenant_id TEXT NOT NULL, agent_id TEXT NOT NULL, sub TEXT NOT "
    "NULL,"
    " context TEXT NOT NULL, public_key BLOB NOT NULL, exec_id TEXT NOT NULL,"
    " token_hash BLOB NOT NULL, patterns TEXT NOT NULL, state INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, reason TEXT NOT NULL,"
    " PRIMARY KEY(tenant_id, id)) WITHOUT ROWID;"
    "CREATE INDEX sessions_expiry ON sessions(expires_at);"
    "CREATE TABLE replay_marks("
    " seen_ms INTEGER NOT NULL, tenant_id TEXT NOT NULL, mark BLOB NOT NULL,"
    " PRIMARY KEY(seen_ms, tenant_id, mark)) WITHOUT ROWID;"
    "CREATE TABLE rate_windows("
    " tenant_id TEXT NOT NULL, key TEXT NOT NULL, entries BLOB NOT NULL,"
    " PRIMARY KEY(tenant_id, key)) WITHOUT ROWID;"
    "CREATE TABLE ledger("
    " seq INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, text TEXT NOT NULL,"
    " hash BLOB NOT NULL);"
    "CREATE TABLE checkpoints("
    " seq INTEGER NOT NULL, tenant_id TEXT NOT NULL, chain TEXT NOT NULL,"
    " head BLOB NOT NULL, time TEXT NOT NULL, kid TEXT NOT NULL,"
    " signature BLOB NOT NULL, PRIMARY KEY(seq, kid)) WITHOUT ROWID;";

static const char schema_2[] =
    "ALTER TABLE sessions ADD COLUMN run TEXT NOT NULL DEFAULT '';";

/* What SecurityContexts were. */
static const char schema_3[] =
    "CREATE TABLE context_versions("
    " tenant_id TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,"
    " json TEXT NOT NULL, updated_at INTEGER NOT NULL,"
    " PRIMARY KEY(tenant_id, name, version)) WITHOUT ROWID;"
    "INSERT INTO context_versions(tenant_id, name, version, json, updated_at)"
    " SELECT tenant_id, name, version, json, updated_at FROM contexts;";

/* The ledger is in files of its own (ledger_file.h), replay marks are in its rows. */
static const char schema_4[] =
    "DROP TABLE replay_marks; DROP TABLE ledger; DROP TABLE checkpoints;";

static const char schema_5[] =
    "ALTER TABLE agents ADD COLUMN proc_uid INTEGER NOT NULL DEFAULT -1;"
    "ALTER TABLE agents ADD COLUMN proc_exe TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE agents ADD COLUMN proc_sha256 TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE agents ADD COLUMN proc_cgroup TEXT NOT NULL DEFAULT '';";

static const char schema_6[] =
    "CREATE TABLE nodes("
    " tenant_id TEXT NOT NULL, node_id TEXT NOT NULL, public_key BLOB NOT NULL,"
    " role TEXT NOT NULL, registered INTEGER NOT NULL, created_at INTEGER NOT NULL,"
    " seen_at INTEGER NOT NULL, last_time INTEGER NOT NULL,"
    " PRIMARY KEY(tenant_id, node_id)) WITHOUT ROWID;"
    "CREATE TABLE node_nonces("
    " tenant_id TEXT NOT NULL, nonce TEXT NOT NULL, seen_at INTEGER NOT NULL,"
    " PRIMARY KEY(tenant_id, nonce)) WITHOUT ROWID;";

/* People. */
static const char schema_7[] =
    "CREATE TABLE users("
    " tenant_id TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,"
    " token_hash BLOB NOT NULL UNIQUE, prefix TEXT NOT NULL,"
    " created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
    " PRIMARY KEY(tenant_id, name)) WITHOUT ROWID;";

/* Limits of credentials to methods and paths. */
static const char schema_8[] =
    "ALTER TABLE credentials ADD COLUMN methods TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE credentials ADD COLUMN allow_paths TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE credentials ADD COLUMN deny_paths TEXT NOT NULL DEFAULT '';";

/* Webhooks, what is to be delivered to them, and what was told today. */
static const char schema_9[] =
    "CREATE TABLE webhooks("
    " tenant_id TEXT NOT NULL, id TEXT NOT NULL, url TEXT NOT NULL, label TEXT NOT NULL,"
    " events INTEGER NOT NULL, allow_private INTEGER NOT NULL, created_at INTEGER NOT "
    "NULL,"
    " PRIMARY KEY(tenant_id, id)) WITHOUT ROWID;"
    "CREATE TABLE webhook_queue("
    " number INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL,"
    " webhook TEXT NOT NULL, delivery TEXT NOT NULL, event INTEGER NOT NULL,"
    " body TEXT NOT NULL, created_at INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " next_at INTEGER NOT NULL, dead INTEGER NOT NULL, last TEXT NOT NULL);"
    "CREATE INDEX webhook_queue_due ON webhook_queue(tenant_id, webhook, dead, next_at);"
    "CREATE TABLE webhook_told("
    " tenant_id TEXT NOT NULL, credential_id TEXT NOT NULL, day INTEGER NOT NULL,"
    " PRIMARY KEY(tenant_id, credential_id, day)) WITHOUT ROWID;";

/* Where a secret is that vault does not have. */
static const char schema_10[] =
    "ALTER TABLE credentials ADD COLUMN secret_ref TEXT NOT NULL DEFAULT '';";

/* Tokens of operators that we gave out. */
static const char schema_11[] =
    "CREATE TABLE operator_tokens("
    " tenant_id TEXT NOT NULL, jti TEXT NOT NULL, name TEXT NOT NULL,"
    " role INTEGER NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
    " PRIMARY KEY(tenant_id, jti)) WITHOUT ROWID;";

/* Until when the secret before a rotation is kept. */
static const char schema_12[] =
    "ALTER TABLE credentials ADD COLUMN grace_until INTEGER NOT NULL DEFAULT 0;";

static const char *const steps[] = {schema_1, schema_2, schema_3, schema_4, schema_5,
    schema_6, schema_7, schema_8, schema_9, schema_10, schema_11, schema_12};
#define VERSION_NOW ((int)(sizeof(steps) / sizeof(steps[0])))

static int
version_read(sqlite3 *db, int *version)
{
	sqlite3_stmt *st = NULL;
	int r = -1;

	if (sqlite3_prepare_v2(db, "SELECT coalesce(max(version), 0) FROM schema_version",
		-1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW) {
		*version = sqlite3_column_int(st, 0);
		r = 0;
	}
	sqlite3_finalize(st);
	return r;
}

/* Before the first release the ledger was a table; its rows are not carried over. */
static int
has_old_rows(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	int r = sqlite3_prepare_v2(db, "SELECT 1 FROM ledger LIMIT 1", -1, &st, NULL) ==
		SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW;

	sqlite3_finalize(st);
	return r;
}

static int
step_run(sqlite3 *db, int version)
{
	char note[128];

	snprintf(note, sizeof(note),
	    "INSERT INTO schema_version(version, applied_at) VALUES(%d, unixepoch() * "
	    "1000)",
	    version);
	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_exec(db, steps[version - 1], NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, note, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
		return -1; /* the caller reads the message before it rolls back */
	}
	return 0;
}

int
store_migrate(sqlite3 *db, char *err, size_t err_size)
{
	int version = 0;

	if (sqlite3_exec(db,
		"CREATE TABLE IF NOT EXISTS schema_version("
		" version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)",
		NULL, NULL, NULL) != SQLITE_OK ||
	    version_read(db, &version) == -1) {
		snprintf(
		    err, err_size, "the database cannot be read: %s", sqlite3_errmsg(db));
		return -1;
	}
	if (version > VERSION_NOW) {
		snprintf(err, err_size,
		    "the database has schema version %d, this program knows versions up "
		    "to %d: "
		    "start the newer program that wrote it",
		    version, VERSION_NOW);
		return -1;
	}
	if (version > 0 && version < 4 && has_old_rows(db)) {
		snprintf(err, err_size,
		    "the database holds a ledger as it was before the first release: "
		    "export it with the program that wrote it, and begin with a new data "
		    "directory");
		return -1;
	}
	while (version < VERSION_NOW) {
		if (step_run(db, version + 1) == -1) {
			snprintf(err, err_size, "schema version %d could not be made: %s",
			    version + 1, sqlite3_errmsg(db));
			(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
			return -1;
		}
		version++;
	}
	return 0;
}
