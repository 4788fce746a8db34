/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger on a disk that fails, and after crashes at every place of its file. Calls
 * that fail when they are told to stand before the C library's.
 */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
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

/* ---- calls on the ledger's last file that fail ---- */

static struct {
	int write, sync, trim; /* errno, 0: works */
	int next;              /* of a file's header: a part of it is written */
	int after;             /* writes that work before `write` */
	size_t room;           /* octets that are written before `write` */
} fail;
static int quick;              /* nothing is waited for */
static _Atomic unsigned syncs; /* of the last file */

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	static ssize_t (*real)(int, const void *, size_t, off_t);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pwrite");
	if (fail.next != 0 && fd != ledger_dir.last && at == 0 && n > 10 &&
	    memcmp(p, "{\"ledger\":", 10) == 0)
		return real(fd, p, 10, at);
	if (fail.next != 0 && fd != ledger_dir.last && at == 10) {
		errno = fail.next;
		return -1;
	}
	if (fail.write == 0 || fd != ledger_dir.last)
		return real(fd, p, n, at);
	if (fail.after > 0) {
		fail.after--;
		return real(fd, p, n, at);
	}
	if (fail.room > 0) {
		n = n < fail.room ? n : fail.room;
		fail.room -= n;
		return real(fd, p, n, at);
	}
	errno = fail.write;
	return -1;
}

int
fdatasync(int fd)
{
	static int (*real)(int);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
	if (quick)
		return 0;
	if (fd == ledger_dir.last)
		syncs++;
	if (fail.sync == 0 || fd != ledger_dir.last)
		return real(fd);
	errno = fail.sync;
	return -1;
}

int
ftruncate(int fd, off_t len)
{
	static int (*real)(int, off_t);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "ftruncate");
	if (fail.trim == 0 || fd != ledger_dir.last)
		return real(fd, len);
	errno = fail.trim;
	return -1;
}

/* ---- */

static char dir[64], path[96], err[512];
static int strict;

static int
try_open(void)
{
	judge_store = store_open(path, 0, err, sizeof(err));
	ck_assert_msg(judge_store != NULL, "%s", err);
	ck_assert_msg(ledger_dir_open(dir, err, sizeof(err)) == 0, "%s", err);
	ck_assert_int_eq(ledger_sync_start(), 0);
	return ledger_open(judge_store, "default", strict, err, sizeof(err));
}

static void
open_all(void)
{
	ck_assert_msg(try_open() == 0, "%s", err);
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
	snprintf(dir, sizeof(dir), "/tmp/aegis-ledger-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/judge.db", dir);
	open_all();
}

static void
teardown(void)
{
	char command[128];

	memset(&fail, 0, sizeof(fail));
	close_all();
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void
append(const char *event)
{
	struct ledger_row r = {.kind = LEDGER_SYSTEM, .event = span_str(event)};

	(void)ledger_append(&r, NULL);
}

static void
append_many(unsigned n, unsigned a_turn)
{
	unsigned i;

	for (i = 1; i <= n; i++) {
		append("x");
		if (i % a_turn == 0)
			turn_end(NULL);
	}
	turn_end(NULL);
}

struct walk {
	uint8_t hash[32];
	uint64_t n;
};

static int
step(const struct ledger_line *row, void *arg)
{
	static uint8_t octets[70000];
	uint8_t claimed[32];
	struct walk *w = arg;

	memcpy(octets, w->hash, 32);
	memcpy(octets + 32, row->text.p, row->text.len);
	SHA256(octets, row->text.len + 32, w->hash);
	ck_assert_int_eq(ledger_line_hash(row, claimed), 0);
	ck_assert_mem_eq(w->hash, claimed, 32);
	ck_assert_uint_eq(row->seq, ++w->n);
	return 0;
}

/* The file holds rows 1..n, chained, and no more. */
static void
check_rows(uint64_t n)
{
	struct walk w = {.n = 0};

	ledger_hash_zero(w.hash);
	ck_assert_int_eq(ledger_each(0, UINT64_MAX, 0, step, &w), 0);
	ck_assert_uint_eq(w.n, n);
	ck_assert_mem_eq(w.hash, ledger_head(), 32);
}

static off_t
file_len(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(ledger_dir.last, &st), 0);
	return st.st_size;
}

/* Each way a write can fail: nothing of the turn stays, and all is well again afterwards,
 * with a row about the gap. */
START_TEST(disk_errors)
{
	static const struct {
		int write, sync, trim;
		size_t room;
	} ways[] = {{ENOSPC, 0, 0, 0}, {EIO, 0, 0, 0}, {ENOSPC, 0, 0, 100},
	    {ENOSPC, 0, 0, 1000}, {ENOSPC, 0, EIO, 700}, {0, EIO, 0, 0},
	    {0, EIO, EIO, 0}};
	uint64_t seq;
	off_t len;
	size_t i;

	strict = _i;
	close_all();
	open_all();
	append_many(300, 5);
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (ways[i].sync != 0 && !strict)
			continue; /* a_sync_that_fails */
		seq = ledger_seq();
		len = file_len();
		fail.write = ways[i].write;
		fail.sync = ways[i].sync;
		fail.trim = ways[i].trim;
		fail.room = ways[i].room;
		append_many(20, 10);
		ck_assert_uint_eq(ledger_seq(), seq);
		ck_assert_uint_eq(ledger_lost(), 20);
		if (fail.trim == 0)
			ck_assert_int_eq(file_len(), len);
		memset(&fail, 0, sizeof(fail));
		append("after");
		turn_end(NULL);
		ck_assert_uint_eq(ledger_seq(), seq + 2);
		ck_assert_uint_eq(ledger_lost(), 0);
		check_rows(seq + 2);
	}
	close_all();
	open_all();
	check_rows(ledger_seq());
}
END_TEST

/* The database says no when the rows are written already. */
START_TEST(commit_fails)
{
	off_t len;

	append_many(300, 5);
	len = file_len();
	ck_assert_int_eq(store_meta_set(judge_store, "k", "v"), 0);
	append("with it");
	fail.trim = _i == 1 ? EIO : 0;
	ck_assert_int_eq(ledger_write(), 0);
	ledger_rolled_back();
	store_rollback(judge_store);
	if (_i == 0)
		ck_assert_int_eq(file_len(), len);
	fail.trim = 0;
	ck_assert_uint_eq(ledger_lost(), 1);
	append("after");
	turn_end(NULL);
	check_rows(302);
	close_all();
	open_all();
	check_rows(302);
}
END_TEST

static void
wait_synced(uint64_t seq)
{
	int i;

	for (i = 0; i < 1000 && ledger_synced() < seq; i++)
		usleep(5000);
	ck_assert_uint_ge(ledger_synced(), seq);
}

static void
next_moment(void)
{
	usleep(50000);
	loop_stop();
	loop_run(); /* the loop's clock goes on */
}

/* What waited for a commit writes rows that cannot be written. */
static int told[2];

static void
second_then(int ok, void *arg)
{
	(void)arg;
	told[1] = ok ? 1 : -1;
}

static void
first_then(int ok, void *arg)
{
	(void)arg;
	told[0] = ok ? 1 : -1;
	append("second");
	ck_assert_int_eq(store_meta_set(judge_store, "second", "v"), 0);
	turn_then(second_then, NULL);
}

static int
kept(const char *key)
{
	char value[8];

	return store_meta_get(judge_store, key, value, sizeof(value)) == 0;
}

START_TEST(second_commit_fails)
{
	uint64_t seq;

	append_many(10, 5);
	seq = ledger_seq();
	memset(told, 0, sizeof(told));
	append("first");
	ck_assert_int_eq(store_meta_set(judge_store, "first", "v"), 0);
	turn_then(first_then, NULL);
	if (_i == 1) {
		fail.after = 1;
		fail.write = ENOSPC;
	}
	turn_end(NULL);
	memset(&fail, 0, sizeof(fail));
	/* the first holds, and the second was told how its own went */
	ck_assert_int_eq(told[0], 1);
	ck_assert_int_eq(told[1], _i == 1 ? -1 : 1);
	ck_assert(kept("first"));
	ck_assert_int_eq(kept("second"), _i == 0);
	ck_assert_uint_eq(ledger_seq(), seq + (_i == 0 ? 2 : 1));
	ck_assert_uint_eq(ledger_lost(), _i == 0 ? 0 : 1);
	append("after");
	turn_end(NULL);
	check_rows(ledger_seq());
	close_all();
	open_all();
	check_rows(ledger_seq());
	ck_assert(kept("first"));
}
END_TEST

/* The database does not outlive its rows: they are on the disk before it changes, those
 * of turns before as well; and when they cannot be brought there, it does not change. */
START_TEST(rows_are_there_before_the_database)
{
	unsigned before;

	append_many(10, 5);
	/* the thread has nothing to do, and does nothing, before it is told */
	wait_synced(ledger_seq());
	before = syncs;
	append("a row");
	turn_end(NULL);
	ck_assert_int_eq(store_meta_set(judge_store, "k", "v"), 0);
	turn_end(NULL); /* at once: the thread rests for longer */
	ck_assert_uint_eq(syncs, before + 1);
	ck_assert(kept("k"));
	wait_synced(ledger_seq());
	fail.sync = EIO;
	append("another row");
	ck_assert_int_eq(store_meta_set(judge_store, "k2", "v"), 0);
	turn_end(NULL);
	ck_assert(!kept("k2"));
	ck_assert_uint_eq(ledger_lost(), 1);
	memset(&fail, 0, sizeof(fail));
	next_moment();
	append("after");
	turn_end(NULL);
	ck_assert_uint_eq(ledger_lost(), 0);
	check_rows(ledger_seq());
}
END_TEST

/* fdatasync() fails behind our back: nothing more is decided, until the rows that may be
 * gone are written again. */
START_TEST(a_sync_that_fails)
{
	uint64_t seq;
	int i;

	append_many(600, 10);
	wait_synced(600);
	fail.sync = EIO;
	append("answered");
	turn_end(NULL);
	ck_assert_uint_eq(ledger_seq(), 601);
	for (i = 0; i < 1000 && ledger_sync_failed() == 0; i++)
		usleep(5000);
	ck_assert_int_eq(ledger_sync_failed(), EIO);
	append("not answered");
	turn_end(NULL);
	ck_assert_uint_eq(ledger_seq(), 601);
	fail.sync = 0;
	for (i = 0; i < 40 && ledger_seq() == 601; i++) {
		next_moment();
		append("again");
		turn_end(NULL);
	}
	seq = ledger_seq();
	ck_assert_uint_ge(seq, 603);
	ck_assert_int_eq(ledger_sync_failed(), 0);
	check_rows(seq);
	wait_synced(seq);
}
END_TEST

/* ... and if they are not what they were any more, it stays like that. */
START_TEST(a_sync_that_lost_rows)
{
	off_t len;
	int i;

	append_many(600, 10);
	wait_synced(600);
	len = file_len();
	fail.sync = EIO;
	append("answered");
	turn_end(NULL);
	for (i = 0; i < 1000 && ledger_sync_failed() == 0; i++)
		usleep(5000);
	fail.sync = 0;
	ck_assert_int_eq(pwrite(ledger_dir.last, "\0\0\0\0", 4, len + 30), 4);
	for (i = 0; i < 10; i++) {
		next_moment();
		append("again");
		turn_end(NULL);
		ck_assert_uint_eq(ledger_seq(), 601);
	}
	ck_assert_ptr_nonnull(strstr(ledger_error(), "not what was written"));
	/* the next start knows what to keep */
	close_all();
	open_all();
	check_rows(600);
}
END_TEST

/* As vault would, but for the signature, which a start does not look at. */
static void
checkpoint(void)
{
	struct ledger_checkpoint c = {.seq = ledger_seq(),
	    .time = "2026-03-01T00:00:00Z",
	    .kid = "0123456789abcdef"};
	struct buf line;

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

static void
put_file(const char *name, const void *p, size_t n)
{
	char full[160];
	int fd;

	snprintf(full, sizeof(full), "%s/ledger/%s", dir, name);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
	close(fd);
}

static size_t
get_file(const char *name, uint8_t *p, size_t size)
{
	char full[160];
	ssize_t n;
	int fd;

	snprintf(full, sizeof(full), "%s/ledger/%s", dir, name);
	fd = open(full, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	n = read(fd, p, size);
	close(fd);
	ck_assert_int_ge(n, 0);
	return (size_t)n;
}

#define FIRST "00000000000000000001.jsonl"

/* A start's look at the files, by itself; what it put aside is compared and removed. */
static int
recover(struct ledger_found *found, const uint8_t *cut, size_t len)
{
	static uint8_t kept[2000000];
	char full[160], *name;
	int r;

	ck_assert_msg(ledger_dir_open(dir, err, sizeof(err)) == 0, "%s", err);
	r = ledger_recover(ledger_chain(), found, err, sizeof(err));
	ledger_dir_close();
	if (r != 0 || found->note[0] == '\0') {
		ck_assert_uint_eq(r == 0 ? len : 0, 0);
		return r;
	}
	name = strstr(found->note, "ledger/cut-");
	ck_assert_ptr_nonnull(name);
	if (cut != NULL) {
		ck_assert_uint_eq(get_file(name + 7, kept, sizeof(kept)), len);
		ck_assert_mem_eq(kept, cut, len);
	}
	snprintf(full, sizeof(full), "%s/%s", dir, name);
	ck_assert_int_eq(unlink(full), 0);
	return r;
}

/*
 * The machine stops at any moment: what was synced is there, behind it anything, cut
 * anywhere, or with blocks that were never written. What is found is the longest valid
 * beginning, never less than what was synced, and the same again the next time.
 */
START_TEST(power_cuts)
{
	static uint8_t good[2000000], bad[2000000];
	size_t len, now, safe, at, block, i, n, rows, begin;
	struct ledger_found found, second;
	uint64_t sealed;

	append_many(1500, 9);
	checkpoint();
	sealed = ledger_seq();
	append_many(40, 3);
	wait_synced(sealed + 40);
	safe = (size_t)ledger_dir.len;
	append_many(700, 4);
	close_all();
	len = get_file(FIRST, good, sizeof(good));
	srand(9);
	quick = 1;
	for (i = 0; i < 1500; i++) {
		at = safe + (size_t)rand() % (len - safe + 1);
		now = i % 3 == 0 ? at : len;
		memcpy(bad, good, len);
		if (i % 3 == 1) { /* a block in the middle that is zeros */
			block = at / 4096 * 4096;
			at = block < safe ? safe : block;
			n = block + 4096 < len ? block + 4096 : len;
			memset(bad + at, 0, n - at);
		} else if (i % 3 == 2) { /* as long as it was, but zeros at its end */
			memset(bad + at, 0, len - at);
		}
		put_file(FIRST, bad, now);
		/* rows that end before the first octet that is not what it was */
		for (n = rows = begin = 0; n < at; n++)
			if (good[n] == '\n') {
				rows++;
				begin = n + 1;
			}
		rows -= 2; /* the header, the checkpoint */
		ck_assert_msg(recover(&found, bad + begin, now - begin) == 0,
		    "cut at %zu: %s", at, err);
		ck_assert_uint_eq(found.seq, rows);
		ck_assert_uint_ge(found.seq, sealed + 40);
		ck_assert_uint_eq(found.checkpoint.seq, sealed);
		ck_assert_int_eq(recover(&second, NULL, 0), 0);
		ck_assert_uint_eq(second.seq, found.seq);
		ck_assert_mem_eq(second.hash, found.hash, 32);
		ck_assert_str_eq(second.note, "");
	}
	/* the index and the newest checkpoint can be made from the rows */
	put_file(FIRST, good, len);
	put_file("index", "", 0);
	ck_assert_int_eq(recover(&found, NULL, 0), 0);
	ck_assert_uint_eq(found.seq, sealed + 740);
	put_file("head", "", 0);
	ck_assert_int_eq(recover(&found, NULL, 0), 0);
	ck_assert_uint_eq(found.seq, sealed + 740);
	ck_assert_uint_eq(found.checkpoint.seq, sealed);
	open_all();
	check_rows(sealed + 740);
}
END_TEST

/* The row about it, and that all goes on. */
START_TEST(recovered)
{
	static uint8_t good[200000];
	struct ledger_line line;
	struct buf octets;
	size_t len;

	append_many(50, 1);
	close_all();
	len = get_file(FIRST, good, sizeof(good));
	put_file(FIRST, good, len - 10);
	open_all();
	ck_assert_uint_eq(ledger_seq(), 49);
	ledger_start_row(NULL);
	turn_end(NULL);
	check_rows(51);
	buf_init(&octets);
	ck_assert_int_eq(ledger_row_get(50, &line, &octets), 0);
	ck_assert_ptr_nonnull(
	    memmem(line.text.p, line.text.len, "\"event\":\"ledger.recovered\"", 26));
	buf_free(&octets);
}
END_TEST

/* What no crash does: rows under a checkpoint that are others, or gone. */
START_TEST(refused)
{
	static uint8_t good[2000000], bad[2000000];
	struct ledger_found found;
	size_t len, at, i;
	uint64_t sealed;

	append_many(1500, 9);
	checkpoint();
	sealed = ledger_seq();
	append_many(100, 3);
	close_all();
	len = get_file(FIRST, good, sizeof(good));
	/* the end is gone, and the checkpoint with it */
	for (at = len, i = 0; i < 150; i++)
		at = (size_t)((uint8_t *)memrchr(good, '\n', at - 1) - good);
	put_file(FIRST, good, at + 1);
	ck_assert_int_eq(recover(&found, NULL, 0), -1);
	ck_assert_ptr_nonnull(strstr(err, "a signed checkpoint names row 1500"));
	/* one octet of a row under it, near its end */
	srand(11);
	for (i = 0; i < 300; i++) {
		memcpy(bad, good, len);
		bad[at - (size_t)rand() % 40000] ^= 1;
		put_file(FIRST, bad, len);
		ck_assert_int_eq(recover(&found, NULL, 0), -1);
		ck_assert_ptr_nonnull(strstr(err, "broken at row"));
	}
	/* also when only the checkpoint's own line behind it says so */
	put_file("head", "", 0);
	ck_assert_int_eq(recover(&found, NULL, 0), -1);
	ck_assert_ptr_nonnull(strstr(err, "broken at row"));
	put_file(FIRST, good, len);
	ck_assert_int_eq(recover(&found, NULL, 0), 0);
	ck_assert_uint_eq(found.seq, sealed + 100);
	open_all();
}
END_TEST

/* A new file that was not finished, an index that is not of these rows, a file gone. */
START_TEST(odd_files)
{
	static uint8_t index[100000];
	struct ledger_found found;
	char name[160], other[160], next[64];
	uint64_t seq;
	size_t len;

	ledger_dir.max = 100000;
	append_many(1400, 9);
	checkpoint();
	append_many(100, 9);
	seq = ledger_seq();
	snprintf(name, sizeof(name), "%s/ledger/%020llu.jsonl", dir,
	    (unsigned long long)ledger_dir.first[1]);
	ck_assert_uint_gt(ledger_dir.n, 3);
	close_all();
	snprintf(next, sizeof(next), "%020llu.jsonl", (unsigned long long)seq + 1);
	put_file(next, "", 0);
	ck_assert_msg(recover(&found, NULL, 0) == 0, "%s", err);
	ck_assert_uint_eq(found.seq, seq);
	put_file(next, "{\"ledger\":\"aeg", 14);
	ck_assert_msg(
	    recover(&found, (const uint8_t *)"{\"ledger\":\"aeg", 14) == 0, "%s", err);
	ck_assert_uint_eq(found.seq, seq);
	len = get_file("index", index, sizeof(index));
	ck_assert_uint_ge(len, 64 + 5 * sizeof(struct ledger_tile));
	index[64 + 20] ^= 1; /* a node */
	put_file("index", index, len);
	ck_assert_msg(recover(&found, NULL, 0) == 0, "%s", err);
	ck_assert_uint_eq(found.seq, seq);
	snprintf(other, sizeof(other), "%s/x", dir);
	ck_assert_int_eq(rename(name, other), 0);
	put_file("index", "", 0);
	ck_assert_int_eq(recover(&found, NULL, 0), -1);
	ck_assert_int_eq(rename(other, name), 0);
	open_all();
	check_rows(seq);
}
END_TEST

/* No room for the next file: this one grows on, and the one that could not be begun is in
 * nobody's way, neither now nor at a start. */
START_TEST(no_next_file)
{
	size_t n;

	append_many(100, 10);
	n = ledger_dir.n;
	ledger_dir.max = 20000;
	fail.next = ENOSPC;
	append_many(300, 10);
	ck_assert_uint_eq(ledger_dir.n, n);
	close_all();
	open_all();
	check_rows(400);
	ck_assert_uint_eq(ledger_dir.n, n);
	fail.next = ENOSPC;
	ledger_dir.max = 20000;
	append_many(20, 10);
	fail.next = 0;
	append_many(300, 10);
	ck_assert_uint_gt(ledger_dir.n, n);
	close_all();
	open_all();
	check_rows(720);
}
END_TEST

/* A failure that is noticed when a file is full is none that can be forgotten. */
START_TEST(a_full_file_that_fails)
{
	size_t n = ledger_dir.n;
	uint64_t seq;
	int i;

	append_many(300, 10);
	wait_synced(300);
	fail.sync = EIO;
	ledger_dir.max = 20000;
	append("answered");
	turn_end(NULL);
	ck_assert_int_eq(ledger_sync_failed(), EIO);
	seq = ledger_seq();
	append("not answered");
	turn_end(NULL);
	ck_assert_uint_eq(ledger_seq(), seq);
	ck_assert_uint_eq(ledger_dir.n, n);
	fail.sync = 0;
	for (i = 0; i < 40 && ledger_seq() == seq; i++) {
		next_moment();
		append("again");
		turn_end(NULL);
	}
	ck_assert_uint_gt(ledger_dir.n, n);
	check_rows(ledger_seq());
}
END_TEST

START_TEST(files_gone)
{
	char command[256];

	append_many(10, 1);
	close_all();
	snprintf(command, sizeof(command), "mv %s/ledger %s/away", dir, dir);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(try_open(), -1);
	ck_assert_ptr_nonnull(strstr(err, "gone"));
	close_all();
	snprintf(command, sizeof(command), "rm -r %s/ledger && mv %s/away %s/ledger", dir,
	    dir, dir);
	ck_assert_int_eq(system(command), 0);
	/* a database that knows nothing of them */
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(try_open(), -1);
	ck_assert_ptr_nonnull(strstr(err, "another database"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ledger_disk");
	TCase *t = tcase_create("disk");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, disk_errors, 0, 2);
	tcase_add_loop_test(t, commit_fails, 0, 2);
	tcase_add_loop_test(t, second_commit_fails, 0, 2);
	tcase_add_test(t, rows_are_there_before_the_database);
	tcase_add_test(t, a_sync_that_fails);
	tcase_add_test(t, a_sync_that_lost_rows);
	tcase_add_test(t, power_cuts);
	tcase_add_test(t, recovered);
	tcase_add_test(t, refused);
	tcase_add_test(t, odd_files);
	tcase_add_test(t, no_next_file);
	tcase_add_test(t, a_full_file_that_fails);
	tcase_add_test(t, files_gone);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
