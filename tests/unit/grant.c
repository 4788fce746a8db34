/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants and the set of marks: good once, never for anything else, never late.
 */
#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/grant.h"
#include "common/proto.h"
#include "common/replay.h"
#include "common/secret.h"

static struct grant_book *book;
static struct secret *key;
static uint8_t digest[32];
static struct grant good;
static const uint64_t now = 1771338721000;

static void
setup(void)
{
	ck_assert_int_ge(sodium_init(), 0);
	key = secret_new_random(32);
	book = grant_book_new();
	grant_book_key_take(book, secret_new_random(32), now); /* an older one */
	grant_book_free(book);
	book = grant_book_new();
	grant_digest_proxy(span_str("GET"), span_str("api.example.com"), span_str("/x"),
	    span_str("accept: */*\r\n"), 0, 9, false, digest);
	memset(&good, 0, sizeof(good));
	memset(good.request_id, 9, 16);
	ck_assert_int_eq(grant_seal(&good, key, now, digest), 0);
	grant_book_key_take(book, key, now);
}

static void
teardown(void)
{
	grant_book_free(book);
}

START_TEST(once)
{
	ck_assert_int_eq(grant_redeem(book, &good, now, digest), GRANT_GOOD);
	ck_assert_int_eq(grant_redeem(book, &good, now, digest), GRANT_REUSED);
	ck_assert_int_eq(
	    grant_redeem(book, &good, now + GRANT_TTL_MS, digest), GRANT_REUSED);
}
END_TEST

START_TEST(late)
{
	ck_assert_int_eq(
	    grant_redeem(book, &good, now + GRANT_TTL_MS + 1, digest), GRANT_LATE);
	ck_assert_int_eq(
	    grant_redeem(book, &good, now + GRANT_TTL_MS, digest), GRANT_GOOD);
}
END_TEST

START_TEST(every_bit)
{
	struct grant g;
	uint8_t *p = (uint8_t *)&g, d[32];
	size_t i;

	for (i = 0; i < sizeof(g) * 8; i++) {
		g = good;
		p[i / 8] ^= (uint8_t)(1 << i % 8);
		if (memcmp(&g.request_id, &good.request_id, 16) == 0 &&
		    memcmp(&g.id, &good.id, 16) == 0 &&
		    g.not_after_ms == good.not_after_ms &&
		    memcmp(&g.mac, &good.mac, 32) == 0)
			continue; /* padding */
		ck_assert_int_eq(grant_redeem(book, &g, now, digest), GRANT_FORGED);
	}
	for (i = 0; i < 256; i++) {
		memcpy(d, digest, 32);
		d[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert_int_eq(grant_redeem(book, &good, now, d), GRANT_FORGED);
	}
	ck_assert_int_eq(grant_redeem(book, &good, now, digest), GRANT_GOOD);
}
END_TEST

START_TEST(other_key)
{
	struct grant g = good;
	struct secret *other = secret_new_random(32);

	ck_assert_int_eq(grant_seal(&g, other, now, digest), 0);
	ck_assert_int_eq(grant_redeem(book, &g, now, digest), GRANT_FORGED);
	/* the judge was started anew: its old grants live on for their time, then no more
	 */
	grant_book_key_take(book, other, now);
	ck_assert_int_eq(grant_redeem(book, &good, now, digest), GRANT_GOOD);
	ck_assert_int_eq(grant_redeem(book, &g, now, digest), GRANT_GOOD);
}
END_TEST

START_TEST(old_key_ends)
{
	grant_book_key_take(book, secret_new_random(32), now);
	ck_assert_int_eq(
	    grant_redeem(book, &good, now + GRANT_TTL_MS + 1, digest), GRANT_FORGED);
}
END_TEST

START_TEST(fields_do_not_run_together)
{
	uint8_t a[32], b[32];

	grant_digest_proxy(span_str("GE"), span_str("Thost"), span_str("/"), span_str(""),
	    0, 9, false, a);
	grant_digest_proxy(span_str("GET"), span_str("host"), span_str("/"), span_str(""),
	    0, 9, false, b);
	ck_assert_mem_ne(a, b, 32);
	grant_digest_proxy(span_str("GET"), span_str("host"), span_str("/"), span_str(""),
	    1, 9, false, a);
	ck_assert_mem_ne(a, b, 32);
	grant_digest_proxy(span_str("GET"), span_str("host"), span_str("/"), span_str(""),
	    0, 10, false, a);
	ck_assert_mem_ne(a, b, 32);
	grant_digest_proxy(span_str("GET"), span_str("host"), span_str("/"), span_str(""),
	    0, 9, true, a);
	ck_assert_mem_ne(a, b, 32);
	grant_digest_tool(1, span_str(""), "x", 1, a);
	grant_digest_tool(2, span_str(""), "x", 1, b);
	ck_assert_mem_ne(a, b, 32);
	grant_digest_tool(1, span_str("x"), "", 0, b);
	ck_assert_mem_ne(a, b, 32);
}
END_TEST

START_TEST(marks)
{
	struct replay *r = replay_new(1000);
	uint8_t m[32];
	uint32_t i;

	for (i = 1; i <= 100000; i++) {
		crypto_generichash(m, 32, (const void *)&i, sizeof(i), NULL, 0);
		ck_assert_int_eq(replay_mark(r, m, 5000), 1);
		ck_assert_int_eq(replay_mark(r, m, 5000), 0);
	}
	ck_assert_uint_eq(replay_count(r), 100000);
	crypto_generichash(m, 32, (const void *)&(uint32_t){1}, sizeof(i), NULL, 0);
	ck_assert_int_eq(replay_mark(r, m, 6000), 0); /* within the window */
	memset(m, 0, 32);
	ck_assert_int_eq(replay_mark(r, m, 6000), 1);
	ck_assert_int_eq(replay_mark(r, m, 6000), 0);
	/* two windows later nothing is left of the first hundred thousand */
	memset(m, 1, 32);
	ck_assert_int_eq(replay_mark(r, m, 6100), 1);
	ck_assert_int_eq(replay_mark(r, m, 6100), 0);
	memset(m, 2, 32);
	ck_assert_int_eq(replay_mark(r, m, 9000), 1);
	ck_assert_uint_lt(replay_count(r), 10);
	replay_free(r);
}
END_TEST

/* A mark that is not like the one before. */
static void
scatter(uint64_t i, uint8_t m[32])
{
	i = (i ^ i << 32) * 0x9e3779b97f4a7c15;
	i = (i ^ i >> 29) * 0xbf58476d1ce4e5b9;
	i ^= i >> 32;
	memcpy(m, &i, sizeof(i));
}

/* Wherever a mark has got to in the meantime, it is known as long as the window is. */
START_TEST(marks_in_time)
{
	struct replay *r = replay_new(1000);
	uint8_t m[32] = {0};
	uint32_t i, k;

	for (i = 1; i <= 120000; i++) {
		scatter(i, m);
		ck_assert_int_eq(replay_mark(r, m, 5000 + i / 40), 1);
		if (i % 30000 != 0)
			continue;
		for (k = i > 39999 ? i - 39999 : 1; k <= i; k++) {
			scatter(k, m);
			ck_assert_int_eq(replay_mark(r, m, 5000 + i / 40), 0);
		}
		ck_assert_uint_le(replay_count(r), 40000 / 4 * 5 + 100);
	}
	replay_free(r);
}
END_TEST

/* What says its own time is not new again because the clock it is judged by went back. */
START_TEST(stamps)
{
	struct replay *r = replay_new(1000);
	uint8_t m[32] = {1}, other[32] = {2};

	ck_assert_int_eq(replay_stamped(r, m, 5000, 100), 1);
	ck_assert_int_eq(replay_stamped(r, m, 5000, 100), 0);
	/* its time is over, and it is forgotten when the next one comes */
	ck_assert_int_eq(replay_stamped(r, other, 9000, 104), 1);
	ck_assert_uint_eq(replay_count(r), 1);
	ck_assert_int_eq(replay_horizon(r), 100);
	ck_assert_int_eq(replay_stamped(r, m, 9000, 100), 0);
	other[0] = 3;
	ck_assert_int_eq(replay_stamped(r, other, 9000, 100), 0);
	ck_assert_int_eq(replay_stamped(r, other, 9000, 101), 1);
	/* also when it is the one that lets the old ones be forgotten */
	other[0] = 2;
	ck_assert_int_eq(replay_stamped(r, other, 20000, 104), 0);
	replay_forgot(r, 500);
	other[0] = 4;
	ck_assert_int_eq(replay_stamped(r, other, 20000, 500), 0);
	ck_assert_int_eq(replay_stamped(r, other, 20000, 501), 1);
	replay_free(r);
}
END_TEST

START_TEST(numbers)
{
	struct replay *r = replay_new(1000);
	uint64_t i, begin = UINT64_MAX - 50000; /* past the end as well */

	for (i = 0; i < 100000; i++) {
		ck_assert_int_eq(replay_number(r, begin + i, 5000 + i / 100), 1);
		ck_assert_int_eq(replay_number(r, begin + i, 5000 + i / 100), 0);
	}
	/* every one of the window is known, in whatever slice it lies */
	for (i = 0; i < 100000; i++)
		ck_assert_int_eq(replay_number(r, begin + i, 5999), 0);
	ck_assert_uint_eq(replay_count(r), 100000);
	/* far apart, as one who does not count makes them */
	for (i = 1; i < 50000; i++)
		ck_assert_int_eq(
		    replay_number(r, i * 0x9e3779b97f4a7c15, 6000 + i / 10), 1);
	ck_assert_int_eq(replay_number(r, 49999 * 0x9e3779b97f4a7c15, 11999), 0);
	ck_assert_uint_lt(replay_count(r), 20000);
	/* a clock set back forgets nothing */
	ck_assert_int_eq(replay_number(r, 49999 * 0x9e3779b97f4a7c15, 1), 0);
	replay_free(r);
}
END_TEST

/* Two grants of one process never share an id, and in a row they take little memory. */
START_TEST(ids_count_on)
{
	struct secret *k = secret_new_random(32);
	struct grant a, b;
	uint64_t first, second;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	ck_assert_int_eq(grant_seal(&a, k, now, digest), 0);
	ck_assert_int_eq(grant_seal(&b, k, now, digest), 0);
	memcpy(&first, a.id, sizeof(first));
	memcpy(&second, b.id, sizeof(second));
	ck_assert_uint_eq(first + 1, second);
	ck_assert_mem_ne(a.id + 8, b.id + 8, 8);
	secret_free(k);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("grant");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, once);
	tcase_add_test(tc, late);
	tcase_add_test(tc, every_bit);
	tcase_add_test(tc, other_key);
	tcase_add_test(tc, old_key_ends);
	tcase_add_test(tc, fields_do_not_run_together);
	tcase_add_test(tc, marks);
	tcase_add_test(tc, marks_in_time);
	tcase_add_test(tc, stamps);
	tcase_add_test(tc, numbers);
	tcase_add_test(tc, ids_count_on);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
