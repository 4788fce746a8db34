/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows, chain, budget and checkpoints, with a loop of one's own: turn_end() by hand, no
 * peers. The judge's globals that main.c and peers.c have are here.
 */
#include <check.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/loop.h"
#include "common/proc.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_find.h"
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
	ck_assert_msg(
	    ledger_open(judge_store, "default", err, sizeof(err)) == 0, "%s", err);
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

	store_close(judge_store);
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
	    "==\",\"peer\":\"::1\",\"detail\":\"\"}";
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
step(const struct store_ledger_row *row, void *arg)
{
	static uint8_t octets[70000];
	struct walk *w = arg;

	memcpy(octets, w->hash, 32);
	memcpy(octets + 32, row->text.p, row->text.len);
	SHA256(octets, row->text.len + 32, w->hash);
	ck_assert_mem_eq(w->hash, row->hash, 32);
	ck_assert_uint_eq(row->seq, ++w->n);
	ck_assert_int_eq(span_copy(row->text, w->last, sizeof(w->last)), 0);
	return 0;
}

static void
walk(struct walk *w)
{
	w->n = 0;
	ledger_hash_zero(w->hash);
	ck_assert_int_eq(
	    store_ledger_each(judge_store, NULL, 0, UINT64_MAX, 0, step, w), 0);
}

START_TEST(chain)
{
	char zero[64], head[65];
	uint8_t hash[32];
	struct walk w;
	int i;

	snprintf(zero, sizeof(zero), "aegis-ledger-1%s", ledger_chain());
	ck_assert_uint_eq(strlen(zero), 14 + 32);
	SHA256((const uint8_t *)zero, strlen(zero), hash);
	ck_assert_mem_eq(hash, ledger_head(), 32);
	for (i = 0; i < 2500; i++) {
		append("x");
		if (i % 7 == 0)
			turn_end(NULL);
	}
	turn_end(NULL);
	walk(&w);
	ck_assert_uint_eq(w.n, 2500);
	ck_assert_mem_eq(w.hash, ledger_head(), 32);
	/* the same head after a restart, and on from there */
	(void)hex_encode(ledger_head(), 32, head, sizeof(head));
	store_close(judge_store);
	open_all();
	ck_assert_uint_eq(ledger_seq(), 2500);
	ck_assert_mem_eq(w.hash, ledger_head(), 32);
	append("y");
	turn_end(NULL);
	walk(&w);
	ck_assert_uint_eq(w.n, 2501);
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
	tcase_add_test(t, hostile_text);
	tcase_add_test(t, chain);
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
