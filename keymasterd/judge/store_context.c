/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SecurityContexts were: every version that was ever in force, those of the
 * configuration too (tenant ""). Judge only.
 */
#include "keymasterd/judge/store_int.h"

int
store_context_version_put(struct store *s, const struct store_context *c)
{
	sqlite3_stmt *st = store_write(s, SLOT_CONTEXT_VERSION_PUT,
	    "INSERT INTO context_versions(tenant_id, name, version, json, updated_at)"
	    " VALUES(?1, ?2, ?3, ?4, ?5)");

	if (st == NULL)
		return -1;
	bind_str(st, 1, c->tenant);
	bind_str(st, 2, c->name);
	sqlite3_bind_int64(st, 3, c->version);
	sqlite3_bind_text64(st, 4, c->json.len == 0 ? "" : c->json.p, c->json.len,
	    SQLITE_STATIC, SQLITE_UTF8);
	bind_u64(st, 5, c->updated_ms);
	return store_run(s, st);
}

static int
read_row(struct store *s, sqlite3_stmt *st,
    int (*fn)(const struct store_context *, void *), void *arg)
{
	struct store_context c;
	int r, n = 0;

	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		column_str(st, 0, c.tenant, sizeof(c.tenant));
		column_str(st, 1, c.name, sizeof(c.name));
		c.version = (uint32_t)sqlite3_column_int64(st, 2);
		c.json.p = (const char *)sqlite3_column_text(st, 3);
		c.json.len = (size_t)sqlite3_column_bytes(st, 3);
		c.updated_ms = column_u64(st, 4);
		n++;
		if (fn(&c, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE && r != SQLITE_ROW)
		(void)store_fail(s, "versions of contexts");
	sqlite3_reset(st);
	return r != SQLITE_DONE && r != SQLITE_ROW ? -1 : n == 0 ? STORE_MISSING : 0;
}

int
store_context_version_get(struct store *s, const char *tenant, const char *name,
    uint32_t version, int (*fn)(const struct store_context *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_CONTEXT_VERSION_GET,
	    "SELECT tenant_id, name, version, json, updated_at FROM context_versions"
	    " WHERE tenant_id = ?1 AND name = ?2 AND (?3 = 0 OR version = ?3)"
	    " ORDER BY version DESC LIMIT 1");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, name);
	sqlite3_bind_int64(st, 3, version);
	return read_row(s, st, fn, arg);
}

int
store_context_version_each(struct store *s, const char *tenant,
    int (*fn)(const struct store_context *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_CONTEXT_VERSION_EACH,
	    "SELECT tenant_id, name, max(version), json, updated_at FROM context_versions"
	    " WHERE tenant_id = ?1 GROUP BY name");
	int r;

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	r = read_row(s, st, fn, arg);
	return r == STORE_MISSING ? 0 : r;
}
