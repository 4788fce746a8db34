/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and their nonces in the SQLite store. Judge only. */
#include "keymasterd/judge/store_int.h"

int
store_node_put(struct store *s, const struct store_node *n)
{
	sqlite3_stmt *st = store_write(s, SLOT_NODE_PUT,
	    "INSERT INTO nodes(tenant_id, node_id, public_key, role, registered, "
	    "created_at,"
	    " seen_at, last_time) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
	    " ON CONFLICT(tenant_id, node_id) DO UPDATE SET role = excluded.role,"
	    " registered = excluded.registered, seen_at = excluded.seen_at,"
	    " last_time = excluded.last_time");

	if (st == NULL)
		return -1;
	bind_str(st, 1, n->tenant);
	bind_str(st, 2, n->id);
	sqlite3_bind_blob(st, 3, n->public_key, sizeof(n->public_key), SQLITE_STATIC);
	bind_str(st, 4, n->role);
	sqlite3_bind_int(st, 5, n->registered);
	bind_u64(st, 6, n->created_ms);
	bind_u64(st, 7, n->seen_ms);
	bind_u64(st, 8, n->last_time);
	return store_run(s, st);
}

int
store_node_each(struct store *s, int (*fn)(const struct store_node *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_NODE_EACH,
	    "SELECT tenant_id, node_id, public_key, role, registered, created_at, "
	    "seen_at,"
	    " last_time FROM nodes ORDER BY created_at");
	struct store_node n;
	int r;

	if (st == NULL)
		return -1;
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		column_str(st, 0, n.tenant, sizeof(n.tenant));
		column_str(st, 1, n.id, sizeof(n.id));
		column_fix(st, 2, n.public_key, sizeof(n.public_key));
		column_str(st, 3, n.role, sizeof(n.role));
		n.registered = (uint8_t)sqlite3_column_int(st, 4);
		n.created_ms = column_u64(st, 5);
		n.seen_ms = column_u64(st, 6);
		n.last_time = column_u64(st, 7);
		if (fn(&n, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE)
		(void)store_fail(s, "nodes");
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}

int
store_node_nonce(struct store *s, const char *tenant, const char *nonce, uint64_t now_ms)
{
	sqlite3_stmt *st = store_write(s, SLOT_NODE_NONCE,
	    "INSERT INTO node_nonces(tenant_id, nonce, seen_at) VALUES(?1, ?2, ?3)"
	    " ON CONFLICT DO NOTHING");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, nonce);
	bind_u64(st, 3, now_ms);
	if (store_run(s, st) == -1)
		return -1;
	return sqlite3_changes(s->db) == 0 ? STORE_EXISTS : 0;
}

int
store_node_nonce_purge(struct store *s, uint64_t before_ms, unsigned limit)
{
	sqlite3_stmt *st = store_write(s, SLOT_NODE_NONCE_PURGE,
	    "DELETE FROM node_nonces WHERE (tenant_id, nonce) IN"
	    " (SELECT tenant_id, nonce FROM node_nonces WHERE seen_at < ?1 LIMIT ?2)");

	if (st == NULL)
		return -1;
	bind_u64(st, 1, before_ms);
	sqlite3_bind_int64(st, 2, limit);
	return store_run(s, st);
}
