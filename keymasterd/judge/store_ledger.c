/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's rows and checkpoints in the SQLite store. Judge only. */
#include "keymasterd/judge/store_int.h"

int
store_ledger_put(struct store *s, uint64_t seq, const char *tenant, struct span text,
    const uint8_t hash[32])
{
	sqlite3_stmt *st = store_write(s, SLOT_LEDGER_PUT,
	    "INSERT INTO ledger(seq, tenant_id, text, hash) VALUES(?1, ?2, ?3, ?4)");

	if (st == NULL)
		return -1;
	bind_u64(st, 1, seq);
	bind_str(st, 2, tenant);
	sqlite3_bind_text(st, 3, text.p, (int)text.len, SQLITE_STATIC);
	sqlite3_bind_blob(st, 4, hash, 32, SQLITE_STATIC);
	if (store_run(s, st) == 0)
		return 0;
	s->failed = 1; /* a number used twice is as bad as a full disk */
	return -1;
}

int
store_ledger_each(struct store *s, const char *tenant, uint64_t after, uint64_t until,
    int down, int (*fn)(const struct store_ledger_row *, void *), void *arg)
{
	struct store_ledger_row row;
	sqlite3_stmt *st;
	int r;

	if (tenant == NULL)
		st = down ? store_stmt(s, SLOT_LEDGER_DOWN,
				"SELECT seq, text, hash FROM ledger"
				" WHERE seq > ?1 AND seq <= ?2 ORDER BY seq DESC")
			  : store_stmt(s, SLOT_LEDGER_UP,
				"SELECT seq, text, hash FROM ledger"
				" WHERE seq > ?1 AND seq <= ?2 ORDER BY seq");
	else
		st = down ? store_stmt(s, SLOT_LEDGER_DOWN_TENANT,
				"SELECT seq, text, hash FROM ledger WHERE seq > ?1 AND "
				"seq <= ?2"
				" AND tenant_id = ?3 ORDER BY seq DESC")
			  : store_stmt(s, SLOT_LEDGER_UP_TENANT,
				"SELECT seq, text, hash FROM ledger WHERE seq > ?1 AND "
				"seq <= ?2"
				" AND tenant_id = ?3 ORDER BY seq");
	if (st == NULL)
		return -1;
	bind_u64(st, 1, after);
	bind_u64(st, 2, until > INT64_MAX ? INT64_MAX : until);
	if (tenant != NULL)
		bind_str(st, 3, tenant);
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		row.seq = column_u64(st, 0);
		row.text.p = (const char *)sqlite3_column_text(st, 1);
		row.text.len = (size_t)sqlite3_column_bytes(st, 1);
		column_fix(st, 2, row.hash, sizeof(row.hash));
		if (row.text.p == NULL || fn(&row, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE && r != SQLITE_ROW)
		(void)store_fail(s, "ledger");
	sqlite3_reset(st);
	return r == SQLITE_DONE || r == SQLITE_ROW ? 0 : -1;
}

int
store_ledger_last(struct store *s, uint64_t *seq)
{
	sqlite3_stmt *st =
	    store_stmt(s, SLOT_LEDGER_LAST, "SELECT coalesce(max(seq), 0) FROM ledger");
	int r;

	if (st == NULL)
		return -1;
	r = sqlite3_step(st);
	if (r == SQLITE_ROW)
		*seq = column_u64(st, 0);
	else
		(void)store_fail(s, "ledger");
	sqlite3_reset(st);
	return r == SQLITE_ROW ? 0 : -1;
}

int
store_checkpoint_put(struct store *s, const struct store_checkpoint *c)
{
	sqlite3_stmt *st = store_write(s, SLOT_CHECKPOINT_PUT,
	    "INSERT INTO checkpoints(seq, tenant_id, chain, head, time, kid, signature)"
	    " VALUES(?1, '', ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING");

	if (st == NULL)
		return -1;
	bind_u64(st, 1, c->seq);
	bind_str(st, 2, c->chain);
	sqlite3_bind_blob(st, 3, c->head, sizeof(c->head), SQLITE_STATIC);
	bind_str(st, 4, c->time);
	bind_str(st, 5, c->kid);
	sqlite3_bind_blob(st, 6, c->signature, sizeof(c->signature), SQLITE_STATIC);
	return store_run(s, st);
}

int
store_checkpoint_each(struct store *s, uint64_t after,
    int (*fn)(const struct store_checkpoint *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_CHECKPOINT_EACH,
	    "SELECT seq, chain, head, time, kid, signature FROM checkpoints WHERE seq > "
	    "?1"
	    " ORDER BY seq");
	struct store_checkpoint c;
	int r;

	if (st == NULL)
		return -1;
	bind_u64(st, 1, after);
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		c.seq = column_u64(st, 0);
		column_str(st, 1, c.chain, sizeof(c.chain));
		column_fix(st, 2, c.head, sizeof(c.head));
		column_str(st, 3, c.time, sizeof(c.time));
		column_str(st, 4, c.kid, sizeof(c.kid));
		column_fix(st, 5, c.signature, sizeof(c.signature));
		if (fn(&c, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE && r != SQLITE_ROW)
		(void)store_fail(s, "checkpoints");
	sqlite3_reset(st);
	return r == SQLITE_DONE || r == SQLITE_ROW ? 0 : -1;
}
