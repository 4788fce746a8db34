/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay marks after a restart: whatever is left of the files of marks, an envelope that
 * was accepted is known, and one that was not is not.
 */
#include <check.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/loop.h"
#include "keymasterd/judge/clock.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_file.h"
#include "keymasterd/judge/ledger_sync.h"
#include "keymasterd/judge/seal_marks.h"
#include "keymasterd/judge/seal_verify.h"
#include "keymasterd/judge/turn.h"

#define WINDOW 62000 /* of marks */
#define SEAL_WINDOW_S 30
#define SESSION "5f0c7a3e-0000-4000-8000-000000000000"

struct judge_conf judge_conf;
struct store *judge_store;
int judge_stopping;
struct judge_keys judge_keys;

uint64_t
judge_born_ms(void)
{
	return 0;
}

/* The wall clock, which is set in these tests. */
static int64_t offset_s;

int
clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);
	int r;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	r = real(id, t);
	if (id == CLOCK_REALTIME)
		t->tv_sec += offset_s;
	return r;
}

static char dir[64], path[96], err[512];
static struct replay *set;

static void
open_all(void)
{
	judge_store = store_open(path, 0, err, sizeof(err));
	ck_assert_msg(judge_store != NULL, "%s", err);
	ck_assert_msg(ledger_dir_open(dir, err, sizeof(err)) == 0, "%s", err);
	ck_assert_int_eq(ledger_sync_start(), 0);
	ck_assert_msg(
	    ledger_open(judge_store, "default", 0, err, sizeof(err)) == 0, "%s", err);
	set = replay_new(WINDOW);
	ck_assert_ptr_nonnull(set);
	ck_assert_int_eq(clock_load(), 0);
	ck_assert_int_eq(seal_marks_load(set, WINDOW), 0);
	clock_horizon(set, WINDOW, SEAL_WINDOW_S);
}

static void
close_all(void)
{
	replay_free(set);
	ledger_close();
	store_close(judge_store);
}

static void
setup(void)
{
	ck_assert_int_eq(loop_init(), 0);
	snprintf(dir, sizeof(dir), "/tmp/aegis-marks-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/judge.db", dir);
	open_all();
}

static void
teardown(void)
{
	char command[128];

	close_all();
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void
signature_of(unsigned n, uint8_t signature[64])
{
	memset(signature, 7, 64);
	memcpy(signature, &n, sizeof(n));
}

/* A call as the judge writes it: its row, and the mark in memory. detail: of a refusal
 * before the mark. */
static void
call(unsigned n, const char *detail)
{
	uint8_t signature[64], mark[REPLAY_MARK_LEN];
	struct ledger_row r = {.kind = LEDGER_DECISION,
	    .session = span_str(SESSION),
	    .proof = signature,
	    .signed_text = span_str("octets"),
	    .detail = span_str(detail)};

	signature_of(n, signature);
	seal_mark(span_str(SESSION), signature, mark);
	if (detail == NULL && replay_mark(set, mark, loop_now_ms()) == 1)
		seal_marks_note(mark);
	(void)ledger_append(&r, NULL);
	turn_end(NULL);
}

/* A signature that was refused: the row has it, and nobody may take it for a mark. */
static void
refused_call(unsigned n)
{
	uint8_t signature[64];
	struct ledger_row r = {
	    .kind = LEDGER_DECISION, .session = span_str(SESSION), .proof = signature};

	signature_of(n, signature);
	(void)ledger_append(&r, NULL);
	turn_end(NULL);
}

static void
calls(unsigned from, unsigned to)
{
	for (; from < to; from++)
		call(from, NULL);
}

/* After a kill: those in [0, n) are known, the next ones are not. */
static void
check(unsigned n)
{
	uint8_t signature[64], mark[REPLAY_MARK_LEN];
	unsigned i;

	close_all();
	open_all();
	for (i = 0; i < n + 100; i++) {
		signature_of(i, signature);
		seal_mark(span_str(SESSION), signature, mark);
		ck_assert_msg(replay_mark(set, mark, loop_now_ms()) == (i >= n), "%u", i);
	}
	/* what this asked for must not stay */
	close_all();
	open_all();
}

static int
marks_file(unsigned i)
{
	char full[160];
	int fd;

	snprintf(full, sizeof(full), "%s/ledger/marks-%u", dir, i);
	fd = open(full, O_RDWR);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* The clock is set, and the loop's next turn sees it. */
static void
set_clock(int64_t s)
{
	offset_s = s;
	usleep(2000);
	loop_stop();
	loop_run();
}

/* An envelope of now, and whether it is taken. */
static int
taken(unsigned n, int64_t stamp)
{
	uint8_t signature[64], mark[REPLAY_MARK_LEN];

	(void)clock_now_ms();
	signature_of(n, signature);
	seal_mark(span_str(SESSION), signature, mark);
	return replay_stamped(set, mark, loop_now_ms(), stamp);
}

static int64_t
wall(void)
{
	return (int64_t)(judge_now_ms() / 1000);
}

/* Whatever the clock does between two starts: what was used is not new. _i: with files of
 * marks. */
START_TEST(the_clock_is_set)
{
	int64_t first, ahead;
	uint64_t rows;

	judge_conf.seal_window_s = SEAL_WINDOW_S;
	set_clock(0);
	first = wall();
	call(1, NULL);
	if (_i == 1)
		seal_marks_save();
	/* a day ahead, where the first is old, and another one is used; then back */
	set_clock(86400);
	close_all();
	open_all();
	ahead = wall();
	ck_assert_int_eq(taken(2, ahead), 1);
	call(2, NULL);
	if (_i == 1)
		seal_marks_save();
	rows = ledger_seq();
	set_clock(1);
	ck_assert_int_eq(taken(1, first), 0);
	turn_end(NULL);
	ck_assert_uint_eq(ledger_seq(), rows + 1); /* clock.back, once */
	ck_assert_int_eq(taken(1, first), 0);
	turn_end(NULL);
	ck_assert_uint_eq(ledger_seq(), rows + 1);
	close_all();
	open_all();
	ck_assert_int_eq(taken(1, first), 0);
	ck_assert_int_eq(taken(2, ahead), 0);
	/* its day has come */
	set_clock(86400 + 1);
	close_all();
	open_all();
	ck_assert_int_eq(taken(2, ahead), 0);
	/* and what is new counts when the clock is past all that was */
	set_clock(86400 + SEAL_WINDOW_S + 5);
	ck_assert_int_eq(taken(3, wall()), 1);
	offset_s = 0;
}
END_TEST

/* Back while nobody ran; and a step that is too small to matter is none. */
START_TEST(the_clock_is_set_between)
{
	uint64_t rows;

	judge_conf.seal_window_s = SEAL_WINDOW_S;
	set_clock(86400);
	call(1, NULL);
	close_all();
	set_clock(0);
	open_all();
	rows = ledger_seq();
	ck_assert_int_eq(taken(1, wall() + 86400), 0);
	ck_assert_int_eq(taken(2, wall()), 0);
	turn_end(NULL);
	ck_assert_uint_eq(ledger_seq(), rows + 1);
	close_all();
	set_clock(2 * 86400);
	open_all();
	ck_assert_int_eq(taken(1, wall() - 86400), 0);
	ck_assert_int_eq(taken(2, wall()), 1);
	offset_s = 0;
}
END_TEST

START_TEST(from_rows_and_batches)
{
	calls(0, 700); /* rows alone */
	check(700);
	seal_marks_save();
	check(700);
	calls(700, 1000); /* a batch and rows */
	check(1000);
	seal_marks_save();
	calls(1000, 1010);
	seal_marks_save();
	seal_marks_save(); /* nothing new */
	check(1010);
	close_all();
	open_all();
	calls(1010, 1020);
	seal_marks_save();
	check(1020);
}
END_TEST

START_TEST(batches_that_are_damaged)
{
	struct stat st;
	uint8_t octet;
	off_t at;
	int fd, i;

	calls(0, 50);
	seal_marks_save();
	calls(50, 90);
	seal_marks_save();
	calls(90, 120);
	seal_marks_save();
	calls(120, 130);
	fd = marks_file(0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_gt(st.st_size, 120 * REPLAY_KEPT);
	srand(3);
	for (i = 0; i < 40; i++) {
		at = rand() % st.st_size;
		if (i % 2 == 0) {
			ck_assert_int_eq(pread(fd, &octet, 1, at), 1);
			octet ^= 4;
			ck_assert_int_eq(pwrite(fd, &octet, 1, at), 1);
		} else {
			ck_assert_int_eq(ftruncate(fd, at), 0);
		}
		check(130);
		seal_marks_save(); /* on behind what is whole */
		check(130);
		ck_assert_int_eq(fstat(fd, &st), 0);
		if (st.st_size == 0)
			break;
	}
	close(fd);
}
END_TEST

/* A power cut took rows that a batch covers already. Their numbers go to others, and the
 * next batch ends at the same number: the old one must not stand for it. */
START_TEST(rows_that_are_gone)
{
	struct stat st;
	int fd;

	calls(0, 50);
	seal_marks_save();
	fd = ledger_dir.last;
	ck_assert_int_eq(fstat(fd, &st), 0);
	calls(50, 60);
	seal_marks_save();
	ck_assert_int_eq(ftruncate(ledger_dir.last, st.st_size), 0);
	check(50);
	calls(50, 55);
	seal_marks_save();
	check(55);
	calls(55, 60);
	seal_marks_save();
	calls(60, 65);
	seal_marks_save();
	check(65);
	fd = marks_file(0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 3 * 72 + 65 * REPLAY_KEPT);
	close(fd);
}
END_TEST

START_TEST(unmarked)
{
	calls(0, 10);
	call(10, SEAL_UNMARKED_KEYS);
	call(11, SEAL_UNMARKED_REFUSED);
	call(12, SEAL_UNMARKED_EXPIRED);
	call(13, SEAL_UNMARKED_EXPIRED_AT "2026-03-01T00:00:00Z");
	refused_call(14);
	check(10);
	seal_marks_save();
	check(10);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("seal_marks");
	TCase *t = tcase_create("marks");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, from_rows_and_batches);
	tcase_add_loop_test(t, the_clock_is_set, 0, 2);
	tcase_add_test(t, the_clock_is_set_between);
	tcase_add_test(t, batches_that_are_damaged);
	tcase_add_test(t, rows_that_are_gone);
	tcase_add_test(t, unmarked);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
