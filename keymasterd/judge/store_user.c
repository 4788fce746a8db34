/* SPDX-License-Identifier: Apache-2.0 */
/* People who administer, in the SQLite store. Judge only. */
#include "keymasterd/judge/store_int.h"

int
store_user_put(struct store *s, const struct store_user *u)
{
	sqlite3_stmt *st = store_write(s, SLOT_USER_PUT,
	    "INSERT INTO users(tenant_id, name, role, token_hash, prefix, created_at,"
	    " updated_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"
	    " ON CONFLICT(tenant_id, name) DO UPDATE SET role = excluded.role,"
	    " token_hash = excluded.token_hash, prefix = excluded.prefix,"
	    " updated_at = excluded.updated_at");

	if (st == NULL)
		return -1;
	bind_str(st, 1, u->tenant);
	bind_str(st, 2, u->name);
	bind_str(st, 3, u->role);
	sqlite3_bind_blob(st, 4, u->token_hash, sizeof(u->token_hash), SQLITE_STATIC);
	bind_str(st, 5, u->prefix);
	bind_u64(st, 6, u->created_ms);
	bind_u64(st, 7, u->updated_ms);
	return store_run(s, st);
}

int
store_user_delete(struct store *s, const char *tenant, const char *name)
{
	sqlite3_stmt *st = store_write(
	    s, SLOT_USER_DELETE, "DELETE FROM users WHERE tenant_id = ?1 AND name = ?2");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, name);
	return store_run(s, st);
}

int
store_user_each(struct store *s, int (*fn)(const struct store_user *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_USER_EACH,
	    "SELECT tenant_id, name, role, token_hash, prefix, created_at, updated_at"
	    " FROM users ORDER BY tenant_id, name");
	struct store_user u;
	int r = SQLITE_ERROR;

	if (st == NULL)
		return -1;
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		column_str(st, 0, u.tenant, sizeof(u.tenant));
		column_str(st, 1, u.name, sizeof(u.name));
		column_str(st, 2, u.role, sizeof(u.role));
		column_fix(st, 3, u.token_hash, sizeof(u.token_hash));
		column_str(st, 4, u.prefix, sizeof(u.prefix));
		u.created_ms = column_u64(st, 5);
		u.updated_ms = column_u64(st, 6);
		if (fn(&u, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE)
		(void)store_fail(s, "users");
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}
