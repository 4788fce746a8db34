/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 and hexadecimal: RFC 4648 section 10, every byte, and one text per value. */
#include "common/b64.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/hex.h"

static const struct {
	const char *plain, *std, *url;
} pairs[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/", "-_-_"},
};

START_TEST(rfc4648)
{
	const char *plain = pairs[_i].plain, *text;
	size_t n = strlen(plain);
	char out[64];
	int kind;

	for (kind = B64_STD; kind <= B64_URL; kind++) {
		text = kind == B64_STD ? pairs[_i].std : pairs[_i].url;
		ck_assert_int_eq(b64_encode(kind, plain, n, out, strlen(text)), -1);
		ck_assert_int_eq(b64_encode(kind, plain, n, out, strlen(text) + 1),
		    (ssize_t)strlen(text));
		ck_assert_str_eq(out, text);
		ck_assert_int_eq(
		    b64_decode(kind, text, strlen(text), out, n), (ssize_t)n);
		ck_assert_mem_eq(out, plain, n);
		if (n > 0)
			ck_assert_int_eq(
			    b64_decode(kind, text, strlen(text), out, n - 1), -1);
	}
}
END_TEST

static const struct {
	enum b64_kind kind;
	const char *text;
} bad[] = {
    {B64_STD, "Zg"},
    {B64_STD, "Zg="},
    {B64_STD, "Zg==="},
    {B64_STD, "Zm8"},
    {B64_STD, "Zm8=="},
    {B64_STD, "Z"},
    {B64_STD, "Z==="},
    {B64_STD, "===="},
    {B64_STD, "="},
    {B64_STD, "Zg==Zg=="},
    {B64_STD, "Zm=v"},
    {B64_STD, "Zh=="}, /* bits after the last byte */
    {B64_STD, "Zm9="},
    {B64_STD, "Zm9v\n"},
    {B64_STD, "Zm 9v"},
    {B64_STD, "Zm9v    "},
    {B64_STD, "-_-_"},
    {B64_STD, "Zm9,"},
    {B64_STD, "Zm9\x80"},
    {B64_STD, "Zm9\xff"},
    {B64_URL, "Zg=="},
    {B64_URL, "Zm8="},
    {B64_URL, "Z"},
    {B64_URL, "Zm9vY"},
    {B64_URL, "Zh"},
    {B64_URL, "Zm9"},
    {B64_URL, "+/+/"},
    {B64_URL, "Zm9v\n"},
    {B64_URL, "Zm.v"},
};

START_TEST(refuses)
{
	uint8_t out[64];
	struct buf b;

	ck_assert_msg(b64_decode(bad[_i].kind, bad[_i].text, strlen(bad[_i].text), out,
			  sizeof(out)) == -1,
	    "%s", bad[_i].text);
	buf_init(&b);
	ck_assert_int_eq(
	    b64_put_decoded(bad[_i].kind, &b, bad[_i].text, strlen(bad[_i].text)), -1);
	ck_assert_uint_eq(b.len, 0);
	buf_free(&b);
}
END_TEST

/* of all texts of four characters, exactly the encoder's own are accepted */
START_TEST(one_text_per_value)
{
	char text[4], again[8];
	uint8_t out[3];
	unsigned int a, b;
	int kind, seen = 0;
	ssize_t n;

	for (kind = B64_STD; kind <= B64_URL; kind++) {
		for (a = 0; a < 256; a++) {
			for (b = 0; b < 256; b++) {
				memcpy(text, "QUFB", 4);
				text[1] = (char)a;
				text[2] = (char)b;
				if (kind == B64_STD)
					text[3] = '=';
				n = b64_decode(kind, text, kind == B64_STD ? 4 : 3, out,
				    sizeof(out));
				if (n < 0)
					continue;
				seen++;
				b64_encode(kind, out, (size_t)n, again, sizeof(again));
				ck_assert_mem_eq(text, again, kind == B64_STD ? 4 : 3);
			}
		}
	}
	/* two bytes with a fixed start: 64 * 16 each; and in the padded kind "Q?==": 4 */
	ck_assert_int_eq(seen, 2 * 64 * 16 + 4);
}
END_TEST

START_TEST(round_trip)
{
	uint8_t in[300], back[300];
	char text[B64_SIZE(300)];
	struct buf b, c;
	size_t n;
	int kind;

	for (n = 0; n < sizeof(in); n++)
		in[n] = (uint8_t)(n * 167 + 13);
	buf_init(&b);
	buf_init(&c);
	for (kind = B64_STD; kind <= B64_URL; kind++) {
		for (n = 0; n <= sizeof(in); n++) {
			ssize_t k = b64_encode(kind, in, n, text, sizeof(text));

			ck_assert_int_ge(k, 0);
			ck_assert_int_eq(
			    b64_decode(kind, text, (size_t)k, back, sizeof(back)),
			    (ssize_t)n);
			ck_assert_mem_eq(in, back, n);
			buf_reset(&b);
			buf_reset(&c);
			ck_assert_int_eq(b64_put(kind, &b, in, n), 0);
			ck_assert_uint_eq(b.len, (size_t)k);
			ck_assert_mem_eq(b.p, text, b.len);
			ck_assert_int_eq(b64_put_decoded(kind, &c, text, (size_t)k), 0);
			ck_assert_uint_eq(c.len, n);
			ck_assert_mem_eq(c.p, in, n);
		}
	}
	buf_free(&b);
	buf_free(&c);
}
END_TEST

START_TEST(every_length)
{
	static const char text[] = "AAAAAAAAAAAAAAAA";
	uint8_t out[16];
	size_t n;

	for (n = 0; n <= 16; n++) {
		ck_assert_int_eq(b64_decode(B64_STD, text, n, out, sizeof(out)),
		    n % 4 == 0 ? (ssize_t)(n / 4 * 3) : -1);
		ck_assert_int_eq(b64_decode(B64_URL, text, n, out, sizeof(out)),
		    n % 4 == 1 ? -1 : (ssize_t)(n * 3 / 4));
	}
}
END_TEST

START_TEST(hexadecimal)
{
	uint8_t in[256], back[256];
	char text[513];
	size_t i;

	for (i = 0; i < 256; i++)
		in[i] = (uint8_t)i;
	ck_assert_int_eq(hex_encode(in, 256, text, 512), -1);
	ck_assert_int_eq(hex_encode(in, 256, text, 513), 512);
	ck_assert_mem_eq(text, "000102", 6);
	ck_assert_str_eq(text + 506, "fdfeff");
	ck_assert_int_eq(hex_decode(text, 512, back, 255), -1);
	ck_assert_int_eq(hex_decode(text, 512, back, 256), 256);
	ck_assert_mem_eq(in, back, 256);
	ck_assert_int_eq(hex_decode("aBCd", 4, back, 2), 2);
	ck_assert_mem_eq(back, "\xab\xcd", 2);
	ck_assert_int_eq(hex_decode("abc", 3, back, 2), -1);
	ck_assert_int_eq(hex_decode("0x", 2, back, 2), -1);
	ck_assert_int_eq(hex_decode("0g", 2, back, 2), -1);
	ck_assert_int_eq(hex_decode(" 1", 2, back, 2), -1);
	ck_assert_int_eq(hex_decode("", 0, back, 0), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("b64");
	TCase *t = tcase_create("b64");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, rfc4648, 0, sizeof(pairs) / sizeof(pairs[0]));
	tcase_add_loop_test(t, refuses, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(t, one_text_per_value);
	tcase_add_test(t, round_trip);
	tcase_add_test(t, every_length);
	tcase_add_test(t, hexadecimal);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
