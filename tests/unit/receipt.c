/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receipts: each row of ledgers of many sizes has one that verifies, and no receipt with
 * any octet changed, removed or added does.
 */
#include <stdlib.h>

#include "aegis/verify.h"
#include "tests/unit/export_make.h"

static const char chain[] = "0123456789abcdef0123456789abcdef";
static uint8_t pub[32], sec[64];

static void
setup(void)
{
	uint8_t s[32];

	ck_assert_int_ge(sodium_init(), 0);
	memset(s, 7, sizeof(s));
	crypto_sign_seed_keypair(pub, sec, s);
}

static void
put_hex(struct buf *out, const uint8_t hash[32])
{
	char hex[65];

	hex_encode(hash, 32, hex, sizeof(hex));
	buf_puts(out, hex);
}

static void
put_shown(struct buf *out, struct maker *m, uint64_t seq, uint64_t size)
{
	uint8_t path[64][32];
	size_t n = make_path(m->leaves, seq - 1, size, path), i;

	buf_printf(out, "\"row\":%s,\"hash\":\"", m->texts[seq]);
	put_hex(out, m->hashes[seq]);
	buf_puts(out, "\",\"prev\":\"");
	put_hex(out, m->hashes[seq - 1]);
	buf_printf(out, "\",\"index\":%llu,\"path\":[", (unsigned long long)seq);
	for (i = 0; i < n; i++) {
		buf_puts(out, i > 0 ? ",\"" : "\"");
		put_hex(out, path[i]);
		buf_puts(out, "\"");
	}
	buf_puts(out, "]");
}

static void
make_receipt(
    struct buf *out, struct maker *m, uint64_t seq, uint64_t completion, uint64_t size)
{
	char key[64];
	const char *line;
	struct buf all = m->out;

	buf_puts(out, "{\"receipt\":\"aegis-1\",");
	put_shown(out, m, seq, size);
	if (completion > 0) {
		buf_puts(out, ",\"completion\":{");
		put_shown(out, m, completion, size);
		buf_puts(out, "}");
	}
	buf_init(&m->out);
	make_checkpoint_of(m, size);
	line = (char *)m->out.p + 1;
	buf_puts(out, ",");
	buf_put(out, line, m->out.len - 3); /* {...} and newline */
	buf_free(&m->out);
	m->out = all;
	b64_encode(B64_STD, m->public, 32, key, sizeof(key));
	buf_printf(out, ",\"public_key\":\"%s\"}\n", key);
}

static int
check(const struct buf *b, struct verify_receipt *r)
{
	char err[200] = "";
	int good = verify_receipt((char *)b->p, b->len, pub, r, err, sizeof(err));

	ck_assert((good == 0) == (err[0] == '\0'));
	return good;
}

START_TEST(each_row)
{
	struct verify_receipt r;
	struct maker m;
	struct buf b;
	uint64_t size, seq;

	make_begin(&m, chain, sec, pub);
	m.keep_texts = 1;
	while (m.rows < 33)
		make_row(&m, "", "");
	for (size = 1; size <= m.rows; size++)
		for (seq = 1; seq <= size; seq++) {
			buf_init(&b);
			make_receipt(&b, &m, seq, 0, size);
			ck_assert_int_eq(check(&b, &r), 0);
			ck_assert_uint_eq(r.row, seq);
			ck_assert_uint_eq(r.sealed_row, size);
			ck_assert_uint_eq(r.completion, 0);
			ck_assert_str_eq(r.chain, chain);
			ck_assert_str_eq(r.sealed_time, MAKE_TIME);
			ck_assert_uint_eq(r.text_len, strlen(m.texts[seq]));
			ck_assert_mem_eq(r.text, m.texts[seq], r.text_len);
			b.len--; /* a newline is not needed */
			ck_assert_int_eq(check(&b, &r), 0);
			buf_free(&b);
		}
	make_free(&m);
}
END_TEST

/* The row that completes another: same request, of that kind, later. */
static void
put_completion(struct maker *m, unsigned long long request, const char *kind)
{
	struct buf text;

	buf_init(&text);
	buf_printf(&text,
	    "{\"seq\":%llu,\"time\":\"2031-05-06T07:08:09.000000Z\",\"chain\":\"%s\","
	    "\"tenant\":\"default\",\"kind\":\"%s\",\"request\":\"" MAKE_REQUEST "\"}",
	    (unsigned long long)m->rows + 1, chain, kind, request);
	make_sha(m->hash, 32, text.p, text.len, m->hash);
	make_sha("\0", 1, m->hash, 32, m->leaves[m->rows++]);
	memcpy(m->hashes[m->rows], m->hash, 32);
	m->texts[m->rows] = strndup((char *)text.p, text.len);
	buf_free(&text);
}

static void
make_ledger(struct maker *m)
{
	make_begin(m, chain, sec, pub);
	m->keep_texts = 1;
	while (m->rows < 5)
		make_row(m, "", "");
	put_completion(m, 3, "completion");
	put_completion(m, 4, "decision");
	while (m->rows < 11)
		make_row(m, "", "");
}

START_TEST(completions)
{
	struct verify_receipt r;
	struct maker m;
	struct buf b;
	uint64_t row, completion;

	make_ledger(&m);
	for (row = 1; row <= m.rows; row++)
		for (completion = 1; completion <= m.rows; completion++) {
			buf_init(&b);
			make_receipt(&b, &m, row, completion, m.rows);
			if (row == 3 && completion == 6) {
				ck_assert_int_eq(check(&b, &r), 0);
				ck_assert_uint_eq(r.completion, 6);
			} else {
				ck_assert_int_eq(check(&b, &r), -1);
			}
			buf_free(&b);
		}
	make_free(&m);
}
END_TEST

/* Every octet of a receipt, in every way that one bit can change it, and some more. */
START_TEST(mutations)
{
	static const uint8_t octets[] = {0, ' ', '"', '0', 'A', '\\', '}', 0xff};
	struct verify_receipt r;
	struct maker m;
	struct buf b, c;
	size_t i, k;

	make_ledger(&m);
	buf_init(&b);
	buf_init(&c);
	make_receipt(&b, &m, 3, 6, m.rows);
	ck_assert_int_eq(check(&b, &r), 0);
	for (i = 0; i < b.len; i++) {
		for (k = 0; k < 8; k++) {
			b.p[i] ^= (uint8_t)(1u << k);
			ck_assert_msg(check(&b, &r) == -1, "octet %zu bit %zu", i, k);
			b.p[i] ^= (uint8_t)(1u << k);
		}
		buf_reset(&c);
		buf_put(&c, b.p, i);
		buf_put(&c, b.p + i + 1, b.len - i - 1);
		ck_assert_msg((check(&c, &r) == -1) == (i < b.len - 1), "without %zu", i);
		for (k = 0; k < sizeof(octets); k++) {
			buf_reset(&c);
			buf_put(&c, b.p, i);
			buf_putc(&c, octets[k]);
			buf_put(&c, b.p + i, b.len - i);
			ck_assert_msg(check(&c, &r) == -1, "octet %zu put in %zu", i, k);
		}
		c.len = i; /* cut off */
		ck_assert_msg((check(&c, &r) == -1) == (i < b.len - 1), "cut at %zu", i);
	}
	buf_putc(&b, '\n');
	ck_assert_int_eq(check(&b, &r), -1);
	buf_free(&b);
	buf_free(&c);
	make_free(&m);
}
END_TEST

/* Sound, but of another ledger's key; and one that names ours but is signed by another.
 */
START_TEST(other_key)
{
	uint8_t pub2[32], sec2[64], s[32] = {3};
	struct verify_receipt r;
	struct maker m;
	struct buf b;
	char err[200];

	crypto_sign_seed_keypair(pub2, sec2, s);
	make_ledger(&m);
	buf_init(&b);
	m.public = pub2;
	m.secret = sec2;
	make_receipt(&b, &m, 3, 6, m.rows);
	ck_assert_int_eq(
	    verify_receipt((char *)b.p, b.len, pub2, &r, err, sizeof(err)), 0);
	ck_assert_int_eq(
	    verify_receipt((char *)b.p, b.len, pub, &r, err, sizeof(err)), -1);
	ck_assert_ptr_nonnull(strstr(err, "another key"));
	buf_reset(&b);
	m.public = pub;
	make_receipt(&b, &m, 3, 6, m.rows);
	ck_assert_int_eq(
	    verify_receipt((char *)b.p, b.len, pub, &r, err, sizeof(err)), -1);
	ck_assert_ptr_nonnull(strstr(err, "not signed by this key"));
	ck_assert_uint_eq(r.row, 0);
	buf_free(&b);
	make_free(&m);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("receipt");
	TCase *tc = tcase_create("receipt");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, each_row);
	tcase_add_test(tc, completions);
	tcase_add_test(tc, mutations);
	tcase_add_test(tc, other_key);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
