/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of a master key: any of them that suffice give it back, fewer do not, and what
 * was mistyped, exchanged or made up is refused one by one. The arithmetic is compared
 * with an interpolation of our own, as doc/vault-format.md describes it.
 */
#include <check.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/hex.h"
#include "common/loop.h"
#include "common/secret.h"
#include "keymasterd/vault/file.h"
#include "keymasterd/vault/quorum.h"

#define LINE (SHARE_TEXT_LEN + 1)

static uint8_t key_octets[SHARE_LEN];
static struct secret *key;
static struct split split;
static char texts[SHARE_MAX * LINE + 1];

static int
copy_texts(const void *p, size_t len, void *arg)
{
	(void)arg;
	ck_assert_uint_lt(len, sizeof(texts));
	memcpy(texts, p, len);
	texts[len] = '\0';
	return 0;
}

static void
make(unsigned threshold, unsigned shares)
{
	struct secret *s = split_make(key, threshold, shares, 1790000000, &split);

	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(secret_len(s), shares * LINE);
	secret_use(s, copy_texts, NULL);
	secret_free(s);
}

static void
setup(void)
{
	ck_assert_int_ne(sodium_init(), -1);
	for (unsigned i = 0; i < SHARE_LEN; i++)
		key_octets[i] = (uint8_t)(i == 7 ? 0 : 17 * i + 3);
	key = secret_new(key_octets, sizeof(key_octets));
	ck_assert_ptr_nonnull(key);
}

static void
teardown(void)
{
	secret_free(key);
}

static const char *
read_text(const char *text, size_t len, struct share *out)
{
	struct secret *s = secret_new(text, len);
	const char *why = share_read(s, out);

	secret_free(s);
	return why;
}

static void
nth(unsigned i, struct share *out)
{
	ck_assert_ptr_null(read_text(texts + i * LINE, SHARE_TEXT_LEN, out));
	ck_assert_uint_eq(out->number, i + 1);
}

/* Do these, numbered from 0, give the key? */
static bool
joins(const unsigned *which, unsigned n)
{
	struct share shares[SHARE_MAX];
	struct secret *got;
	bool same;

	for (unsigned i = 0; i < n; i++) {
		nth(which[i], &shares[i]);
		ck_assert_ptr_null(split_refuses(&split, &shares[i]));
	}
	got = split_join(shares, n);
	same = secret_eq_mem(got, key_octets, sizeof(key_octets));
	for (unsigned i = 0; i < n; i++)
		share_end(&shares[i]);
	secret_free(got);
	return same;
}

START_TEST(any_three_of_five)
{
	unsigned a, b, c, n = 0;

	make(3, 5);
	for (a = 0; a < 5; a++)
		for (b = 0; b < 5; b++)
			for (c = 0; c < 5; c++)
				if (a != b && b != c && a != c) {
					ck_assert(joins((unsigned[]){a, b, c}, 3));
					n++;
				}
	ck_assert_uint_eq(n, 60);
	ck_assert(joins((unsigned[]){4, 0, 2, 1}, 4));
	for (a = 0; a < 5; a++)
		for (b = 0; b < 5; b++)
			ck_assert(a == b || !joins((unsigned[]){a, b}, 2));
}
END_TEST

START_TEST(the_smallest_and_the_largest)
{
	unsigned all[SHARE_MAX];

	make(2, 2);
	ck_assert(joins((unsigned[]){1, 0}, 2));
	for (unsigned i = 0; i < SHARE_MAX; i++)
		all[i] = SHARE_MAX - 1 - i;
	make(255, 255);
	ck_assert(joins(all, 255));
	ck_assert(!joins(all, 254));
	make(2, 255);
	ck_assert(joins((unsigned[]){254, 128}, 2));
}
END_TEST

START_TEST(numbers_that_cannot_be)
{
	static const unsigned bad[][2] = {
	    {0, 0}, {0, 5}, {1, 1}, {1, 5}, {3, 2}, {2, 256}, {256, 256}};
	struct split s;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_ptr_nonnull(split_refuses_numbers(bad[i][0], bad[i][1]));
		ck_assert_ptr_null(split_make(key, bad[i][0], bad[i][1], 0, &s));
	}
}
END_TEST

/* GF(2^8) with x^8 + x^4 + x^3 + x^2 + 1. */
static uint8_t
times(uint8_t a, uint8_t b)
{
	unsigned x = a, r = 0;

	for (; b != 0; b >>= 1) {
		if (b & 1)
			r ^= x;
		x = x << 1 ^ (x & 0x80 ? 0x11d : 0);
	}
	return (uint8_t)r;
}

static uint8_t
inverse(uint8_t a)
{
	uint8_t r = 1;

	for (int i = 0; i < 254; i++)
		r = times(r, a);
	return r;
}

START_TEST(the_field_is_the_documented_one)
{
	static const uint8_t x[3] = {2, 3, 5};
	uint8_t raw[42], got[SHARE_LEN] = {0}, y[3][SHARE_LEN];

	make(3, 5);
	for (int i = 0; i < 3; i++) {
		const char *t = texts + (x[i] - 1) * LINE + 15;

		ck_assert_int_eq(hex_decode(t, 84, raw, sizeof(raw)), 42);
		ck_assert_uint_eq(raw[0], 1);
		ck_assert_uint_eq(raw[1], 3);
		memcpy(y[i], raw + 6, SHARE_LEN);
	}
	for (int k = 0; k < SHARE_LEN; k++)
		for (int i = 0; i < 3; i++) {
			uint8_t l = 1;

			for (int j = 0; j < 3; j++)
				if (j != i)
					l = times(l,
					    times(x[j], inverse((uint8_t)(x[i] ^ x[j]))));
			got[k] ^= times(l, y[i][k]);
		}
	ck_assert_mem_eq(got, key_octets, SHARE_LEN);
}
END_TEST

START_TEST(two_splits_have_nothing_in_common)
{
	char before[sizeof(texts)];
	struct split old;
	struct share s;

	make(3, 5);
	memcpy(before, texts, sizeof(before));
	old = split;
	make(3, 5);
	ck_assert_mem_ne(old.group, split.group, SHARE_GROUP_LEN);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_mem_ne(before + i * LINE, texts + i * LINE, SHARE_TEXT_LEN);
		ck_assert_ptr_null(read_text(before + i * LINE, SHARE_TEXT_LEN, &s));
		ck_assert_ptr_nonnull(
		    strstr(split_refuses(&split, &s), "of another split"));
		ck_assert_ptr_null(split_refuses(&old, &s));
		share_end(&s);
	}
}
END_TEST

/* With two needed, an octet of share 1 is the key's where the coefficient is 0, which it
 * has to be as often as anything else: else a share would say what the key is not. */
START_TEST(a_share_says_nothing)
{
	unsigned same = 0, n = 0;
	uint8_t raw[42];

	for (int i = 0; i < 2000; i++) {
		make(2, 2);
		ck_assert_int_eq(hex_decode(texts + 15, 84, raw, sizeof(raw)), 42);
		for (int k = 0; k < SHARE_LEN; k++, n++)
			same += raw[6 + k] == key_octets[k];
	}
	ck_assert_uint_eq(n, 64000);
	/* 250 are to be expected; 100 more or fewer is six sigma */
	ck_assert_uint_gt(same, 150);
	ck_assert_uint_lt(same, 350);
}
END_TEST

/* Every character, every other value of it that does not mean the same. */
START_TEST(each_mistyped_character_is_found)
{
	struct share s;
	unsigned found = 0;
	char text[SHARE_TEXT_LEN];

	make(2, 3);
	for (unsigned i = 0; i < SHARE_TEXT_LEN; i++)
		for (int c = 1; c < 256; c++) {
			memcpy(text, texts + LINE, SHARE_TEXT_LEN);
			if (c == text[i] ||
			    (i >= 12 && isxdigit(c) && tolower(c) == text[i]))
				continue;
			text[i] = (char)c;
			if ((i == 0 || i == SHARE_TEXT_LEN - 1) &&
			    strchr(" \t\r\n", c) != NULL)
				continue; /* one too short; below */
			ck_assert_msg(read_text(text, sizeof(text), &s) != NULL,
			    "character %u as 0x%02x", i, (unsigned)c);
			ck_assert_ptr_null(s.octets);
			found++;
		}
	ck_assert_uint_gt(found, 24000);
	for (unsigned i = 0; i + 1 < SHARE_TEXT_LEN; i++) {
		memcpy(text, texts + LINE, SHARE_TEXT_LEN);
		if (text[i] == text[i + 1])
			continue;
		text[i] = texts[LINE + i + 1];
		text[i + 1] = texts[LINE + i];
		ck_assert_ptr_nonnull(read_text(text, sizeof(text), &s));
	}
}
END_TEST

START_TEST(each_length_but_one_is_refused)
{
	char text[2 * LINE];
	struct share s;

	make(2, 3);
	memcpy(text, texts, sizeof(text));
	for (size_t n = 0; n < sizeof(text); n++) {
		const char *why = read_text(text, n, &s);

		/* the line feed behind it is a blank */
		ck_assert_msg(
		    (why == NULL) == (n == SHARE_TEXT_LEN || n == SHARE_TEXT_LEN + 1),
		    "%zu", n);
		share_end(&s);
	}
	ck_assert_ptr_nonnull(strstr(read_text(text, 98, &s), "not whole"));
	ck_assert_ptr_nonnull(strstr(read_text("hello", 5, &s), "begins with"));
}
END_TEST

START_TEST(blanks_and_capitals_do_not_matter)
{
	char text[SHARE_TEXT_LEN + 10];
	struct share s;

	make(2, 3);
	memcpy(text, " \t", 2);
	memcpy(text + 2, texts, SHARE_TEXT_LEN);
	memcpy(text + 2 + SHARE_TEXT_LEN, " \r\n", 3);
	for (unsigned i = 14; i < SHARE_TEXT_LEN; i++)
		text[i] = (char)toupper((unsigned char)text[i]);
	ck_assert_ptr_null(read_text(text, SHARE_TEXT_LEN + 5, &s));
	ck_assert_ptr_null(split_refuses(&split, &s));
	share_end(&s);
}
END_TEST

/* Somebody makes up a share, with a right checksum. */
START_TEST(a_made_up_share_is_refused)
{
	uint8_t octets[SHARE_LEN] = {1, 2, 3}, hash[SHARE_HASH_LEN];
	struct share s = {.number = 2, .threshold = 3}, got;
	char text[SHARE_TEXT_LEN];

	make(3, 5);
	memcpy(s.group, split.group, sizeof(s.group));
	for (unsigned number = 1; number < 256; number += 3) {
		s.number = (uint8_t)number;
		share_write(text, &s, octets, hash);
		ck_assert_ptr_null(read_text(text, sizeof(text), &got));
		ck_assert_mem_eq(got.hash, hash, sizeof(hash));
		ck_assert_ptr_nonnull(
		    strstr(split_refuses(&split, &got), "not given out"));
		share_end(&got);
	}
}
END_TEST

START_TEST(the_file)
{
	char dir[] = "/tmp/aegis-split-XXXXXX";
	struct split got;
	uint8_t *p;
	size_t len;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make(3, 5);
	ck_assert_int_eq(split_load(fd, "v", &got), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_uint_eq(got.shares, 0);
	ck_assert_int_eq(split_save(fd, "v", &split), 0);
	ck_assert_int_eq(split_load(fd, "v", &got), 0);
	ck_assert_mem_eq(&got, &split, sizeof(got));
	ck_assert_int_eq(file_read(fd, "v.split", SPLIT_FILE_MAX, &p, &len), 0);
	ck_assert_uint_eq(len, 26 + 5 * 32);
	/* no share is in it, in no form */
	for (unsigned i = 0; i < 5; i++) {
		uint8_t raw[SHARE_LEN];

		ck_assert_int_eq(
		    hex_decode(texts + i * LINE + 15 + 12, 64, raw, sizeof(raw)), 32);
		ck_assert_ptr_null(memmem(p, len, raw, 8));
		ck_assert_ptr_null(memmem(p, len, texts + i * LINE + 27, 16));
	}
	for (size_t n = 0; n < len; n++)
		ck_assert_int_eq(split_decode(p, n, &got), -1);
	free(p);
	make(255, 255);
	ck_assert_int_eq(split_save(fd, "v", &split), 0);
	ck_assert_int_eq(split_load(fd, "v", &got), 0);
	ck_assert_mem_eq(&got, &split, sizeof(got));
	ck_assert_int_eq(file_replace(fd, "v.split", "t", "AEGISSPL", 8), 0);
	ck_assert_int_eq(split_load(fd, "v", &got), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(unlinkat(fd, "v.split", 0), 0);
	close(fd);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

static unsigned old;

static void
on_old(void)
{
	old = quorum_have();
}

/* Its time is over now, if it is the one of ten minutes. */
static int
ripen(const struct event_base *base, const struct event *e, void *arg)
{
	struct timeval at, now;
	struct event *writable;

	memcpy(&writable, &e, sizeof(writable));
	(void)event_base_gettimeofday_cached(loop_base(), &now);
	(void)base;
	ck_assert(event_pending(e, EV_TIMEOUT, &at));
	ck_assert_int_le(at.tv_sec - now.tv_sec, 601);
	if (at.tv_sec - now.tv_sec >= 590) {
		event_active(writable, EV_TIMEOUT, 0);
		++*(unsigned *)arg;
	}
	return 0;
}

static const char *
bring(unsigned i)
{
	struct share s;
	const char *why;

	nth(i, &s);
	why = quorum_bring(&s);
	share_end(&s);
	return why;
}

START_TEST(shares_that_were_brought)
{
	char dir[] = "/tmp/aegis-split-XXXXXX";
	unsigned ripe = 0;
	const char *why;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(loop_init(), 0);
	quorum_on_old(on_old);
	make(3, 5);
	quorum_open(fd, "v", 1);
	ck_assert_ptr_null(quorum_split());
	ck_assert_ptr_nonnull(strstr(bring(0), "never split"));
	ck_assert_int_eq(quorum_replace(&split), 0);
	ck_assert_ptr_null(bring(0));
	ck_assert_ptr_null(bring(3));
	ck_assert_ptr_nonnull(strstr(bring(0), "brought already"));
	ck_assert_uint_eq(quorum_have(), 2);
	ck_assert(!quorum_there());
	ck_assert_int_eq(event_base_foreach_event(loop_base(), ripen, &ripe), 0);
	ck_assert_uint_eq(ripe, 1);
	ck_assert_int_ge(event_base_loop(loop_base(), EVLOOP_NONBLOCK), 0);
	ck_assert_uint_eq(old, 2);
	ck_assert_uint_eq(quorum_have(), 0);
	/* there is no vault that they open */
	for (unsigned i = 0; i < 3; i++)
		ck_assert_ptr_null(bring(i));
	ck_assert(quorum_there());
	ck_assert_ptr_null(quorum_join(&why));
	ck_assert_ptr_nonnull(why);
	ck_assert_uint_eq(quorum_have(), 0);
	/* another split, and nothing of the one before counts */
	ck_assert_ptr_null(bring(1));
	make(2, 2);
	ck_assert_int_eq(quorum_replace(&split), 0);
	ck_assert_uint_eq(quorum_have(), 0);
	ck_assert_ptr_null(bring(1));
	quorum_forget();
	ck_assert_int_eq(unlinkat(fd, "v.split", 0), 0);
	close(fd);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("split");
	TCase *tc = tcase_create("all");
	SRunner *run;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, any_three_of_five);
	tcase_add_test(tc, the_smallest_and_the_largest);
	tcase_add_test(tc, numbers_that_cannot_be);
	tcase_add_test(tc, the_field_is_the_documented_one);
	tcase_add_test(tc, two_splits_have_nothing_in_common);
	tcase_add_test(tc, a_share_says_nothing);
	tcase_add_test(tc, each_mistyped_character_is_found);
	tcase_add_test(tc, each_length_but_one_is_refused);
	tcase_add_test(tc, blanks_and_capitals_do_not_matter);
	tcase_add_test(tc, a_made_up_share_is_refused);
	tcase_add_test(tc, the_file);
	tcase_add_test(tc, shares_that_were_brought);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed == 0 ? 0 : 1;
}
