/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows, chain, tree, budget and checkpoints, with a loop of one's own: turn_end() by
 * hand, no peers. The judge's globals that main.c and peers.c have are here.
 */
#include <check.h>
#include <event2/event.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/loop.h"
#include "common/merkle.h"
#include "common/proc.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_file.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/ledger_index.h"
#include "keymasterd/judge/ledger_scan.h"
#include "keymasterd/judge/ledger_sync.h"
#include "keymasterd/judge/ledger_walk.h"
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

static char dir[64], path[96], err[512];

static void
open_all(void)
{
	judge_store = store_open(path, 0, err, sizeof(err));
	ck_assert_msg(judge_store != NULL, "%s", err);
	ck_assert_msg(ledger_dir_open(dir, err, sizeof(err)) == 0, "%s", err);
	ck_assert_int_eq(ledger_sync_start(), 0);
	ck_assert_msg(
	    ledger_open(judge_store, "default", 0, err, sizeof(err)) == 0, "%s", err);
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
	judge_conf.checkpoint_rows = 1000;
	judge_conf.checkpoint_seconds = 60;
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

	close_all();
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(text_of_a_row)
{
	static const char want[] =
	    "{\"seq\":7,\"time\":\"2026-02-17T14:32:01.000123Z\",\"chain\":\"c0\","
	    "\"tenant\":\"t\","
	    "\"kind\":\"decision\",\"request\":\"000102030405060708090a0b0c0d0e0f\","
	    "\"event\":\"e\","
	    "\"agent\":\"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\",\"service\":\"s\","
	    "\"credential\":\"c\",\"method\":\"GET\",\"domain\":\"d\",\"path\":\"/"
	    "p\",\"tool\":\"t\","
	    "\"server\":\"sv\",\"context\":\"cx\",\"session\":\"ss\",\"decision\":"
	    "\"blocked\","
	    "\"code\":\"x\",\"status\":403,\"reason\":\"r\",\"bytes_in\":1,\"bytes_out\":"
	    "2,"
	    "\"duration_us\":3,\"judged\":"
	    "\"0000000000000000000000000000000000000000000000000000000000000000\","
	    "\"proof\":"
	    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "AAAAAAAAAAAA"
	    "==\","
	    "\"signed\":"
	    "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	    "\",\"key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"token\":\""
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\","
	    "\"peer\":\"::1\",\"detail\":\"\"}";
	static const uint8_t zeros[64],
	    id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	struct ledger_row r = {.kind = LEDGER_DECISION,
	    .tenant = span_str("t"),
	    .request = id,
	    .event = span_str("e"),
	    .agent = span_str("a\"\\\n\x01\xc3\xa9\xff"),
	    .service = span_str("s"),
	    .credential = span_str("c"),
	    .method = span_str("GET"),
	    .domain = span_str("d"),
	    .path = span_str("/p"),
	    .tool = span_str("t"),
	    .server = span_str("sv"),
	    .context = span_str("cx"),
	    .session = span_str("ss"),
	    .decision = LEDGER_BLOCKED,
	    .code = span_str("x"),
	    .status = 403,
	    .reason = span_str("r"),
	    .has_bytes = 1,
	    .has_duration = 1,
	    .bytes_in = 1,
	    .bytes_out = 2,
	    .duration_us = 3,
	    .judged = zeros,
	    .proof = zeros,
	    .signed_text = span_str("abc"),
	    .key = zeros,
	    .token = span_str(""),
	    .peer = span_str("::1"),
	    .detail = span_str("")};
	struct buf b;

	buf_init(&b);
	ck_assert_int_eq(ledger_row_text(&r, 7, 1771338721000123, "c0", &b), 0);
	ck_assert_int_eq(buf_putc(&b, 0), 0);
	ck_assert_str_eq((const char *)b.p, want);
	buf_free(&b);
}
END_TEST

/* What looks like a credential is not written down, however it stands in the path. */
START_TEST(keys_in_paths)
{
#define GITHUB "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
	static const struct {
		const char *path, *want; /* NULL: as it is */
	} paths[] = {
	    {"/repos/org/name/issues/12", NULL},
	    {"/v1/0b6f6c3e-6b53-4b5e-9d0e-0f2f6c1d9a11/"
	     "9d5ed678fe57bcca610140957afab571e6f2"
	     "c6ee",
		NULL},
	    {"/a%20long%20path%20with%20escapes%20in%20it", NULL},
	    {"/use/" GITHUB "/now", "/use/[redacted]/now"},
	    {"/" GITHUB, "/[redacted]"},
	    {"/x/ghp%5fA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8/y/" GITHUB ";v=1",
		"/x/[redacted]/y/[redacted]"},
	    {"/100%dckr_pat_Zx8Qm2Lr9Tk4Vb7Nc1Wd5Yh/x", "/[redacted]/x"},
	    {"/to/postgres://app:Zx8Qm2Lr9Tk4@db.example/x", "[redacted]"},
	};
	char want[512];
	struct buf b;
	size_t i;

	buf_init(&b);
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct ledger_row r = {
		    .kind = LEDGER_DECISION, .path = span_str(paths[i].path)};

		buf_reset(&b);
		ck_assert_int_eq(ledger_row_text(&r, 1, 1, "c", &b), 0);
		ck_assert_int_eq(buf_putc(&b, 0), 0);
		snprintf(want, sizeof(want), "\"path\":\"%s\"",
		    paths[i].want != NULL ? paths[i].want : paths[i].path);
		ck_assert_msg(
		    strstr((const char *)b.p, want) != NULL, "%s: %s", want, b.p);
	}
	buf_free(&b);
}
END_TEST

/* Whatever an agent sends is one member of one object. */
START_TEST(hostile_text)
{
	static char path_text[9000];
	struct ledger_row r = {.kind = LEDGER_DECISION};
	struct json_doc j;
	struct buf b;
	size_t i, n;

	srand(3);
	json_init(&j);
	buf_init(&b);
	for (n = 0; n < 3000; n++) {
		size_t len = (size_t)rand() % sizeof(path_text);

		for (i = 0; i < len; i++)
			path_text[i] = (char)(n % 3 == 0 ? rand()
				: n % 3 == 1             ? 0xe2
							 : '"');
		r.path = span_mem(path_text, len);
		r.agent = r.detail = span_str("\",\"decision\":\"allowed");
		r.reason = r.path;
		buf_reset(&b);
		ck_assert_int_eq(ledger_row_text(&r, n, 1, "c", &b), 0);
		ck_assert_int_eq(json_parse(&j, b.p, b.len, NULL), JSON_OK);
		ck_assert_uint_eq(json_count(&j, 0), 8);
		ck_assert_uint_le(b.len, LEDGER_TEXT_MAX);
		/* the filters find no member inside a value */
		ck_assert_ptr_null(ledger_text_get(span_mem(b.p, b.len), "decision").p);
	}
	json_free(&j);
	buf_free(&b);
}
END_TEST

static void
append(const char *event)
{
	struct ledger_row r = {.kind = LEDGER_SYSTEM, .event = span_str(event)};

	(void)ledger_append(&r, NULL);
}

struct walk {
	uint8_t hash[32];
	uint64_t n;
	char last[4096];
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
	ck_assert_int_eq(span_copy(row->text, w->last, sizeof(w->last)), 0);
	return 0;
}

static void
walk(struct walk *w)
{
	w->n = 0;
	ledger_hash_zero(w->hash);
	ck_assert_int_eq(ledger_each(0, UINT64_MAX, 0, step, w), 0);
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

START_TEST(chain)
{
	char zero[64];
	uint8_t hash[32];
	struct walk w;

	snprintf(zero, sizeof(zero), "aegis-ledger-1%s", ledger_chain());
	ck_assert_uint_eq(strlen(zero), 14 + 32);
	SHA256((const uint8_t *)zero, strlen(zero), hash);
	ck_assert_mem_eq(hash, ledger_head(), 32);
	append_many(2500, 7);
	walk(&w);
	ck_assert_uint_eq(w.n, 2500);
	ck_assert_mem_eq(w.hash, ledger_head(), 32);
	/* the same head after a restart, and on from there */
	close_all();
	open_all();
	ck_assert_uint_eq(ledger_seq(), 2500);
	ck_assert_mem_eq(w.hash, ledger_head(), 32);
	append("y");
	turn_end(NULL);
	walk(&w);
	ck_assert_uint_eq(w.n, 2501);
}
END_TEST

static int
numbers(const struct ledger_line *row, void *arg)
{
	uint64_t *sum = arg;

	*sum = *sum * 10000 + row->seq;
	return *sum >= 100000000;
}

START_TEST(reading)
{
	uint64_t sum = 0;

	ledger_dir.max = 20000; /* many files; tiles begin in one and end in the next */
	append_many(1000, 3);
	ck_assert_uint_gt(ledger_dir.n, 5);
	ck_assert_int_eq(ledger_each(255, 258, 0, numbers, &sum), 0);
	ck_assert_uint_eq(sum, 25602570258);
	sum = 0;
	ck_assert_int_eq(ledger_each(255, 258, 1, numbers, &sum), 0);
	ck_assert_uint_eq(sum, 25802570256);
	sum = 0;
	ck_assert_int_eq(ledger_each(998, UINT64_MAX, 1, numbers, &sum), 0);
	ck_assert_uint_eq(sum, 10000999);
	sum = 0;
	ck_assert_int_eq(ledger_each(1000, UINT64_MAX, 0, numbers, &sum), 0);
	ck_assert_int_eq(ledger_each(0, 0, 1, numbers, &sum), 0);
	ck_assert_uint_eq(sum, 0);
	close_all();
	open_all();
	ck_assert_int_eq(ledger_each(513, 999, 1, numbers, &sum), 0);
	ck_assert_uint_eq(sum, 99909980997);
}
END_TEST

struct walker {
	uint64_t rows, most, first, last;
	int ended;
};

static uint64_t visited;

static int
on_walked(const struct ledger_line *row, void *arg)
{
	struct walker *w = arg;

	visited++;
	if (w->rows++ == 0)
		w->first = row->seq;
	w->last = row->seq;
	return w->rows == w->most;
}

static void
on_walk_end(int r, void *arg)
{
	struct walker *w = arg;

	ck_assert_int_eq(r, 0);
	w->ended++;
}

/* However many walk, and however far: no turn looks at more rows than a tile has. */
START_TEST(walking)
{
	struct walker up = {0}, down = {0}, some = {.most = 300}, never = {0}, none = {0};
	uint64_t before;
	unsigned turns = 0;

	append_many(1000, 3);
	ck_assert_int_eq(ledger_walk(10, UINT64_MAX, 0, on_walked, on_walk_end, &up), 0);
	ck_assert_int_eq(ledger_walk(0, 990, 1, on_walked, on_walk_end, &down), 0);
	ck_assert_int_eq(ledger_walk(0, 990, 1, on_walked, on_walk_end, &never), 0);
	ck_assert_int_eq(ledger_walk(0, 990, 1, on_walked, on_walk_end, &some), 0);
	ck_assert_int_eq(ledger_walk(7, 7, 1, on_walked, on_walk_end, &none), 0);
	ck_assert_uint_eq(visited, 0);
	while (!up.ended || !down.ended || !some.ended || !none.ended) {
		before = visited;
		ck_assert_int_eq(event_base_loop(loop_base(), EVLOOP_ONCE), 0);
		ck_assert_uint_le(visited - before, LEDGER_TILE_ROWS);
		ck_assert_uint_lt(turns++, 100);
		ledger_walk_forget(&never);
	}
	ck_assert_uint_ge(turns, 9);
	ck_assert(up.rows == 990 && up.first == 11 && up.last == 1000);
	ck_assert(down.rows == 990 && down.first == 990 && down.last == 1);
	ck_assert(some.rows == 300 && some.last == 691);
	ck_assert(never.ended == 0 && none.rows == 0);
	ck_assert(up.ended == 1 && down.ended == 1 && some.ended == 1);
}
END_TEST

/* Paths of many rows in trees of many sizes, against the tree grown leaf by leaf. */
START_TEST(paths)
{
	static const uint64_t sizes[] = {
	    1, 2, 3, 255, 256, 257, 511, 512, 513, 700, 768, 1023, 1024, 1025, 1300};
	static uint8_t leaves[1300][32];
	uint8_t nodes[64][32], hash[32], root[32];
	struct ledger_line line;
	struct merkle m;
	struct buf octets;
	uint64_t seq, size;
	size_t i, n, tries;

	ledger_dir.max = 100000;
	append_many(1300, 11);
	buf_init(&octets);
	merkle_init(&m);
	for (seq = 1; seq <= 1300; seq++) {
		ck_assert_int_eq(ledger_row_get(seq, &line, &octets), 0);
		ck_assert_int_eq(ledger_line_hash(&line, hash), 0);
		merkle_leaf(hash, 32, leaves[seq - 1]);
		merkle_push(&m, leaves[seq - 1]);
	}
	merkle_root(&m, root);
	ledger_index_root(hash);
	ck_assert_mem_eq(root, hash, 32);
	srand(5);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size = sizes[i];
		merkle_init(&m);
		for (seq = 0; seq < size; seq++)
			merkle_push(&m, leaves[seq]);
		merkle_root(&m, root);
		for (tries = 0; tries < 60; tries++) {
			seq = tries == 0 ? 1
			    : tries == 1 ? size
					 : 1 + (uint64_t)rand() % size;
			ck_assert_int_eq(ledger_path(seq, size, nodes, &n), 0);
			ck_assert_int_eq(merkle_path_verify(leaves[seq - 1], seq - 1,
					     size, (const uint8_t(*)[32])nodes, n, root),
			    0);
		}
	}
	ck_assert_int_eq(ledger_path(0, 10, nodes, &n), -1);
	ck_assert_int_eq(ledger_path(11, 10, nodes, &n), -1);
	ck_assert_int_eq(ledger_path(1, 1301, nodes, &n), -1);
	buf_free(&octets);
}
END_TEST

static uint64_t found_seq;

static void
on_found(uint64_t seq, void *arg)
{
	(void)arg;
	found_seq = seq;
	loop_stop();
}

START_TEST(request_found)
{
	struct ledger_row r = {.kind = LEDGER_DECISION};
	uint8_t id[16] = {1, 2, 3};

	append_many(600, 10);
	r.request = id;
	(void)ledger_append(&r, NULL);
	r.kind = LEDGER_COMPLETION; /* of the same request, but not the decision on it */
	(void)ledger_append(&r, NULL);
	append_many(9000, 300);
	ck_assert_int_eq(ledger_find_request(id, on_found, NULL), 0);
	loop_run();
	ck_assert_uint_eq(found_seq, 601);
}
END_TEST

START_TEST(request_not_found)
{
	uint8_t id[16] = {1, 2, 3};

	append_many(600, 10);
	found_seq = 7;
	ck_assert_int_eq(ledger_find_request(id, on_found, &id), 0);
	ck_assert_int_eq(ledger_find_request(id, on_found, NULL), 0);
	ledger_find_forget(&id);
	loop_run();
	ck_assert_uint_eq(found_seq, 0);
}
END_TEST

/* An agent may sign what looks like the hash of a row, in any place of the line's end. */
START_TEST(evidence_like_a_hash)
{
	char payload[128];
	struct ledger_row r = {.kind = LEDGER_DECISION,
	    .signed_text = span_str("signed"),
	    .signed_time = 1700000000000};
	struct ledger_line line;
	struct buf octets;
	int n;

	buf_init(&octets);
	for (n = 0; n < 80; n++) {
		snprintf(payload, sizeof(payload), "{\"a\":{},\"hash\":\"%0*d\"}", n, 0);
		r.signed_payload = span_str(payload);
		(void)ledger_append(&r, NULL);
		turn_end(NULL);
		ck_assert_int_eq(ledger_row_get((uint64_t)n + 1, &line, &octets), 0);
		ck_assert(memmem(line.text.p, line.text.len, ",\"hash\":\"", 9) == NULL);
		ck_assert(line.hash.p == line.text.p + line.text.len + 9);
	}
	buf_free(&octets);
	close_all();
	open_all();
	ck_assert_uint_eq(ledger_seq(), 80);
}
END_TEST

/* What is beside a row in the file: what was signed, and how. */
START_TEST(evidence)
{
	static char large[LEDGER_LINE_MAX];
	static const char payload[] = "{\"a\":\"\xc3\xa9,\\\"hash\\\":\"}";
	struct ledger_row r = {.kind = LEDGER_DECISION,
	    .signed_text = span_str("signed\n"),
	    .signed_payload = span_str(payload),
	    .signed_time = 17};
	struct ledger_line line;
	struct json_doc j;
	struct buf octets;
	uint32_t node;

	(void)ledger_append(&r, NULL);
	r.signed_form = LEDGER_FORM_SPACED;
	(void)ledger_append(&r, NULL);
	r = (struct ledger_row){.kind = LEDGER_DECISION, .token = span_str("a.b.c")};
	(void)ledger_append(&r, NULL);
	memset(large, 'x', sizeof(large));
	r.token = span_mem(large, sizeof(large));
	(void)ledger_append(&r, NULL);
	turn_end(NULL);
	buf_init(&octets);
	json_init(&j);
	ck_assert_int_eq(ledger_row_get(1, &line, &octets), 0);
	ck_assert_int_eq(json_parse(&j, line.line.p, line.line.len, NULL), JSON_OK);
	node = json_get(&j, json_get(&j, 0, "signed"), "payload");
	ck_assert(json_str_eq(&j, json_get(&j, node, "a"), "\xc3\xa9,\"hash\":"));
	ck_assert_ptr_nonnull(
	    memmem(line.line.p, line.line.len, ",\"timestamp\":17}}", 17));
	ck_assert_int_eq(ledger_row_get(2, &line, &octets), 0);
	ck_assert_int_eq(json_parse(&j, line.line.p, line.line.len, NULL), JSON_OK);
	node = json_get(&j, 0, "signed");
	ck_assert(json_str_eq(&j, json_get(&j, node, "form"), "spaced"));
	ck_assert(json_str_eq(&j, json_get(&j, node, "text"), "signed\n"));
	ck_assert_int_eq(ledger_row_get(3, &line, &octets), 0);
	ck_assert_int_eq(json_parse(&j, line.line.p, line.line.len, NULL), JSON_OK);
	ck_assert(json_str_eq(&j, json_get(&j, 0, "token"), "a.b.c"));
	/* too large to be kept: its hash is in the row all the same */
	ck_assert_int_eq(ledger_row_get(4, &line, &octets), 0);
	ck_assert_int_eq(json_parse(&j, line.line.p, line.line.len, NULL), JSON_OK);
	ck_assert_uint_eq(json_get(&j, 0, "token"), JSON_NONE);
	ck_assert_uint_ne(json_get(&j, json_get(&j, 0, "row"), "token"), JSON_NONE);
	json_free(&j);
	buf_free(&octets);
}
END_TEST

START_TEST(rolled_back)
{
	struct walk w;

	append("one");
	turn_end(NULL);
	append("two");
	append("three");
	ck_assert_uint_eq(ledger_seq(), 1);
	store_poison(judge_store, "test");
	append("four");
	turn_end(NULL);
	ck_assert_uint_eq(ledger_seq(), 1);
	ck_assert_uint_eq(ledger_lost(), 3);
	store_poison(judge_store, "test");
	append("five");
	turn_end(NULL);
	ck_assert_uint_eq(ledger_lost(), 4);
	append("six");
	turn_end(NULL);
	ck_assert_uint_eq(ledger_lost(), 0);
	walk(&w);
	ck_assert_uint_eq(w.n, 3);
	ck_assert_ptr_nonnull(strstr(w.last, "\"event\":\"six\""));
}
END_TEST

START_TEST(budget)
{
	struct ledger_row r = {.kind = LEDGER_DECISION, .decision = LEDGER_BLOCKED};
	struct walk w;
	int i;

	for (i = 0; i < 5000; i++)
		ck_assert_int_eq(ledger_append_budget(&r, LEDGER_CAUSE_TOKEN, NULL, 0),
		    i >= LEDGER_BUDGET);
	/* another cause has its own */
	ck_assert_int_eq(ledger_append_budget(&r, LEDGER_CAUSE_HTTP, NULL, 0), 0);
	turn_end(NULL);
	ck_assert_uint_eq(ledger_seq(), LEDGER_BUDGET + 1);
	ledger_tick(0);
	turn_end(NULL);
	walk(&w);
	ck_assert_uint_eq(w.n, LEDGER_BUDGET + 2);
	ck_assert_ptr_nonnull(strstr(w.last,
	    "\"event\":\"refusals.summed\",\"code\":\"token\","
	    "\"detail\":\"4980 more in this second\""));
	ledger_tick(1000);
	turn_end(NULL);
	ck_assert_uint_eq(ledger_seq(), LEDGER_BUDGET + 2);
}
END_TEST

START_TEST(budget_of_each_peer)
{
	struct ledger_row r = {.kind = LEDGER_DECISION, .decision = LEDGER_BLOCKED};
	char text[96];
	struct walk w;
	unsigned i, rows = 0;

	for (i = 0; i < 100; i++)
		ck_assert_int_eq(
		    ledger_append_budget(&r, LEDGER_CAUSE_HTTP, "gate", 7) == 0,
		    i < LEDGER_BUDGET);
	/* who floods hides nobody */
	ck_assert_int_eq(ledger_append_budget(&r, LEDGER_CAUSE_HTTP, "gate", 8), 0);
	ck_assert_int_eq(ledger_append_budget(&r, LEDGER_CAUSE_HTTP, "worker", 7), 0);
	turn_end(NULL);
	ledger_tick(0);
	turn_end(NULL);
	walk(&w);
	snprintf(text, sizeof(text), "\"detail\":\"%d more in this second, of gate 7\"",
	    100 - LEDGER_BUDGET);
	ck_assert_ptr_nonnull(strstr(w.last, text));
	/* many peers: the last of them share a budget */
	for (i = 0; i < 5000; i++)
		rows += ledger_append_budget(&r, LEDGER_CAUSE_HTTP, "gate", i) == 0;
	ck_assert_uint_eq(rows, 128 + LEDGER_BUDGET);
	turn_end(NULL);
	ledger_tick(1000);
	turn_end(NULL);
	walk(&w);
	snprintf(
	    text, sizeof(text), "\"detail\":\"%u more in this second\"", 5000 - rows);
	ck_assert_ptr_nonnull(strstr(w.last, text));
}
END_TEST

static int told;

static void
tell(int status, const char *message, void *arg)
{
	(void)arg;
	ck_assert_int_eq(status, -1);
	ck_assert(message[0] != '\0');
	told++;
}

/* Without vault a checkpoint fails, and says so to all who wait. */
START_TEST(no_vault)
{
	append("x");
	ledger_checkpoint(tell, NULL);
	ledger_checkpoint(tell, NULL);
	ck_assert_int_eq(told, 0);
	turn_end(NULL);
	ck_assert_int_eq(told, 2);
	/* rows that are rolled back cannot be signed */
	append("y");
	ledger_checkpoint(tell, NULL);
	store_poison(judge_store, "test");
	turn_end(NULL);
	ck_assert_int_eq(told, 3);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ledger");
	TCase *t = tcase_create("ledger");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, text_of_a_row);
	tcase_add_test(t, keys_in_paths);
	tcase_add_test(t, hostile_text);
	tcase_add_test(t, chain);
	tcase_add_test(t, reading);
	tcase_add_test(t, walking);
	tcase_add_test(t, paths);
	tcase_add_test(t, request_found);
	tcase_add_test(t, request_not_found);
	tcase_add_test(t, evidence);
	tcase_add_test(t, evidence_like_a_hash);
	tcase_add_test(t, rolled_back);
	tcase_add_test(t, budget);
	tcase_add_test(t, budget_of_each_peer);
	tcase_add_test(t, no_vault);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
