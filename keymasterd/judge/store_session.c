/* SPDX-License-Identifier: Apache-2.0 */
/* SecurityContexts and SEAL sessions in the SQLite store. Judge only. */
#include "keymasterd/judge/store_int.h"

int
store_context_put(struct store *s, const struct store_context *c)
{
	sqlite3_stmt *st = store_write(s, SLOT_CONTEXT_PUT,
	    "INSERT INTO contexts(tenant_id, name, version, json, updated_at)"
	    " VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(tenant_id, name) DO UPDATE SET"
	    " version = excluded.version, json = excluded.json,"
	    " updated_at = excluded.updated_at");

	if (st == NULL)
		return -1;
	bind_str(st, 1, c->tenant);
	bind_str(st, 2, c->name);
	sqlite3_bind_int64(st, 3, c->version);
	sqlite3_bind_text64(st, 4, c->json.p, c->json.len, SQLITE_STATIC, SQLITE_UTF8);
	bind_u64(st, 5, c->updated_ms);
	return store_run(s, st);
}

int
store_context_delete(struct store *s, const char *tenant, const char *name)
{
	sqlite3_stmt *st = store_write(s, SLOT_CONTEXT_DELETE,
	    "DELETE FROM contexts WHERE tenant_id = ?1 AND name = ?2");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, name);
	return store_run(s, st);
}

int
store_context_each(
    struct store *s, int (*fn)(const struct store_context *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_CONTEXT_EACH,
	    "SELECT tenant_id, name, version, json, updated_at FROM contexts"
	    " ORDER BY tenant_id, name");
	struct store_context c;
	int r;

	if (st == NULL)
		return -1;
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		column_str(st, 0, c.tenant, sizeof(c.tenant));
		column_str(st, 1, c.name, sizeof(c.name));
		c.version = (uint32_t)sqlite3_column_int64(st, 2);
		c.json.p = (const char *)sqlite3_column_text(st, 3);
		c.json.len = (size_t)sqlite3_column_bytes(st, 3);
		c.updated_ms = column_u64(st, 4);
		if (fn(&c, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE)
		(void)store_fail(s, "contexts");
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}

int
store_session_put(struct store *s, const struct store_session *x)
{
	sqlite3_stmt *st = store_write(s, SLOT_SESSION_PUT,
	    "INSERT INTO sessions(id, tenant_id, agent_id, sub, context, public_key, "
	    "exec_id,"
	    " token_hash, patterns, state, created_at, expires_at, reason, run)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
	    " ON CONFLICT(tenant_id, id) DO UPDATE SET agent_id = excluded.agent_id,"
	    " sub = excluded.sub, context = excluded.context, public_key = "
	    "excluded.public_key,"
	    " exec_id = excluded.exec_id, token_hash = excluded.token_hash,"
	    " patterns = excluded.patterns, state = excluded.state,"
	    " created_at = excluded.created_at, expires_at = excluded.expires_at,"
	    " reason = excluded.reason, run = excluded.run");

	if (st == NULL)
		return -1;
	bind_str(st, 1, x->id);
	bind_str(st, 2, x->tenant);
	bind_str(st, 3, x->agent_id);
	bind_str(st, 4, x->sub);
	bind_str(st, 5, x->context);
	sqlite3_bind_blob(st, 6, x->public_key, sizeof(x->public_key), SQLITE_STATIC);
	bind_str(st, 7, x->exec_id);
	sqlite3_bind_blob(st, 8, x->token_hash, sizeof(x->token_hash), SQLITE_STATIC);
	bind_str(st, 9, x->patterns);
	sqlite3_bind_int(st, 10, x->state);
	bind_u64(st, 11, x->created_ms);
	bind_u64(st, 12, x->expires_ms);
	bind_str(st, 13, x->reason);
	bind_str(st, 14, x->run);
	return store_run(s, st);
}

int
store_session_delete(struct store *s, const char *tenant, const char *id)
{
	sqlite3_stmt *st = store_write(s, SLOT_SESSION_DELETE,
	    "DELETE FROM sessions WHERE tenant_id = ?1 AND id = ?2");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, id);
	return store_run(s, st);
}

int
store_session_each(struct store *s, uint64_t now_ms,
    int (*fn)(const struct store_session *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_SESSION_EACH,
	    "SELECT id, tenant_id, agent_id, sub, context, public_key, exec_id, "
	    "token_hash,"
	    " patterns, state, created_at, expires_at, reason, run FROM sessions"
	    " WHERE expires_at > ?1 ORDER BY created_at");
	struct store_session x;
	int r;

	if (st == NULL)
		return -1;
	bind_u64(st, 1, now_ms);
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		column_str(st, 0, x.id, sizeof(x.id));
		column_str(st, 1, x.tenant, sizeof(x.tenant));
		column_str(st, 2, x.agent_id, sizeof(x.agent_id));
		column_str(st, 3, x.sub, sizeof(x.sub));
		column_str(st, 4, x.context, sizeof(x.context));
		column_fix(st, 5, x.public_key, sizeof(x.public_key));
		column_str(st, 6, x.exec_id, sizeof(x.exec_id));
		column_fix(st, 7, x.token_hash, sizeof(x.token_hash));
		column_str(st, 8, x.patterns, sizeof(x.patterns));
		x.state = (uint8_t)sqlite3_column_int(st, 9);
		x.created_ms = column_u64(st, 10);
		x.expires_ms = column_u64(st, 11);
		column_str(st, 12, x.reason, sizeof(x.reason));
		column_str(st, 13, x.run, sizeof(x.run));
		if (fn(&x, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE)
		(void)store_fail(s, "sessions");
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}

int
store_session_purge(struct store *s, uint64_t before_ms, unsigned limit)
{
	sqlite3_stmt *st = store_write(s, SLOT_SESSION_PURGE,
	    "DELETE FROM sessions WHERE (tenant_id, id) IN"
	    " (SELECT tenant_id, id FROM sessions WHERE expires_at < ?1 LIMIT ?2)");

	if (st == NULL)
		return -1;
	bind_u64(st, 1, before_ms);
	sqlite3_bind_int64(st, 2, limit);
	return store_run(s, st);
}
