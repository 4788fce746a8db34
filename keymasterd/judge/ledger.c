/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain: numbers, hashes, what is committed and what is not yet. Judge only. Text of
 * rows may come from agents; nothing here reads it.
 */
#include "keymasterd/judge/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/line_cursor.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/sha256.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger_file.h"
#include "keymasterd/judge/ledger_index.h"
#include "keymasterd/judge/ledger_int.h"
#include "keymasterd/judge/ledger_line.h"
#include "keymasterd/judge/ledger_sync.h"

#define KEEP_OCTETS (4u << 20)
#define REPAIR_MS 250

struct head {
	uint64_t seq;
	uint8_t hash[LEDGER_HASH_LEN];
};

static struct head committed, pending;
static char chain[33];
static char own_tenant[STORE_TENANT_MAX];
static int sync_all;   /* fdatasync() in every turn */
static char note[200]; /* what the start had to cut off; "" when nothing */
static uint64_t lost,
    lost_claimed; /* rows rolled back; those the gap row of this turn tells */
static uint64_t turn_rows;

/* What this turn writes: lines, and where the rows are among them. */
static struct buf lines;
static struct turn_row {
	uint8_t hash[LEDGER_HASH_LEN];
	size_t at;
	size_t text, text_len; /* of what is hashed */
} * rows;
static size_t nrows, rows_cap;
static int failed;       /* a row of this turn could not be made */
static uint64_t was_len; /* of the last file before ledger_write() */
static int written;      /* ledger_write() has been here, the commit not yet */
static uint64_t repair_at_ms;

/* ---- opening ---- */

/* A chain of its own for a new database. 0 or -1. */
static int
chain_make(struct store *s, char *err, size_t err_size)
{
	uint8_t id[16], zero[LEDGER_HASH_LEN];

	/* a start that ended before its chain had a name left a header at most */
	if (ledger_dir.n == 1 && ledger_dir.len < 256 && ledger_file_drop() == -1) {
		snprintf(err, err_size, "the ledger cannot be made: %s", strerror(errno));
		return -1;
	}
	if (ledger_dir.n > 0) {
		snprintf(err, err_size,
		    "the ledger has rows but the database does not know its chain: it is "
		    "another database than the one it was written with");
		return -1;
	}
	judge_random(id, sizeof(id));
	(void)hex_encode(id, sizeof(id), chain, sizeof(chain));
	ledger_hash_zero(zero);
	if (ledger_file_begin(chain, 1, zero) == -1) {
		snprintf(
		    err, err_size, "the ledger cannot be made: %s", ledger_dir.error);
		return -1;
	}
	if (store_meta_set(s, "chain", chain) == -1 || store_commit(s) == -1) {
		snprintf(err, err_size, "the ledger cannot be made: %s", store_error(s));
		return -1;
	}
	return 0;
}

int
ledger_open(struct store *s, const char *tenant, int sync, char *err, size_t err_size)
{
	struct ledger_found found;
	int r;

	lost = lost_claimed = turn_rows = 0;
	nrows = 0;
	failed = written = 0;
	buf_reset(&lines);
	sync_all = sync;
	snprintf(own_tenant, sizeof(own_tenant), "%s", tenant);
	r = store_meta_get(s, "chain", chain, sizeof(chain));
	if (r == -1) {
		snprintf(err, err_size, "the ledger cannot be read: %s", store_error(s));
		return -1;
	}
	if (r == STORE_MISSING && chain_make(s, err, err_size) == -1)
		return -1;
	if (ledger_dir.n == 0) {
		snprintf(err, err_size,
		    "the ledger's files are gone: restore them from a backup, or begin "
		    "with a new data directory");
		return -1;
	}
	if (ledger_recover(chain, &found, err, err_size) == -1)
		return -1;
	committed.seq = found.seq;
	memcpy(committed.hash, found.hash, sizeof(committed.hash));
	snprintf(note, sizeof(note), "%s", found.note);
	pending = committed;
	ledger_checkpoint_seen(&found.checkpoint);
	/* what a killed judge wrote may not be there yet */
	if (fdatasync(ledger_dir.last) == -1) {
		snprintf(err, err_size, "the ledger cannot be put on the disk: %s",
		    strerror(errno));
		return -1;
	}
	ledger_sync_known(ledger_dir.last, committed.seq, ledger_dir.len);
	ledger_index_save(chain);
	return 0;
}

void
ledger_close(void)
{
	ledger_sync_stop();
	ledger_dir_close();
}

/* ---- appending ---- */

static struct turn_row *
row_new(void)
{
	struct turn_row *more;
	size_t cap;

	if (nrows == rows_cap) {
		cap = rows_cap == 0 ? 256 : 2 * rows_cap;
		more = reallocarray(rows, cap, sizeof(*rows));
		if (more == NULL)
			return NULL;
		rows = more;
		rows_cap = cap;
	}
	return &rows[nrows];
}

static int
append(const struct ledger_row *row, uint64_t *seq)
{
	struct ledger_row r = *row;
	struct turn_row *t = row_new();
	size_t start = lines.len, text = start + sizeof(LINE_ROW) - 1;

	turn_rows++;
	if (failed)
		return -1;
	if (r.tenant.p == NULL)
		r.tenant = span_str(own_tenant);
	if (t == NULL || buf_puts(&lines, LINE_ROW) == -1 ||
	    ledger_row_text(&r, pending.seq + 1, loop_unix_us(), chain, &lines) == -1 ||
	    lines.len - text > LEDGER_TEXT_MAX)
		goto bad;
	sha256_two(pending.hash, sizeof(pending.hash), lines.p + text, lines.len - text,
	    t->hash);
	t->text = text;
	t->text_len = lines.len - text;
	if (ledger_line_end(&lines, start, &r, t->hash) == -1)
		goto bad;
	t->at = start;
	memcpy(pending.hash, t->hash, sizeof(pending.hash));
	pending.seq++;
	nrows++;
	if (seq != NULL)
		*seq = pending.seq;
	return 0;
bad:
	(void)snprintf(ledger_dir.error, sizeof(ledger_dir.error),
	    "a row could not be written as text");
	failed = 1;
	return -1;
}

int
ledger_put_checkpoint(const struct ledger_checkpoint *c)
{
	size_t start = lines.len;

	if (failed)
		return -1;
	if (ledger_line_checkpoint(&lines, c) == -1) {
		lines.len = start;
		return -1;
	}
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
	if (row->request != NULL)
		LOG_DEBUG("ledger.row", LX("request", row->request, 16),
		    LS("kind", ledger_kind_name(row->kind)),
		    LSN("code", row->code.len > 0 ? row->code.p : "", row->code.len),
		    LU("status", row->status));
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
	if (note[0] != '\0')
		system_row("ledger.recovered", note);
	note[0] = '\0';
	system_row("start", detail);
}

void
ledger_stop_row(const char *detail)
{
	system_row("stop", detail);
}

/* ---- the turn's end ---- */

int
ledger_pending(void)
{
	return lines.len > 0 || failed;
}

const char *
ledger_error(void)
{
	return ledger_dir.error;
}

/*
 * After a failed fdatasync() the kernel takes pages for written that are not. They are
 * still in memory, or this is noticed: then nothing is written any more. 0 or -1.
 */
static int
repair(void)
{
	static uint8_t octets[65536];
	uint64_t at = ledger_synced_len(), first = ledger_synced();
	ssize_t n = 0;

	if (loop_now_ms() < repair_at_ms)
		return -1;
	errno = ledger_sync_failed();
	(void)ledger_dir_fail("fdatasync");
	repair_at_ms = loop_now_ms() + REPAIR_MS;
	if (ledger_recheck(first > 0 ? first : 1, committed.seq, committed.hash) == -1) {
		snprintf(ledger_dir.error, sizeof(ledger_dir.error),
		    "rows behind row %llu are not what was written",
		    (unsigned long long)first);
		return -1;
	}
	for (; at < ledger_dir.len; at += (uint64_t)n) {
		n = ledger_file_read(ledger_dir.n - 1, octets, sizeof(octets), at);
		if (n <= 0 || ledger_pwrite(ledger_dir.last, octets, (size_t)n, at) == -1)
			return ledger_dir_fail("writing again");
	}
	if (fdatasync(ledger_dir.last) == -1)
		return ledger_dir_fail("fdatasync");
	ledger_sync_known(ledger_dir.last, committed.seq, ledger_dir.len);
	return 0;
}

static int
give_up(const char *what)
{
	(void)ledger_dir_fail(what);
	ledger_dir.len = was_len;
	ledger_dir.dirty = 1;
	if (ftruncate(ledger_dir.last, (off_t)was_len) == 0)
		ledger_dir.dirty = 0; /* else before the next write */
	return -1;
}

int
ledger_write(void)
{
	if (failed)
		return -1;
	if (lines.len == 0)
		return 0;
	if (ledger_sync_failed() != 0 && repair() == -1)
		return -1;
	if (ledger_dir.dirty && ledger_file_trim() == -1)
		return -1;
	if (ledger_index_reserve(nrows) == -1) {
		errno = ENOMEM;
		return ledger_dir_fail("index");
	}
	was_len = ledger_dir.len;
	if (ledger_pwrite(ledger_dir.last, lines.p, lines.len, was_len) == -1)
		return give_up("write");
	if (sync_all && fdatasync(ledger_dir.last) == -1)
		return give_up("fdatasync");
	ledger_dir.len = was_len + lines.len;
	written = 1;
	return 0;
}

int
ledger_flush(void)
{
	if (ledger_dir.n == 0 || ledger_synced_len() >= ledger_dir.len || sync_all)
		return 0;
	if (ledger_sync_flush(ledger_dir.last) == 0)
		return 0;
	errno = ledger_sync_failed();
	return ledger_dir_fail("fdatasync");
}

/* The file is long enough. When that fails this one grows on, and it is tried again. */
static void
next_file(void)
{
	if (ledger_sync_now(ledger_dir.last, committed.seq, ledger_dir.len) == -1)
		return;
	/* before the descriptor goes; the thread must have no more business with it */
	ledger_sync_known(-1, committed.seq, 0);
	(void)ledger_file_begin(chain, committed.seq + 1, committed.hash);
	ledger_sync_known(ledger_dir.last, committed.seq, ledger_dir.len);
}

static void
turn_reset(void)
{
	nrows = 0;
	failed = written = 0;
	turn_rows = 0;
	lost_claimed = 0;
	buf_reset(&lines);
	if (lines.cap > KEEP_OCTETS)
		buf_free(&lines);
}

static void (*watcher)(uint64_t, struct span);

void
ledger_watch(void (*fn)(uint64_t seq, struct span text))
{
	watcher = fn;
}

void
ledger_committed(void)
{
	uint64_t file = ledger_dir.first[ledger_dir.n - 1];
	int wrote = written;
	size_t i;

	for (i = 0; i < nrows; i++)
		ledger_index_row(rows[i].hash, file, was_len + rows[i].at);
	for (i = 0; i < nrows && watcher != NULL; i++)
		watcher(pending.seq - nrows + 1 + i,
		    span_mem(lines.p + rows[i].text, rows[i].text_len));
	committed = pending;
	turn_reset();
	if (wrote) {
		if (sync_all)
			ledger_sync_known(ledger_dir.last, committed.seq, ledger_dir.len);
		else
			ledger_sync_wrote(ledger_dir.last, committed.seq, ledger_dir.len);
		ledger_index_save(chain);
		if (ledger_dir.len >= ledger_dir.max)
			next_file();
	}
	ledger_checkpoint_run(wrote);
}

void
ledger_rolled_back(void)
{
	uint64_t gone = turn_rows + lost_claimed;

	if (written)
		(void)give_up("commit");
	turn_reset();
	lost += gone;
	pending = committed;
	ledger_checkpoint_run(0);
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
