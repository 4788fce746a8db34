/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier of ledger exports: what a sound export says, and that no change of one
 * goes unseen. Exports are made here, with a key of the test's own.
 */
#include "aegis/verify.h"

#include <check.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/hex.h"

#define ROWS 60
#define EVERY 20 /* rows between two checkpoints */
#define MUTATIONS 3000

static const char chain[] = "0123456789abcdef0123456789abcdef";
static uint8_t pub[32], sec[64];
static struct buf export;
static uint64_t seed = 42;

static uint64_t
draw(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void
sha256(const void *a, size_t alen, const void *b, size_t blen, uint8_t out[32])
{
	crypto_hash_sha256_state s;

	crypto_hash_sha256_init(&s);
	crypto_hash_sha256_update(&s, a, alen);
	crypto_hash_sha256_update(&s, b, blen);
	crypto_hash_sha256_final(&s, out);
}

static void
put_header(struct buf *b, const char *id, uint8_t hash[32])
{
	char hex[65];

	sha256("aegis-ledger-1", 14, id, strlen(id), hash);
	hex_encode(hash, 32, hex, sizeof(hex));
	buf_printf(b,
	    "{\"ledger\":\"aegis-1\",\"chain\":\"%s\",\"from\":1,\"prev\":\"%s\"}\n", id,
	    hex);
}

static void
put_row(struct buf *b, const char *id, uint64_t seq, uint8_t hash[32])
{
	char text[512], hex[65];
	int n = snprintf(text, sizeof(text),
	    "{\"seq\":%llu,\"time\":\"2031-05-06T07:08:09.%06lluZ\",\"chain\":\"%s\","
	    "\"tenant\":\"default\",\"kind\":\"decision\",\"agent\":\"bot-%llu\","
	    "\"path\":\"/a\\\"b/%llu\",\"decision\":\"allowed\",\"status\":200}",
	    (unsigned long long)seq, (unsigned long long)seq, id,
	    (unsigned long long)seq % 7, (unsigned long long)seq);

	sha256(hash, 32, text, (size_t)n, hash);
	hex_encode(hash, 32, hex, sizeof(hex));
	buf_printf(b, "{\"row\":%s,\"hash\":\"%s\"}\n", text, hex);
}

static void
put_checkpoint(struct buf *b, const char *id, uint64_t seq, const uint8_t hash[32],
    const uint8_t *secret, const uint8_t *public)
{
	char text[256], hex[65], kid[17], signature[96];
	uint8_t octets[64];
	int n;

	hex_encode(hash, 32, hex, sizeof(hex));
	verify_kid(public, kid);
	n = snprintf(text, sizeof(text), "aegis-checkpoint-1\n%s\n%llu\n%s\n%s\n", id,
	    (unsigned long long)seq, hex, "2031-05-06T08:00:00.000000Z");
	crypto_sign_detached(
	    octets, NULL, (const uint8_t *)text, (unsigned long long)n, secret);
	b64_encode(B64_STD, octets, 64, signature, sizeof(signature));
	buf_printf(b,
	    "{\"checkpoint\":{\"chain\":\"%s\",\"seq\":%llu,\"head\":\"%s\",\"time\":"
	    "\"2031-05-06T08:00:00.000000Z\",\"kid\":\"%s\"},\"signature\":\"%s\"}\n",
	    id, (unsigned long long)seq, hex, kid, signature);
}

static void
make_export(struct buf *b, const char *id, const uint8_t *secret, const uint8_t *public)
{
	uint8_t hash[32];
	uint64_t seq;

	put_header(b, id, hash);
	for (seq = 1; seq <= ROWS; seq++) {
		put_row(b, id, seq, hash);
		if (seq % EVERY == 0)
			put_checkpoint(b, id, seq, hash, secret, public);
	}
}

static void
setup(void)
{
	uint8_t s[32];

	ck_assert_int_ge(sodium_init(), 0);
	memset(s, 7, sizeof(s));
	crypto_sign_seed_keypair(pub, sec, s);
	buf_init(&export);
	make_export(&export, chain, sec, pub);
}

static void
teardown(void)
{
	buf_free(&export);
}

/* Verifies; true when nothing was found. */
static bool
verify(struct verify *v, const void *p, size_t len)
{
	bool good;

	ck_assert_int_eq(verify_begin(v, pub), 0);
	verify_text(v, p, len);
	good = verify_end(v);
	verify_free(v);
	ck_assert(good == (v->nfindings == 0));
	return good;
}

/* Line n (from 0) of the export. */
static const char *
line_at(unsigned n, size_t *len)
{
	const char *p = (const char *)export.p, *end = p + export.len, *nl;

	for (;; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		ck_assert_ptr_nonnull(nl);
		if (n-- == 0)
			break;
	}
	*len = (size_t)(nl - p) + 1;
	return p;
}

/* The line's number of a row: the header, and a checkpoint after each EVERY rows. */
static unsigned
line_of_row(unsigned seq)
{
	return seq + (seq - 1) / EVERY;
}

/* The export without some lines, or with two exchanged. */
static void
without_lines(struct buf *out, unsigned first, unsigned last)
{
	size_t a, b;
	const char *p = line_at(first, &a), *q = line_at(last, &b);

	buf_put(out, export.p, (size_t)(p - (const char *)export.p));
	buf_put(out, q + b, export.len - (size_t)(q + b - (const char *)export.p));
}

START_TEST(sound)
{
	struct verify v;

	ck_assert(verify(&v, export.p, export.len));
	ck_assert(v.complete);
	ck_assert_uint_eq(v.rows, ROWS);
	ck_assert_uint_eq(v.last_row, ROWS);
	ck_assert_uint_eq(v.sealed_row, ROWS);
	ck_assert_uint_eq(v.checkpoints, ROWS / EVERY);
	ck_assert_str_eq(v.sealed_time, "2031-05-06T08:00:00.000000Z");
}
END_TEST

START_TEST(changed_row)
{
	struct verify v;
	char *at = memmem(export.p, export.len, "/a\\\"b/17\"", 9);

	at[1] = 'b';
	ck_assert(!verify(&v, export.p, export.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_CHANGED);
	ck_assert_uint_eq(v.findings[0].first, 17);
	ck_assert_uint_eq(v.nfindings, 1); /* the others are as they were */
	ck_assert(!v.complete);
}
END_TEST

START_TEST(missing_rows)
{
	struct verify v;
	struct buf b;

	buf_init(&b);
	without_lines(&b, line_of_row(25), line_of_row(27));
	ck_assert(!verify(&v, b.p, b.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_MISSING);
	ck_assert_uint_eq(v.findings[0].first, 25);
	ck_assert_uint_eq(v.findings[0].last, 27);
	ck_assert_uint_eq(v.nfindings, 1);
	buf_free(&b);
}
END_TEST

START_TEST(cut_tail)
{
	struct verify v;
	struct buf b;
	size_t len;
	const char *p;

	/* the closing checkpoint is gone */
	p = line_at(line_of_row(ROWS) + 1, &len);
	ck_assert(!verify(&v, export.p, (size_t)(p - (const char *)export.p)));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_CUT);
	ck_assert_uint_eq(v.findings[0].first, ROWS - EVERY + 1);
	/* it is there, but the last row is not */
	buf_init(&b);
	without_lines(&b, line_of_row(ROWS), line_of_row(ROWS));
	ck_assert(!verify(&v, b.p, b.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_CUT);
	ck_assert_uint_eq(v.findings[0].first, ROWS);
	ck_assert_uint_eq(v.findings[0].last, ROWS);
	/* in the middle of a line */
	ck_assert(!verify(&v, export.p, export.len - 1));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_CUT);
	/* nothing at all */
	ck_assert(!verify(&v, "", 0));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_CUT);
	buf_free(&b);
}
END_TEST

/* Whole, and sealed, but not to today's end: it says up to where. */
START_TEST(older_export)
{
	struct verify v;
	size_t len;
	const char *p = line_at(line_of_row(EVERY) + 2, &len);

	ck_assert(verify(&v, export.p, (size_t)(p - (const char *)export.p)));
	ck_assert_uint_eq(v.sealed_row, EVERY);
}
END_TEST

START_TEST(reordered)
{
	struct verify v;
	struct buf b;
	size_t a, c;
	const char *p = line_at(line_of_row(31), &a), *q = line_at(line_of_row(32), &c);

	buf_init(&b);
	buf_put(&b, export.p, (size_t)(p - (const char *)export.p));
	buf_put(&b, q, c);
	buf_put(&b, p, a);
	buf_put(&b, q + c, export.len - (size_t)(q + c - (const char *)export.p));
	ck_assert_uint_eq(b.len, export.len);
	ck_assert(!verify(&v, b.p, b.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_REORDERED);
	ck_assert_uint_eq(v.findings[0].first, 31);
	buf_free(&b);
}
END_TEST

START_TEST(foreign_chain)
{
	static const char other[] = "fedcba9876543210fedcba9876543210";
	struct buf b, mixed;
	uint8_t pub2[32], sec2[64], s[32] = {1};
	struct verify v;
	size_t len;
	const char *p;

	/* another key */
	crypto_sign_seed_keypair(pub2, sec2, s);
	buf_init(&b);
	make_export(&b, chain, sec2, pub2);
	ck_assert(!verify(&v, b.p, b.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_FOREIGN);
	/* a row of another chain among ours */
	buf_reset(&b);
	buf_init(&mixed);
	make_export(&b, other, sec, pub);
	p = line_at(line_of_row(5), &len);
	buf_put(&mixed, export.p, (size_t)(p - (const char *)export.p));
	buf_put(&mixed, b.p + (p - (const char *)export.p), len);
	buf_put(&mixed, p + len, export.len - (size_t)(p + len - (const char *)export.p));
	ck_assert(!verify(&v, mixed.p, mixed.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_FOREIGN);
	ck_assert_uint_eq(v.findings[0].first, 5);
	buf_free(&b);
	buf_free(&mixed);
}
END_TEST

/* A forger without the key: a whole chain of its own under our key's id. */
START_TEST(forged)
{
	uint8_t pub2[32], sec2[64], s[32] = {2};
	struct verify v;
	struct buf b;

	crypto_sign_seed_keypair(pub2, sec2, s);
	buf_init(&b);
	make_export(&b, chain, sec2, pub);
	ck_assert(!verify(&v, b.p, b.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_SIGNATURE);
	ck_assert_uint_eq(v.findings[0].first, EVERY);
	buf_free(&b);
}
END_TEST

/* Rows rewritten with hashes that fit, under checkpoints that were once true. */
START_TEST(rewritten)
{
	struct verify v;
	struct buf b;
	uint8_t hash[32], old[32];
	uint64_t seq;

	buf_init(&b);
	put_header(&b, chain, hash);
	memcpy(old, hash, 32);
	for (seq = 1; seq <= EVERY; seq++) {
		struct buf scratch;

		buf_init(&scratch);
		put_row(&scratch, chain, seq, old);
		buf_free(&scratch);
		if (seq == 9) {
			const char *text =
			    "{\"seq\":9,\"time\":\"2031-05-06T07:08:09.000009Z\","
			    "\"chain\":\"0123456789abcdef0123456789abcdef\"}";
			char hex[65];

			sha256(hash, 32, text, strlen(text), hash);
			hex_encode(hash, 32, hex, sizeof(hex));
			buf_printf(&b, "{\"row\":%s,\"hash\":\"%s\"}\n", text, hex);
		} else {
			put_row(&b, chain, seq, hash);
		}
	}
	put_checkpoint(&b, chain, EVERY, old, sec, pub);
	ck_assert(!verify(&v, b.p, b.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_HEAD);
	ck_assert_uint_eq(v.findings[0].first, EVERY);
	buf_free(&b);
}
END_TEST

/* Which line (from 1) an offset lies in. */
static uint64_t
line_of_offset(size_t at)
{
	uint64_t n = 1;
	size_t i;

	for (i = 0; i < at; i++)
		n += export.p[i] == '\n';
	return n;
}

/*
 * Any octet changed, removed or added: always seen, and the first finding is in the line
 * of the change, or in the line after it when the change joined or split lines.
 */
START_TEST(mutations)
{
	struct verify v;
	struct buf b;
	unsigned i;

	buf_init(&b);
	for (i = 0; i < MUTATIONS; i++) {
		size_t at = (size_t)draw(export.len);
		unsigned how = (unsigned)draw(3);
		uint8_t octet = (uint8_t)draw(256);
		uint64_t line = line_of_offset(at);

		buf_reset(&b);
		buf_put(&b, export.p, at);
		if (how == 0)
			buf_putc(&b, octet != export.p[at] ? octet : octet ^ 1);
		else if (how == 1) {
			buf_putc(&b, octet);
			buf_putc(&b, export.p[at]);
		}
		buf_put(&b, export.p + at + 1, export.len - at - 1);
		ck_assert_msg(!verify(&v, b.p, b.len), "unseen: %zu how %u octet %u", at,
		    how, octet);
		ck_assert_msg(
		    v.findings[0].line >= line && v.findings[0].line <= line + 1,
		    "at %zu how %u octet %u: line %llu, found in %llu", at, how, octet,
		    (unsigned long long)line, (unsigned long long)v.findings[0].line);
	}
	buf_free(&b);
}
END_TEST

/* Whole rows gone, twice, or in each other's place. */
START_TEST(row_mutations)
{
	struct verify v;
	struct buf b;
	unsigned i;

	buf_init(&b);
	for (i = 0; i < MUTATIONS / 3; i++) {
		unsigned one = 1 + (unsigned)draw(ROWS), two = 1 + (unsigned)draw(ROWS),
			 swap;
		size_t a, c;
		const char *p, *q, *end = (const char *)export.p + export.len;

		if (one > two) {
			swap = one;
			one = two;
			two = swap;
		}
		p = line_at(line_of_row(one), &a);
		q = line_at(line_of_row(two), &c);
		buf_reset(&b);
		buf_put(&b, export.p, (size_t)(p - (const char *)export.p));
		switch (draw(3)) {
		case 0: /* gone */
			break;
		case 1: /* twice */
			buf_put(&b, p, a);
			buf_put(&b, p, a);
			break;
		default: /* exchanged, or gone when it is one row */
			if (one != two)
				buf_put(&b, q, c);
			if (one != two)
				buf_put(&b, p + a, (size_t)(q - p) - a);
			if (one != two)
				buf_put(&b, p, a);
			p = q;
			a = c;
		}
		buf_put(&b, p + a, (size_t)(end - p) - a);
		ck_assert(!verify(&v, b.p, b.len));
		ck_assert_uint_eq(v.findings[0].first, one);
	}
	buf_free(&b);
}
END_TEST

START_TEST(keys)
{
	char hex[65], b64[64], path[] = "/tmp/verify-key-XXXXXX", err[200];
	uint8_t key[32];
	int fd;

	hex_encode(pub, 32, hex, sizeof(hex));
	b64_encode(B64_STD, pub, 32, b64, sizeof(b64));
	ck_assert_int_eq(verify_key_parse(hex, key, err, sizeof(err)), 0);
	ck_assert_mem_eq(key, pub, 32);
	ck_assert_int_eq(verify_key_parse(b64, key, err, sizeof(err)), 0);
	ck_assert_mem_eq(key, pub, 32);
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, b64, strlen(b64)), (ssize_t)strlen(b64));
	ck_assert_int_eq(write(fd, "\n", 1), 1);
	ck_assert_int_eq(verify_key_parse(path, key, err, sizeof(err)), 0);
	ck_assert_mem_eq(key, pub, 32);
	ck_assert_int_eq(ftruncate(fd, 4), 0);
	ck_assert_int_eq(verify_key_parse(path, key, err, sizeof(err)), -1);
	close(fd);
	unlink(path);
	ck_assert_int_eq(verify_key_parse("no such file", key, err, sizeof(err)), -1);
	memset(hex, '0', 64); /* a point of small order */
	ck_assert_int_eq(verify_key_parse(hex, key, err, sizeof(err)), -1);
}
END_TEST

/* The target is a million rows a second; slow machines and sanitizers get a tenth. */
START_TEST(speed)
{
	struct timespec t0, t1;
	struct verify v;
	struct buf b;
	uint8_t hash[32];
	uint64_t seq;
	double s;

	buf_init(&b);
	put_header(&b, chain, hash);
	for (seq = 1; seq <= 100000; seq++)
		put_row(&b, chain, seq, hash);
	put_checkpoint(&b, chain, 100000, hash, sec, pub);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	ck_assert(verify(&v, b.p, b.len));
	clock_gettime(CLOCK_MONOTONIC, &t1);
	s = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
	printf("verify: %.0f rows/s\n", 100000 / s);
	ck_assert(100000 / s > 100000);
	buf_free(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("verify");
	TCase *tc = tcase_create("verify");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, sound);
	tcase_add_test(tc, changed_row);
	tcase_add_test(tc, missing_rows);
	tcase_add_test(tc, cut_tail);
	tcase_add_test(tc, older_export);
	tcase_add_test(tc, reordered);
	tcase_add_test(tc, foreign_chain);
	tcase_add_test(tc, forged);
	tcase_add_test(tc, rewritten);
	tcase_add_test(tc, mutations);
	tcase_add_test(tc, row_mutations);
	tcase_add_test(tc, keys);
	tcase_add_test(tc, speed);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
