/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of WebSockets: the examples of RFC 6455, every rule of section 5 broken once,
 * and what comes out of the writer.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ws.h"

static uint8_t in[70000];

/* All pieces of `octets`, payloads joined, each end as kind and "."; or the error. */
static int
read_text(struct ws_reader *r, const char *octets, size_t len, size_t step, char *out)
{
	struct ws_piece piece;
	size_t at, n, used = 0;
	uint8_t *p;
	int err = 0;

	out[0] = '\0';
	memcpy(in, octets, len);
	for (at = 0; at < len && err >= 0; at += step) {
		p = in + at;
		n = len - at < step ? len - at : step;
		while ((err = ws_next(r, &p, &n, &piece)) == 1) {
			memcpy(out + used, piece.p, piece.len);
			used += piece.len;
			if (piece.last)
				used +=
				    (size_t)snprintf(out + used, 4, "%x.", piece.kind);
			out[used] = '\0';
		}
	}
	return err;
}

#define LIT(s) (s), sizeof(s) - 1

START_TEST(examples)
{
	/* section 5.7, and two frames in one read */
	static const struct {
		bool masked;
		const char *octets;
		size_t len;
		const char *text;
	} rows[] = {
	    {false, LIT("\x81\x05Hello"), "Hello1."},
	    {true, LIT("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "Hello1."},
	    {false, LIT("\x01\x03Hel\x80\x02lo"), "Hello1."},
	    {false, LIT("\x89\x05Hello"), "Hello9."},
	    {true, LIT("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "Helloa."},
	    {false, LIT("\x01\x03Hel\x89\x02?!\x80\x02lo\x82\x01x"), "Hel?!9.lo1.x2."},
	    {false, LIT("\x81\x00\x82\x00"), "1.2."},
	    {false, LIT("\x01\x00\x00\x00\x80\x00"), "1."},
	    {true,
		LIT("\x81\x80"
		    "abcd\x88\x80"
		    "abcd"),
		"1.8."},
	    {false, LIT("\x88\x02\x03\xe8"),
		"\x03\xe8"
		"8."},
	};
	char text[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 40; step++) {
			struct ws_reader r = {.masked = rows[i].masked, .max = 100};

			ck_assert_int_eq(
			    read_text(&r, rows[i].octets, rows[i].len, step, text), 0);
			ck_assert_str_eq(text, rows[i].text);
		}
}
END_TEST

START_TEST(rules)
{
	static const struct {
		bool masked;
		const char *octets;
		size_t len;
		int err;
	} rows[] = {
	    {false, LIT("\xc1\x00"), WS_ERR_RESERVED},
	    {false, LIT("\xa1\x00"), WS_ERR_RESERVED},
	    {false, LIT("\x91\x00"), WS_ERR_RESERVED},
	    {false, LIT("\x83\x00"), WS_ERR_OPCODE},
	    {false, LIT("\x87\x00"), WS_ERR_OPCODE},
	    {false, LIT("\x8b\x00"), WS_ERR_OPCODE},
	    {false, LIT("\x8f\x00"), WS_ERR_OPCODE},
	    {false, LIT("\x81\x80"), WS_ERR_MASK},
	    {true, LIT("\x81\x01"), WS_ERR_MASK},
	    {true, LIT("\x89\x01"), WS_ERR_MASK},
	    {false, LIT("\x81\x7e\x00\x7d"), WS_ERR_LENGTH},
	    {false, LIT("\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff"), WS_ERR_LENGTH},
	    {false, LIT("\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), WS_ERR_LENGTH},
	    {false, LIT("\x09\x00"), WS_ERR_CONTROL},
	    {false, LIT("\x08\x00"), WS_ERR_CONTROL},
	    {false, LIT("\x89\x7e"), WS_ERR_CONTROL},
	    {false, LIT("\x88\x7f"), WS_ERR_CONTROL},
	    {false, LIT("\x80\x00"), WS_ERR_SEQUENCE},
	    {false, LIT("\x00\x00"), WS_ERR_SEQUENCE},
	    {false, LIT("\x01\x00\x81\x00"), WS_ERR_SEQUENCE},
	    {false, LIT("\x01\x00\x80\x00\x80\x00"), WS_ERR_SEQUENCE},
	    {false, LIT("\x88\x01\x03"), WS_ERR_CLOSE},
	    {false, LIT("\x81\x65"), WS_ERR_TOO_BIG},
	    {false, LIT("\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), WS_ERR_TOO_BIG},
	    {false, LIT("\x01\x01x\x80\x64"), WS_ERR_TOO_BIG},
	};
	char text[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 12; step++) {
			struct ws_reader r = {.masked = rows[i].masked, .max = 100};

			ck_assert_msg(read_text(&r, rows[i].octets, rows[i].len, step,
					  text) == rows[i].err,
			    "row %zu", i);
			ck_assert_int_eq(ws_code_of(rows[i].err),
			    rows[i].err == WS_ERR_TOO_BIG ? 1009 : 1002);
		}
}
END_TEST

/* Just below and at every border of the length's forms, with each kind of mask. */
START_TEST(written_and_read)
{
	static const size_t lens[] = {0, 1, 125, 126, 127, 65535, 65536, 65540};
	static const size_t heads[] = {2, 2, 2, 4, 4, 4, 10, 10};
	static uint8_t payload[65540];
	struct ws_piece piece;
	struct buf out;
	size_t n;
	uint8_t *p;

	buf_init(&out);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 31);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (int mask = WS_PLAIN; mask <= WS_MASK_ZERO; mask++) {
			struct ws_writer w = {.mask = (enum ws_mask)mask};
			struct ws_reader r = {.masked = mask != WS_PLAIN, .max = 65540};

			buf_reset(&out);
			ck_assert_int_eq(
			    ws_put(&w, &out, WS_BINARY, true, payload, lens[i]), 0);
			ck_assert_uint_eq(
			    out.len, lens[i] + heads[i] + (mask != WS_PLAIN ? 4 : 0));
			p = out.p;
			n = out.len;
			ck_assert_int_eq(ws_next(&r, &p, &n, &piece), 1);
			ck_assert(piece.last && piece.kind == WS_BINARY);
			ck_assert_uint_eq(piece.len, lens[i]);
			ck_assert(memcmp(piece.p, payload, lens[i]) == 0);
			ck_assert_uint_eq(n, 0);
		}
	buf_free(&out);
}
END_TEST

START_TEST(fragments_and_controls)
{
	struct ws_writer w = {.mask = WS_PLAIN};
	struct buf out;

	buf_init(&out);
	ck_assert_int_eq(ws_put(&w, &out, WS_TEXT, false, "a", 1), 0);
	ck_assert_int_eq(ws_put(&w, &out, WS_PING, true, "p", 1), 0);
	ck_assert_int_eq(ws_put(&w, &out, WS_TEXT, false, "b", 1), 0);
	ck_assert_int_eq(ws_put(&w, &out, WS_TEXT, true, "", 0), 0);
	ck_assert_int_eq(ws_put(&w, &out, WS_BINARY, true, "c", 1), 0);
	ck_assert_int_eq(ws_put_close(&w, &out, WS_GOING_AWAY, "x"), 0);
	ck_assert_uint_eq(out.len, 19);
	ck_assert_mem_eq(out.p,
	    "\x01\x01"
	    "a\x89\x01p\x00\x01"
	    "b\x80\x00\x82\x01"
	    "c\x88\x03\x03\xe9x",
	    19);
	buf_free(&out);
}
END_TEST

START_TEST(masks_differ)
{
	struct ws_writer w = {.mask = WS_RANDOM};
	struct buf out;

	buf_init(&out);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(ws_put(&w, &out, WS_TEXT, true, "", 0), 0);
	ck_assert_uint_eq(out.len, 1200);
	for (size_t i = 0; i + 12 <= out.len; i += 6)
		ck_assert_mem_ne(out.p + i + 2, out.p + i + 8, 4);
	buf_free(&out);
}
END_TEST

START_TEST(handshake)
{
	static const char *const bad[] = {"", "dGhlIHNhbXBsZSBub25jZQ",
	    "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZR==",
	    "dGhlIHNhbXBsZSBub25jZSE=", "dGhlIHNhbXBsZSBub25jZQ==\n",
	    "dGhlIHNhbXBsZSBub25 ZQ=="};
	char key[WS_KEY_LEN + 1], other[WS_KEY_LEN + 1], accept[WS_ACCEPT_LEN + 1];

	ck_assert_int_eq(ws_accept(span_str("dGhlIHNhbXBsZSBub25jZQ=="), accept), 0);
	ck_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* section 1.3 */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(ws_accept(span_str(bad[i]), accept), -1);
	ck_assert_int_eq(ws_key(key), 0);
	ck_assert_int_eq(ws_key(other), 0);
	ck_assert_str_ne(key, other);
	ck_assert_int_eq(ws_accept(span_str(key), accept), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ws");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, examples);
	tcase_add_test(tc, rules);
	tcase_add_test(tc, written_and_read);
	tcase_add_test(tc, fragments_and_controls);
	tcase_add_test(tc, masks_differ);
	tcase_add_test(tc, handshake);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
