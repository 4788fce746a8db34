/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain: numbers, hashes, what is committed and what is not yet. Judge only. Text of
 * rows may come from agents; nothing here reads it.
 */
#include "keymasterd/judge/ledger.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/log.h"
#include "common/loop.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/judge_util.h"
#include "keymasterd/judge/ledger_int.h"

#define VERIFY_ROWS 1000

struct head {
	uint64_t seq;
	uint8_t hash[LEDGER_HASH_LEN];
};

static struct head committed, pending;
static struct store *store;
static char chain[33];
static char own_tenant[STORE_TENANT_MAX];
static struct buf text;
static uint64_t lost,
    lost_claimed; /* rows rolled back; those the gap row of this turn tells */
static uint64_t turn_rows;

/* ---- opening ---- */

struct verify {
	uint64_t expect;
	uint8_t hash[LEDGER_HASH_LEN];
	int started, bad;
	uint64_t checkpoint_seq; /* 0: none */
	uint8_t checkpoint_head[LEDGER_HASH_LEN];
};

static int
verify_row(const struct store_ledger_row *r, void *arg)
{
	struct verify *v = arg;
	uint8_t hash[LEDGER_HASH_LEN];

	if (!v->started) { /* the row before the first one to check gives the hash to
			      start with */
		v->started = 1;
		if (r->seq + 1 == v->expect) {
			memcpy(v->hash, r->hash, sizeof(v->hash));
			return 0;
		}
	}
	sha256_two(v->hash, sizeof(v->hash), r->text.p, r->text.len, hash);
	if (r->seq != v->expect || memcmp(hash, r->hash, sizeof(hash)) != 0 ||
	    (r->seq == v->checkpoint_seq &&
		memcmp(hash, v->checkpoint_head, sizeof(hash)) != 0)) {
		v->bad = 1;
		return 1;
	}
	memcpy(v->hash, hash, sizeof(v->hash));
	v->expect++;
	return 0;
}

static int
newest_checkpoint(const struct store_checkpoint *c, void *arg)
{
	struct verify *v = arg;

	v->checkpoint_seq = c->seq;
	memcpy(v->checkpoint_head, c->head, sizeof(v->checkpoint_head));
	return 0;
}

static int
verify_tail(uint64_t last, char *err, size_t err_size)
{
	struct verify v = {.expect = last > VERIFY_ROWS ? last - VERIFY_ROWS + 1 : 1};

	ledger_hash_zero(v.hash);
	v.started = v.expect == 1;
	if (store_checkpoint_each(store, last > VERIFY_ROWS ? last - VERIFY_ROWS : 0,
		newest_checkpoint, &v) == -1 ||
	    store_ledger_each(store, NULL, v.expect > 1 ? v.expect - 2 : 0, UINT64_MAX, 0,
		verify_row, &v) == -1) {
		snprintf(
		    err, err_size, "the ledger cannot be read: %s", store_error(store));
		return -1;
	}
	if (v.bad || v.expect != last + 1) {
		snprintf(err, err_size,
		    "the ledger is broken at row %llu: it does not follow from the row "
		    "before it, so "
		    "the database was changed from outside or is damaged; nothing starts "
		    "on it. Keep "
		    "a copy, and restore a backup or begin with a new data directory",
		    (unsigned long long)v.expect);
		return -1;
	}
	if (v.checkpoint_seq > last) {
		snprintf(err, err_size,
		    "the ledger ends at row %llu but a signed checkpoint names row %llu: "
		    "rows were "
		    "removed",
		    (unsigned long long)last, (unsigned long long)v.checkpoint_seq);
		return -1;
	}
	committed.seq = last;
	memcpy(committed.hash, v.hash, sizeof(committed.hash));
	ledger_checkpoint_seen(v.checkpoint_seq);
	return 0;
}

int
ledger_open(struct store *s, const char *tenant, char *err, size_t err_size)
{
	uint8_t id[16];
	uint64_t last = 0;
	int r;

	store = s;
	lost = lost_claimed = turn_rows = 0;
	snprintf(own_tenant, sizeof(own_tenant), "%s", tenant);
	r = store_meta_get(s, "chain", chain, sizeof(chain));
	if (r == -1 || store_ledger_last(s, &last) == -1) {
		snprintf(err, err_size, "the ledger cannot be read: %s", store_error(s));
		return -1;
	}
	if (r == STORE_MISSING) {
		if (last != 0) {
			snprintf(err, err_size,
			    "the ledger has rows but its chain's id is gone");
			return -1;
		}
		judge_random(id, sizeof(id));
		(void)hex_encode(id, sizeof(id), chain, sizeof(chain));
		if (store_meta_set(s, "chain", chain) == -1 || store_commit(s) == -1) {
			snprintf(err, err_size, "the ledger cannot be made: %s",
			    store_error(s));
			return -1;
		}
	}
	if (verify_tail(last, err, err_size) == -1)
		return -1;
	pending = committed;
	return 0;
}

/* ---- appending ---- */

static int
append(const struct ledger_row *row, uint64_t *seq)
{
	char tenant[STORE_TENANT_MAX];
	struct ledger_row r = *row;
	uint64_t next = pending.seq + 1;

	turn_rows++;
	if (r.tenant.p == NULL)
		r.tenant = span_str(own_tenant);
	buf_reset(&text);
	if (ledger_row_text(&r, next, loop_unix_us(), chain, &text) == -1 ||
	    text.len > LEDGER_TEXT_MAX ||
	    span_copy(r.tenant, tenant, sizeof(tenant)) == -1) {
		store_poison(store, "a row could not be written as text");
		return -1;
	}
	sha256_two(pending.hash, sizeof(pending.hash), text.p, text.len, pending.hash);
	if (store_ledger_put(
		store, next, tenant, span_mem(text.p, text.len), pending.hash) == -1)
		return -1;
	pending.seq = next;
	if (seq != NULL)
		*seq = next;
	return 0;
}

static void
tell_gap(void)
{
	char detail[160];
	struct ledger_row row = {.kind = LEDGER_SYSTEM, .event = span_str("ledger.gap")};

	snprintf(detail, sizeof(detail),
	    "%llu rows could not be written and what they were for was refused",
	    (unsigned long long)lost);
	lost_claimed += lost;
	lost = 0;
	row.detail = span_str(detail);
	(void)append(&row, NULL);
	turn_rows--; /* not a loss of its own if this turn fails as well */
}

int
ledger_append(const struct ledger_row *row, uint64_t *seq)
{
	if (lost > 0)
		tell_gap();
	return append(row, seq);
}

void
ledger_tick(uint64_t now_ms)
{
	ledger_budget_tick();
	ledger_checkpoint_tick(now_ms);
}

static void
system_row(const char *event, const char *detail)
{
	struct ledger_row row = {.kind = LEDGER_SYSTEM, .event = span_str(event)};

	if (detail != NULL)
		row.detail = span_str(detail);
	(void)ledger_append(&row, NULL);
}

void
ledger_start_row(const char *detail)
{
	system_row("start", detail);
}

void
ledger_stop_row(const char *detail)
{
	system_row("stop", detail);
}

void
ledger_committed(void)
{
	turn_rows = 0;
	lost_claimed = 0;
	committed = pending;
	ledger_checkpoint_run();
}

void
ledger_rolled_back(void)
{
	lost += turn_rows + lost_claimed;
	turn_rows = 0;
	lost_claimed = 0;
	pending = committed;
	ledger_checkpoint_run();
}

uint64_t
ledger_lost(void)
{
	return lost;
}

uint64_t
ledger_seq(void)
{
	return committed.seq;
}

uint64_t
ledger_seq_pending(void)
{
	return pending.seq;
}

const uint8_t *
ledger_head(void)
{
	return committed.hash;
}

const char *
ledger_chain(void)
{
	return chain;
}

void
ledger_hash_zero(uint8_t out[LEDGER_HASH_LEN])
{
	sha256_two("aegis-ledger-1", 14, chain, strlen(chain), out);
}
