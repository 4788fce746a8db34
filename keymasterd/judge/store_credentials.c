/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials (without their secrets) and rate windows in the SQLite store. Judge only.
 */
#include "keymasterd/judge/store_int.h"

#include <stdlib.h>

int
store_credential_put(struct store *s, const struct store_credential *c)
{
	sqlite3_stmt *st = store_write(s, SLOT_CREDENTIAL_PUT,
	    "INSERT INTO credentials(id, tenant_id, name, service, domains, auth_type,"
	    " header_name, query_param, scopes, rate_limit, body_inspection, upstream,"
	    " allow_private, expires_at, created_at, updated_at, rotated_at,"
	    " methods, allow_paths, deny_paths, secret_ref, grace_until)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
	    "?16, ?17, ?18, ?19, ?20, ?21, ?22)"
	    " ON CONFLICT(id) DO UPDATE SET domains = excluded.domains,"
	    " auth_type = excluded.auth_type, header_name = excluded.header_name,"
	    " query_param = excluded.query_param, scopes = excluded.scopes,"
	    " rate_limit = excluded.rate_limit, body_inspection = "
	    "excluded.body_inspection,"
	    " upstream = excluded.upstream, allow_private = excluded.allow_private,"
	    " expires_at = excluded.expires_at, updated_at = excluded.updated_at,"
	    " methods = excluded.methods, allow_paths = excluded.allow_paths,"
	    " deny_paths = excluded.deny_paths,"
	    " rotated_at = excluded.rotated_at, secret_ref = excluded.secret_ref,"
	    " grace_until = excluded.grace_until"
	    " WHERE tenant_id = excluded.tenant_id");

	if (st == NULL)
		return -1;
	bind_str(st, 1, c->id);
	bind_str(st, 2, c->tenant);
	bind_str(st, 3, c->name);
	bind_str(st, 4, c->service);
	bind_str(st, 5, c->domains);
	bind_str(st, 6, c->auth_type);
	bind_str(st, 7, c->header_name);
	bind_str(st, 8, c->query_param);
	bind_str(st, 9, c->scopes);
	bind_str(st, 10, c->rate_limit);
	bind_str(st, 11, c->inspection);
	bind_str(st, 12, c->upstream);
	sqlite3_bind_int(st, 13, c->allow_private != 0);
	bind_u64(st, 14, c->expires_ms);
	bind_u64(st, 15, c->created_ms);
	bind_u64(st, 16, c->updated_ms);
	bind_u64(st, 17, c->rotated_ms);
	bind_str(st, 18, c->methods);
	bind_str(st, 19, c->allow_paths);
	bind_str(st, 20, c->deny_paths);
	bind_str(st, 21, c->secret_ref);
	bind_u64(st, 22, c->grace_ms);
	return store_run(s, st);
}

int
store_credential_delete(struct store *s, const char *tenant, const char *id)
{
	sqlite3_stmt *st = store_write(s, SLOT_CREDENTIAL_DELETE,
	    "DELETE FROM credentials WHERE tenant_id = ?1 AND id = ?2");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, id);
	return store_run(s, st);
}

static void
credential_read(sqlite3_stmt *st, struct store_credential *c)
{
	column_str(st, 0, c->id, sizeof(c->id));
	column_str(st, 1, c->tenant, sizeof(c->tenant));
	column_str(st, 2, c->name, sizeof(c->name));
	column_str(st, 3, c->service, sizeof(c->service));
	column_str(st, 4, c->domains, sizeof(c->domains));
	column_str(st, 5, c->auth_type, sizeof(c->auth_type));
	column_str(st, 6, c->header_name, sizeof(c->header_name));
	column_str(st, 7, c->query_param, sizeof(c->query_param));
	column_str(st, 8, c->scopes, sizeof(c->scopes));
	column_str(st, 9, c->rate_limit, sizeof(c->rate_limit));
	column_str(st, 10, c->inspection, sizeof(c->inspection));
	column_str(st, 11, c->upstream, sizeof(c->upstream));
	c->allow_private = sqlite3_column_int(st, 12);
	c->expires_ms = column_u64(st, 13);
	c->created_ms = column_u64(st, 14);
	c->updated_ms = column_u64(st, 15);
	c->rotated_ms = column_u64(st, 16);
	column_str(st, 17, c->methods, sizeof(c->methods));
	column_str(st, 18, c->allow_paths, sizeof(c->allow_paths));
	column_str(st, 19, c->deny_paths, sizeof(c->deny_paths));
	column_str(st, 20, c->secret_ref, sizeof(c->secret_ref));
	c->grace_ms = column_u64(st, 21);
}

int
store_credential_each(
    struct store *s, int (*fn)(const struct store_credential *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_CREDENTIAL_EACH,
	    "SELECT id, tenant_id, name, service, domains, auth_type, header_name, "
	    "query_param,"
	    " scopes, rate_limit, body_inspection, upstream, allow_private, expires_at,"
	    " created_at, updated_at, rotated_at, methods, allow_paths, deny_paths,"
	    " secret_ref, grace_until"
	    " FROM credentials ORDER BY tenant_id, "
	    "name");
	struct store_credential *c = malloc(sizeof(*c));
	int r = SQLITE_ERROR;

	while (st != NULL && c != NULL && (r = sqlite3_step(st)) == SQLITE_ROW) {
		credential_read(st, c);
		if (fn(c, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE)
		(void)store_fail(s, "credentials");
	sqlite3_reset(st);
	free(c);
	return r == SQLITE_DONE ? 0 : -1;
}

int
store_window_put(
    struct store *s, const char *tenant, const char *key, const void *blob, size_t len)
{
	sqlite3_stmt *st = store_write(s, SLOT_WINDOW_PUT,
	    "INSERT INTO rate_windows(tenant_id, key, entries) VALUES(?1, ?2, ?3)"
	    " ON CONFLICT(tenant_id, key) DO UPDATE SET entries = excluded.entries");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, key);
	sqlite3_bind_blob64(st, 3, len > 0 ? blob : "", len, SQLITE_STATIC);
	return store_run(s, st);
}

int
store_window_delete(struct store *s, const char *tenant, const char *key)
{
	sqlite3_stmt *st = store_write(s, SLOT_WINDOW_DELETE,
	    "DELETE FROM rate_windows WHERE tenant_id = ?1 AND key = ?2");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, key);
	return store_run(s, st);
}

int
store_window_each(struct store *s,
    int (*fn)(const char *, const char *, const void *, size_t, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(
	    s, SLOT_WINDOW_EACH, "SELECT tenant_id, key, entries FROM rate_windows");
	char tenant[STORE_TENANT_MAX], key[160];
	int r;

	if (st == NULL)
		return -1;
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		column_str(st, 0, tenant, sizeof(tenant));
		column_str(st, 1, key, sizeof(key));
		if (fn(tenant, key, sqlite3_column_blob(st, 2),
			(size_t)sqlite3_column_bytes(st, 2), arg) != 0)
			break;
	}
	if (r != SQLITE_DONE)
		(void)store_fail(s, "rate windows");
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}
