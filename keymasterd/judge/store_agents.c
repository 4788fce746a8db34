/* SPDX-License-Identifier: Apache-2.0 */
/* Agents, their tokens, grants and contexts in the SQLite store. Judge only. */
#include "keymasterd/judge/store_int.h"

int
store_agent_put(struct store *s, const struct store_agent *a)
{
	sqlite3_stmt *st = store_write(s, SLOT_AGENT_PUT,
	    "INSERT INTO agents(id, tenant_id, name, rate_limit, created_at, proc_uid,"
	    " proc_exe, proc_sha256, proc_cgroup)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
	    " ON CONFLICT(id) DO UPDATE SET rate_limit = excluded.rate_limit,"
	    " proc_uid = excluded.proc_uid, proc_exe = excluded.proc_exe,"
	    " proc_sha256 = excluded.proc_sha256, proc_cgroup = excluded.proc_cgroup"
	    " WHERE tenant_id = excluded.tenant_id");

	if (st == NULL)
		return -1;
	bind_str(st, 1, a->id);
	bind_str(st, 2, a->tenant);
	bind_str(st, 3, a->name);
	bind_str(st, 4, a->rate_limit);
	bind_u64(st, 5, a->created_ms);
	sqlite3_bind_int64(st, 6, a->proc_uid);
	bind_str(st, 7, a->proc_exe);
	bind_str(st, 8, a->proc_sha256);
	bind_str(st, 9, a->proc_cgroup);
	return store_run(s, st);
}

int
store_agent_delete(struct store *s, const char *tenant, const char *id)
{
	sqlite3_stmt *st = store_write(
	    s, SLOT_AGENT_DELETE, "DELETE FROM agents WHERE tenant_id = ?1 AND id = ?2");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, id);
	return store_run(s, st);
}

int
store_agent_each(
    struct store *s, int (*fn)(const struct store_agent *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_AGENT_EACH,
	    "SELECT id, tenant_id, name, rate_limit, created_at, proc_uid, proc_exe,"
	    " proc_sha256, proc_cgroup FROM agents"
	    " ORDER BY tenant_id, name");
	struct store_agent a;
	int r = SQLITE_ERROR;

	if (st == NULL)
		return -1;
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		column_str(st, 0, a.id, sizeof(a.id));
		column_str(st, 1, a.tenant, sizeof(a.tenant));
		column_str(st, 2, a.name, sizeof(a.name));
		column_str(st, 3, a.rate_limit, sizeof(a.rate_limit));
		a.created_ms = column_u64(st, 4);
		a.proc_uid = sqlite3_column_int64(st, 5);
		column_str(st, 6, a.proc_exe, sizeof(a.proc_exe));
		column_str(st, 7, a.proc_sha256, sizeof(a.proc_sha256));
		column_str(st, 8, a.proc_cgroup, sizeof(a.proc_cgroup));
		if (fn(&a, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE)
		(void)store_fail(s, "agents");
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}

int
store_token_put(struct store *s, const struct store_token *t)
{
	sqlite3_stmt *st = store_write(s, SLOT_TOKEN_PUT,
	    "INSERT INTO agent_tokens"
	    "(tenant_id, agent_id, run, token_hash, prefix, created_at, expires_at)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"
	    " ON CONFLICT(tenant_id, agent_id, run) DO UPDATE SET"
	    " token_hash = excluded.token_hash, prefix = excluded.prefix,"
	    " created_at = excluded.created_at, expires_at = excluded.expires_at");

	if (st == NULL)
		return -1;
	bind_str(st, 1, t->tenant);
	bind_str(st, 2, t->agent_id);
	bind_str(st, 3, t->run);
	sqlite3_bind_blob(st, 4, t->hash, sizeof(t->hash), SQLITE_STATIC);
	bind_str(st, 5, t->prefix);
	bind_u64(st, 6, t->created_ms);
	bind_u64(st, 7, t->expires_ms);
	return store_run(s, st);
}

int
store_token_delete(
    struct store *s, const char *tenant, const char *agent_id, const char *run)
{
	sqlite3_stmt *st = store_write(s, SLOT_TOKEN_DELETE,
	    "DELETE FROM agent_tokens WHERE tenant_id = ?1 AND agent_id = ?2 AND run = "
	    "?3");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, agent_id);
	bind_str(st, 3, run);
	return store_run(s, st);
}

int
store_token_each(
    struct store *s, int (*fn)(const struct store_token *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_TOKEN_EACH,
	    "SELECT tenant_id, agent_id, run, token_hash, prefix, created_at, expires_at"
	    " FROM agent_tokens ORDER BY tenant_id, agent_id, run");
	struct store_token t;
	int r;

	if (st == NULL)
		return -1;
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		column_str(st, 0, t.tenant, sizeof(t.tenant));
		column_str(st, 1, t.agent_id, sizeof(t.agent_id));
		column_str(st, 2, t.run, sizeof(t.run));
		column_fix(st, 3, t.hash, sizeof(t.hash));
		column_str(st, 4, t.prefix, sizeof(t.prefix));
		t.created_ms = column_u64(st, 5);
		t.expires_ms = column_u64(st, 6);
		if (fn(&t, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE)
		(void)store_fail(s, "tokens");
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}

/* Two tables of the same form: an agent and the name of what it may use. */
static int
pair_put(struct store *s, enum store_slot slot, const char *sql, const char *tenant,
    const char *agent_id, const char *what, uint64_t now_ms)
{
	sqlite3_stmt *st = store_write(s, slot, sql);

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, agent_id);
	bind_str(st, 3, what);
	bind_u64(st, 4, now_ms);
	return store_run(s, st);
}

static int
pair_delete(struct store *s, enum store_slot slot, const char *sql, const char *tenant,
    const char *agent_id, const char *what)
{
	sqlite3_stmt *st = store_write(s, slot, sql);

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, agent_id);
	bind_str(st, 3, what);
	return store_run(s, st);
}

static int
pair_each(struct store *s, enum store_slot slot, const char *sql,
    int (*fn)(const char *, const char *, const char *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, slot, sql);
	char tenant[STORE_TENANT_MAX], agent_id[STORE_ID_MAX], what[STORE_CONTEXT_MAX];
	int r;

	if (st == NULL)
		return -1;
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		column_str(st, 0, tenant, sizeof(tenant));
		column_str(st, 1, agent_id, sizeof(agent_id));
		column_str(st, 2, what, sizeof(what));
		if (fn(tenant, agent_id, what, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE)
		(void)store_fail(s, "rights");
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}

int
store_grant_put(struct store *s, const char *tenant, const char *agent_id,
    const char *credential_id, uint64_t now_ms)
{
	return pair_put(s, SLOT_GRANT_PUT,
	    "INSERT INTO agent_credentials(tenant_id, agent_id, credential_id, "
	    "granted_at)"
	    " VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
	    tenant, agent_id, credential_id, now_ms);
}

int
store_grant_delete(
    struct store *s, const char *tenant, const char *agent_id, const char *credential_id)
{
	return pair_delete(s, SLOT_GRANT_DELETE,
	    "DELETE FROM agent_credentials"
	    " WHERE tenant_id = ?1 AND agent_id = ?2 AND credential_id = ?3",
	    tenant, agent_id, credential_id);
}

int
store_grant_each(struct store *s,
    int (*fn)(const char *, const char *, const char *, void *), void *arg)
{
	return pair_each(s, SLOT_GRANT_EACH,
	    "SELECT tenant_id, agent_id, credential_id FROM agent_credentials", fn, arg);
}

int
store_agent_context_put(struct store *s, const char *tenant, const char *agent_id,
    const char *context, uint64_t now_ms)
{
	return pair_put(s, SLOT_AGENT_CONTEXT_PUT,
	    "INSERT INTO agent_contexts(tenant_id, agent_id, context, granted_at)"
	    " VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
	    tenant, agent_id, context, now_ms);
}

int
store_agent_context_delete(
    struct store *s, const char *tenant, const char *agent_id, const char *context)
{
	return pair_delete(s, SLOT_AGENT_CONTEXT_DELETE,
	    "DELETE FROM agent_contexts"
	    " WHERE tenant_id = ?1 AND agent_id = ?2 AND context = ?3",
	    tenant, agent_id, context);
}

int
store_agent_context_each(struct store *s,
    int (*fn)(const char *, const char *, const char *, void *), void *arg)
{
	return pair_each(s, SLOT_AGENT_CONTEXT_EACH,
	    "SELECT tenant_id, agent_id, context FROM agent_contexts", fn, arg);
}
