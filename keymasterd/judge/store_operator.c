/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of operators that we gave out, in the SQLite store. Judge only. */
#include "keymasterd/judge/store_int.h"

int
store_operator_add(struct store *s, const struct store_operator *o)
{
	sqlite3_stmt *st = store_write(s, SLOT_OPERATOR_ADD,
	    "INSERT INTO operator_tokens(tenant_id, jti, name, role, created_at,"
	    " expires_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6)");

	if (st == NULL)
		return -1;
	bind_str(st, 1, o->tenant);
	bind_str(st, 2, o->jti);
	bind_str(st, 3, o->name);
	sqlite3_bind_int(st, 4, (int)o->role);
	bind_u64(st, 5, o->created_ms);
	bind_u64(st, 6, o->expires_ms);
	return store_run(s, st);
}

int
store_operator_revoked(struct store *s, const char *tenant, const char *jti)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_OPERATOR_GET,
	    "SELECT 1 FROM operator_tokens WHERE tenant_id = ?1 AND jti = ?2 AND role = "
	    "0");
	int r;

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, jti);
	r = sqlite3_step(st);
	if (r != SQLITE_ROW && r != SQLITE_DONE)
		(void)store_fail(s, "operator_tokens");
	sqlite3_reset(st);
	return r == SQLITE_ROW ? 1 : r == SQLITE_DONE ? 0 : -1;
}

int
store_operator_revoke(struct store *s, const char *tenant, const char *jti)
{
	sqlite3_stmt *st = store_write(s, SLOT_OPERATOR_DELETE,
	    "UPDATE operator_tokens SET role = 0 WHERE tenant_id = ?1 AND jti = ?2");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, jti);
	return store_run(s, st);
}

int
store_operator_purge(struct store *s, const char *tenant, uint64_t before_ms)
{
	sqlite3_stmt *st = store_write(s, SLOT_OPERATOR_PURGE,
	    "DELETE FROM operator_tokens WHERE tenant_id = ?1 AND expires_at < ?2");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_u64(st, 2, before_ms);
	return store_run(s, st);
}

int
store_operator_each(struct store *s, const char *tenant,
    int (*fn)(const struct store_operator *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_OPERATOR_EACH,
	    "SELECT tenant_id, jti, name, role, created_at, expires_at"
	    " FROM operator_tokens WHERE tenant_id = ?1 AND role > 0 ORDER BY "
	    "created_at, jti");
	struct store_operator o;
	int r = SQLITE_ERROR;

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		column_str(st, 0, o.tenant, sizeof(o.tenant));
		column_str(st, 1, o.jti, sizeof(o.jti));
		column_str(st, 2, o.name, sizeof(o.name));
		o.role = (unsigned)sqlite3_column_int(st, 3);
		o.created_ms = column_u64(st, 4);
		o.expires_ms = column_u64(st, 5);
		if (fn(&o, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE && r != SQLITE_ROW)
		(void)store_fail(s, "operator_tokens");
	sqlite3_reset(st);
	return r == SQLITE_DONE || r == SQLITE_ROW ? 0 : -1;
}
