/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger after power cuts: what the judge does to its files is recorded, each cut is
 * made from that, and the start has to find a valid beginning with all that was promised.
 * power.h says what a disk may do. AEGIS_CUTS is the number of cuts of each mode.
 */
#include "tests/unit/power.h"

#include <openssl/sha.h>

#include "common/loop.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_file.h"
#include "keymasterd/judge/ledger_index.h"
#include "keymasterd/judge/ledger_int.h"
#include "keymasterd/judge/ledger_line.h"
#include "keymasterd/judge/ledger_scan.h"
#include "keymasterd/judge/ledger_sync.h"
#include "keymasterd/judge/turn.h"

struct judge_conf judge_conf;
struct store *judge_store;
int judge_stopping;
struct judge_keys judge_keys;

uint64_t
judge_born_ms(void)
{
	return 0;
}

#define TURNS 260
#define ROWS_MAX 4000
#define FILE_MAX (64u << 10)
#define LOSS_MS 50

static char dir[64], files[80], db[80], err[512];
static uint8_t hashes[ROWS_MAX][32]; /* of row i */
static uint64_t rows;

static void
open_all(int strict)
{
	judge_store = store_open(db, 0, err, sizeof(err));
	ck_assert_msg(judge_store != NULL, "%s", err);
	ck_assert_msg(ledger_dir_open(dir, err, sizeof(err)) == 0, "%s", err);
	ledger_dir.max = FILE_MAX;
	ck_assert_int_eq(ledger_sync_start(), 0);
	ck_assert_msg(ledger_open(judge_store, "default", strict, err, sizeof(err)) == 0,
	    "%s", err);
}

static void
close_all(void)
{
	ledger_close();
	store_close(judge_store);
}

static void
setup(void)
{
	ck_assert_int_eq(loop_init(), 0);
	snprintf(dir, sizeof(dir), "/tmp/aegis-power-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(files, sizeof(files), "%s/ledger", dir);
	snprintf(db, sizeof(db), "%s/judge.db", dir);
}

static void
teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void
turn(unsigned n)
{
	struct ledger_row r = {.kind = LEDGER_SYSTEM, .event = span_str("x")};

	while (n-- > 0)
		(void)ledger_append(&r, NULL);
	turn_end(NULL);
	power_told(ledger_seq());
}

static void
wait_synced(uint64_t seq)
{
	int i;

	for (i = 0; i < 2000 && ledger_synced() < seq; i++)
		usleep(1000);
	ck_assert_uint_ge(ledger_synced(), seq);
}

/* As vault would, but for the signature, which a start does not look at. */
static void
checkpoint(void)
{
	struct ledger_checkpoint c = {.seq = ledger_seq(),
	    .time = "2026-03-01T00:00:00Z",
	    .kid = "0123456789abcdef"};
	struct buf line;

	wait_synced(c.seq);
	snprintf(c.chain, sizeof(c.chain), "%s", ledger_chain());
	memcpy(c.head, ledger_head(), 32);
	ledger_index_root(c.root);
	ck_assert_int_eq(ledger_put_checkpoint(&c), 0);
	turn_end(NULL);
	buf_init(&line);
	ck_assert_int_eq(ledger_line_checkpoint(&line, &c), 0);
	ledger_sync_head(line.p, line.len, c.seq);
	buf_free(&line);
}

static int
note_hash(const struct ledger_line *row, void *arg)
{
	(void)arg;
	ck_assert_uint_lt(row->seq, ROWS_MAX);
	rows = row->seq;
	return ledger_line_hash(row, hashes[row->seq]);
}

/* Rows that somebody was told of before the cut; and of those, the ones of long ago. */
static void
promised(size_t cut, uint64_t *told, uint64_t *old)
{
	double now = power.op[cut - 1].ms;
	size_t i;

	*told = *old = 0;
	for (i = 0; i < cut; i++)
		if (power.op[i].kind == POWER_TOLD) {
			*told = power.op[i].value;
			if (power.op[i].ms < now - LOSS_MS)
				*old = power.op[i].value;
		}
}

static void
live(int strict)
{
	unsigned i;

	open_all(strict);
	turn(3);
	wait_synced(3);
	power_begin(files);
	srand(7);
	for (i = 1; i <= TURNS; i++) {
		turn(1 + (unsigned)power_draw(8));
		usleep(500);
		if (i % 65 == 0)
			checkpoint();
	}
	power_end();
	ck_assert_int_eq(ledger_each(0, UINT64_MAX, 0, note_hash, NULL), 0);
	ck_assert_uint_eq(rows, ledger_seq());
	ck_assert_uint_gt(ledger_dir.n, 3); /* files */
	ledger_hash_zero(hashes[0]);
}

static uint64_t
found_after(uint8_t hash[32])
{
	struct ledger_found found;

	ck_assert_msg(ledger_dir_open(dir, err, sizeof(err)) == 0, "%s", err);
	ck_assert_msg(
	    ledger_recover(ledger_chain(), &found, err, sizeof(err)) == 0, "%s", err);
	ledger_dir_close();
	memcpy(hash, found.hash, 32);
	return found.seq;
}

static void
cuts(int strict)
{
	unsigned n =
	    getenv("AEGIS_CUTS") != NULL ? (unsigned)atoi(getenv("AEGIS_CUTS")) : 600;
	unsigned i, late = 0, torn = 0;
	uint64_t told, old, seq;
	uint8_t hash[32];
	size_t cut;

	live(strict);
	close_all();
	power.no_sync = 1;
	for (i = 0; i < n; i++) {
		cut = power.begun + power_draw(power.n - power.begun + 1);
		promised(cut, &told, &old);
		power_cut(files, cut, i % POWER_WAYS);
		seq = found_after(hash);
		ck_assert_uint_le(seq, rows);
		ck_assert_msg(memcmp(hash, hashes[seq], 32) == 0,
		    "cut %zu way %u: what is found up to row %llu is not what was "
		    "written",
		    cut, i % POWER_WAYS, (unsigned long long)seq);
		if (strict)
			ck_assert_msg(seq >= told, "cut %zu way %u: %llu rows of %llu",
			    cut, i % POWER_WAYS, (unsigned long long)seq,
			    (unsigned long long)told);
		late += seq < old;
		torn += seq < told;
		/* the same again, and it goes on from there */
		ck_assert_uint_eq(found_after(hash), seq);
		if (i % 20 == 0) {
			open_all(strict);
			turn(2);
			ck_assert_uint_ge(ledger_seq(), seq + 2);
			close_all();
		}
	}
	printf("ledger_power: %s, %u cuts of %zu calls, %llu rows: %u lost some, %u some "
	       "of more than %d ms ago\n",
	    strict ? "full" : "normal", n, power.n, (unsigned long long)rows, torn, late,
	    LOSS_MS);
	/* a busy machine may let the thread wait; an idle one does not */
	ck_assert_uint_le(late, n / 10);
	if (strict)
		ck_assert_uint_eq(torn, 0);
	else
		ck_assert_uint_gt(torn, n / 10); /* the cuts are ones */
}

START_TEST(waits_for_the_disk)
{
	cuts(1);
}
END_TEST

START_TEST(does_not_wait)
{
	cuts(0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ledger_power");
	TCase *t = tcase_create("power cuts");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, waits_for_the_disk);
	tcase_add_test(t, does_not_wait);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
