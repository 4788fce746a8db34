/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks and their queue in the SQLite store; see store_hook.h. Judge only. */
#include "keymasterd/judge/store_hook.h"

#include "keymasterd/judge/store_int.h"

int
store_hook_put(struct store *s, const struct store_hook *h)
{
	sqlite3_stmt *st = store_write(s, SLOT_HOOK_PUT,
	    "INSERT INTO webhooks(tenant_id, id, url, label, events, allow_private,"
	    " created_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"
	    " ON CONFLICT(tenant_id, id) DO UPDATE SET url = excluded.url,"
	    " label = excluded.label, events = excluded.events,"
	    " allow_private = excluded.allow_private");

	if (st == NULL)
		return -1;
	bind_str(st, 1, h->tenant);
	bind_str(st, 2, h->id);
	bind_str(st, 3, h->url);
	bind_str(st, 4, h->label);
	sqlite3_bind_int64(st, 5, h->events);
	sqlite3_bind_int(st, 6, h->allow_private);
	bind_u64(st, 7, h->created_ms);
	return store_run(s, st);
}

static int
delete_of(
    struct store *s, enum store_slot slot, const char *sql, const char *t, const char *id)
{
	sqlite3_stmt *st = store_write(s, slot, sql);

	if (st == NULL)
		return -1;
	bind_str(st, 1, t);
	bind_str(st, 2, id);
	return store_run(s, st);
}

int
store_hook_delete(struct store *s, const char *tenant, const char *id)
{
	if (delete_of(s, SLOT_HOOK_QUEUE_DELETE,
		"DELETE FROM webhook_queue WHERE tenant_id = ?1 AND webhook = ?2", tenant,
		id) == -1)
		return -1;
	return delete_of(s, SLOT_HOOK_DELETE,
	    "DELETE FROM webhooks WHERE tenant_id = ?1 AND id = ?2", tenant, id);
}

int
store_hook_each(struct store *s, int (*fn)(const struct store_hook *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_HOOK_EACH,
	    "SELECT tenant_id, id, url, label, events, allow_private, created_at"
	    " FROM webhooks ORDER BY created_at");
	struct store_hook h;
	int r;

	if (st == NULL)
		return -1;
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		column_str(st, 0, h.tenant, sizeof(h.tenant));
		column_str(st, 1, h.id, sizeof(h.id));
		column_str(st, 2, h.url, sizeof(h.url));
		column_str(st, 3, h.label, sizeof(h.label));
		h.events = (uint32_t)sqlite3_column_int64(st, 4);
		h.allow_private = sqlite3_column_int(st, 5);
		h.created_ms = column_u64(st, 6);
		if (fn(&h, arg) != 0)
			break;
	}
	if (r != SQLITE_DONE)
		(void)store_fail(s, "webhooks");
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}

int
store_delivery_add(struct store *s, const struct store_delivery *d)
{
	sqlite3_stmt *st = store_write(s, SLOT_DELIVERY_ADD,
	    "INSERT INTO webhook_queue(tenant_id, webhook, delivery, event, body,"
	    " created_at, attempts, next_at, dead, last)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0, '')");

	if (st == NULL)
		return -1;
	bind_str(st, 1, d->tenant);
	bind_str(st, 2, d->hook);
	bind_str(st, 3, d->id);
	sqlite3_bind_int64(st, 4, d->event);
	sqlite3_bind_text(st, 5, d->body.p, (int)d->body.len, SQLITE_STATIC);
	bind_u64(st, 6, d->created_ms);
	bind_u64(st, 7, d->next_ms);
	return store_run(s, st);
}

int
store_delivery_update(struct store *s, const struct store_delivery *d)
{
	sqlite3_stmt *st = store_write(s, SLOT_DELIVERY_UPDATE,
	    "UPDATE webhook_queue SET attempts = ?2, next_at = ?3, dead = ?4, last = ?5"
	    " WHERE number = ?1 AND delivery = ?6");

	if (st == NULL)
		return -1;
	bind_u64(st, 1, d->number);
	sqlite3_bind_int64(st, 2, d->attempts);
	bind_u64(st, 3, d->next_ms);
	sqlite3_bind_int(st, 4, d->dead);
	bind_str(st, 5, d->last);
	bind_str(st, 6, d->id);
	return store_run(s, st);
}

int
store_delivery_delete(struct store *s, const struct store_delivery *d)
{
	sqlite3_stmt *st = store_write(s, SLOT_DELIVERY_DELETE,
	    "DELETE FROM webhook_queue WHERE number = ?1 AND delivery = ?2");

	if (st == NULL)
		return -1;
	bind_u64(st, 1, d->number);
	bind_str(st, 2, d->id);
	return store_run(s, st);
}

#define COLUMNS                                                                  \
	"SELECT number, tenant_id, webhook, delivery, event, body, created_at, " \
	"next_at,"                                                               \
	" attempts, dead, last FROM webhook_queue "

static int
walk(struct store *s, sqlite3_stmt *st, int (*fn)(const struct store_delivery *, void *),
    void *arg)
{
	struct store_delivery d;
	int r;

	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		d.number = column_u64(st, 0);
		column_str(st, 1, d.tenant, sizeof(d.tenant));
		column_str(st, 2, d.hook, sizeof(d.hook));
		column_str(st, 3, d.id, sizeof(d.id));
		d.event = (uint32_t)sqlite3_column_int64(st, 4);
		d.body = span_mem(
		    sqlite3_column_text(st, 5), (size_t)sqlite3_column_bytes(st, 5));
		d.created_ms = column_u64(st, 6);
		d.next_ms = column_u64(st, 7);
		d.attempts = (uint32_t)sqlite3_column_int64(st, 8);
		d.dead = sqlite3_column_int(st, 9);
		column_str(st, 10, d.last, sizeof(d.last));
		if (fn(&d, arg) != 0) {
			r = SQLITE_DONE;
			break;
		}
	}
	if (r != SQLITE_DONE)
		(void)store_fail(s, "webhook_queue");
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}

int
store_delivery_due(struct store *s, const char *tenant, const char *hook, uint64_t now_ms,
    uint64_t latest_ms, int (*fn)(const struct store_delivery *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_DELIVERY_DUE,
	    COLUMNS "WHERE tenant_id = ?1 AND webhook = ?2 AND dead = 0"
		    " AND (next_at <= ?3 OR next_at > ?4)"
		    " ORDER BY next_at, number LIMIT 16");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, hook);
	bind_u64(st, 3, now_ms);
	bind_u64(st, 4, latest_ms);
	return walk(s, st, fn, arg);
}

int
store_delivery_dead(struct store *s, const char *tenant,
    int (*fn)(const struct store_delivery *, void *), void *arg)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_DELIVERY_DEAD,
	    COLUMNS "WHERE tenant_id = ?1 AND dead = 1 ORDER BY number DESC LIMIT 200");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	return walk(s, st, fn, arg);
}

int
store_delivery_count(struct store *s, const char *tenant, const char *hook,
    uint64_t *pending, uint64_t *dead, uint64_t *next_ms)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_DELIVERY_COUNT,
	    "SELECT count(*) FILTER (WHERE dead = 0), count(*) FILTER (WHERE dead = 1),"
	    " coalesce(min(next_at) FILTER (WHERE dead = 0), 0)"
	    " FROM webhook_queue WHERE tenant_id = ?1 AND webhook = ?2");
	int r;

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, hook);
	r = sqlite3_step(st);
	if (r == SQLITE_ROW) {
		*pending = column_u64(st, 0);
		*dead = column_u64(st, 1);
		*next_ms = column_u64(st, 2);
	} else {
		(void)store_fail(s, "webhook_queue");
	}
	sqlite3_reset(st);
	return r == SQLITE_ROW ? 0 : -1;
}

int
store_delivery_hook_next(struct store *s, const char *tenant, char id[HOOK_ID_LEN + 1])
{
	sqlite3_stmt *st = store_stmt(s, SLOT_DELIVERY_HOOK_NEXT,
	    "SELECT coalesce(min(webhook), '') FROM webhook_queue"
	    " WHERE tenant_id = ?1 AND webhook > ?2");
	int r;

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, id);
	r = sqlite3_step(st);
	if (r == SQLITE_ROW)
		column_str(st, 0, id, HOOK_ID_LEN + 1);
	else
		(void)store_fail(s, "webhook_queue");
	sqlite3_reset(st);
	return r == SQLITE_ROW ? 0 : -1;
}

int
store_delivery_waiting(
    struct store *s, const char *tenant, const char *hook, unsigned waiting[], unsigned n)
{
	sqlite3_stmt *st = store_stmt(s, SLOT_DELIVERY_WAITING,
	    "SELECT event, count(*) FROM webhook_queue"
	    " WHERE tenant_id = ?1 AND webhook = ?2 AND dead = 0 GROUP BY event");
	unsigned i;
	int r;

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, hook);
	while ((r = sqlite3_step(st)) == SQLITE_ROW)
		for (i = 0; i < n; i++)
			if (sqlite3_column_int64(st, 0) == (int64_t)1 << i)
				waiting[i] += (unsigned)sqlite3_column_int64(st, 1);
	if (r != SQLITE_DONE)
		(void)store_fail(s, "webhook_queue");
	sqlite3_reset(st);
	return r == SQLITE_DONE ? 0 : -1;
}

int
store_delivery_trim(struct store *s, const char *tenant, const char *hook, unsigned keep)
{
	sqlite3_stmt *st = store_write(s, SLOT_DELIVERY_TRIM,
	    "DELETE FROM webhook_queue WHERE tenant_id = ?1 AND webhook = ?2 AND dead = 1"
	    " AND number NOT IN (SELECT number FROM webhook_queue WHERE tenant_id = ?1"
	    " AND webhook = ?2 AND dead = 1 ORDER BY number DESC LIMIT ?3)");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, hook);
	sqlite3_bind_int64(st, 3, keep);
	return store_run(s, st);
}

int
store_hook_told(
    struct store *s, const char *tenant, const char *credential_id, uint64_t day)
{
	sqlite3_stmt *st = store_write(s, SLOT_HOOK_TOLD,
	    "INSERT INTO webhook_told(tenant_id, credential_id, day) VALUES(?1, ?2, ?3)"
	    " ON CONFLICT DO NOTHING");

	if (st == NULL)
		return -1;
	bind_str(st, 1, tenant);
	bind_str(st, 2, credential_id);
	bind_u64(st, 3, day);
	if (store_run(s, st) == -1)
		return -1;
	return sqlite3_changes(s->db) == 0 ? STORE_EXISTS : 0;
}

int
store_hook_told_purge(struct store *s, uint64_t before_day)
{
	sqlite3_stmt *st = store_write(
	    s, SLOT_HOOK_TOLD_PURGE, "DELETE FROM webhook_told WHERE day < ?1");

	if (st == NULL)
		return -1;
	bind_u64(st, 1, before_day);
	return store_run(s, st);
}
