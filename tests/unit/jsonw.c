/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer, the byte buffer under it and UTF-8. */
#include "common/jsonw.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/utf8.h"

static struct buf out;
static struct jsonw w;

static void
setup(void)
{
	buf_init(&out);
	jsonw_init(&w, &out);
}

static void
teardown(void)
{
	buf_free(&out);
}

static void
written(const char *want)
{
	struct json_doc d;

	ck_assert_int_eq(jsonw_done(&w), 0);
	ck_assert_uint_eq(out.len, strlen(want));
	ck_assert_mem_eq(out.p, want, out.len);
	json_init(&d);
	ck_assert_int_eq(json_parse(&d, out.p, out.len, NULL), JSON_OK);
	json_free(&d);
}

START_TEST(everything)
{
	jsonw_obj_open(&w);
	jsonw_key_str(
	    &w, "s", "a\"\\/\b\f\n\r\t\x01\x0b\x1f\x7f\xc3\xa9\xf0\x9f\x98\x80");
	jsonw_key(&w, "a");
	jsonw_arr_open(&w);
	jsonw_int(&w, INT64_MIN);
	jsonw_uint(&w, UINT64_MAX);
	jsonw_arr_open(&w);
	jsonw_arr_close(&w);
	jsonw_obj_open(&w);
	jsonw_obj_close(&w);
	jsonw_bool(&w, true);
	jsonw_null(&w);
	jsonw_str(&w, NULL);
	jsonw_strn(&w, NULL, 0);
	jsonw_arr_close(&w);
	jsonw_key_int(&w, "i", -1);
	jsonw_key_bool(&w, "b\n", false);
	jsonw_keyn(&w, "rx", 1);
	jsonw_raw(&w, "{\"x\": 1.50}", 11);
	jsonw_obj_close(&w);
	written("{\"s\":\"a\\\"\\\\/"
		"\\b\\f\\n\\r\\t\\u0001\\u000b\\u001f\x7f\xc3\xa9\xf0\x9f\x98"
		"\x80\",\"a\":[-9223372036854775808,18446744073709551615,[],{},true,null,"
		"null,"
		"\"\"],\"i\":-1,\"b\\n\":false,\"r\":{\"x\": 1.50}}");
}
END_TEST

START_TEST(invalid_utf8)
{
	jsonw_strn(&w, "a\0\xff\xc3z\xed\xa0\x80\xf0\x9f\x98", 11);
	written(
	    "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
	    "\xef\xbf"
	    "\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}
END_TEST

START_TEST(depth)
{
	int i;

	for (i = 0; i < JSONW_DEPTH_MAX; i++) {
		if (i % 2 == 0) {
			jsonw_arr_open(&w);
			jsonw_int(&w, i);
		} else {
			jsonw_obj_open(&w);
			jsonw_key_int(&w, "i", i);
			jsonw_key(&w, "k");
		}
	}
	for (; i > 0; i--) {
		if (i % 2 == 0)
			jsonw_obj_close(&w);
		else
			jsonw_arr_close(&w);
	}
	ck_assert_int_eq(jsonw_done(&w), 0);
	jsonw_init(&w, &out);
	for (i = 0; i <= JSONW_DEPTH_MAX; i++)
		jsonw_arr_open(&w);
	for (i = 0; i <= JSONW_DEPTH_MAX; i++)
		jsonw_arr_close(&w);
	ck_assert_int_eq(jsonw_done(&w), -1);
}
END_TEST

/* calls as letters: { } [ ] brackets, k key, v value */
static const char *const misuse[] = {"", "{", "[", "}", "]", "{]", "[}", "k", "{v}",
    "[k]", "{kk", "{k}", "{kvv}", "vv", "[]v", "{}{}", "[v]]", "{kv}}", "{k[}]", "{{}}"};

START_TEST(misused)
{
	const char *c;

	for (c = misuse[_i]; *c != '\0'; c++) {
		switch (*c) {
		case '{':
			jsonw_obj_open(&w);
			break;
		case '}':
			jsonw_obj_close(&w);
			break;
		case '[':
			jsonw_arr_open(&w);
			break;
		case ']':
			jsonw_arr_close(&w);
			break;
		case 'k':
			jsonw_key(&w, "k");
			break;
		default:
			jsonw_int(&w, 1);
		}
	}
	ck_assert_msg(jsonw_done(&w) == -1, "%s", misuse[_i]);
}
END_TEST

START_TEST(failure_sticks)
{
	jsonw_arr_open(&w);
	jsonw_raw(&w, "", 0);
	jsonw_arr_close(&w);
	ck_assert_int_eq(jsonw_done(&w), -1);
}
END_TEST

START_TEST(ascii)
{
	static const uint32_t cps[] = {
	    'a', 0x7f, 0xe9, 0x2028, 0xffff, 0x10000, 0x1f600, 0x10ffff};
	static const char want[] =
	    "a\\u007f\\u00e9\\u2028\\uffff\\ud800\\udc00\\ud83d\\ude00\\udbff\\udfff";
	size_t i;

	for (i = 0; i < sizeof(cps) / sizeof(cps[0]); i++)
		ck_assert_int_eq(jsonw_put_char(&out, cps[i], true), 0);
	ck_assert_uint_eq(out.len, strlen(want));
	ck_assert_mem_eq(out.p, want, out.len);
}
END_TEST

START_TEST(buffer)
{
	struct buf b;
	size_t i;

	buf_init(&b);
	ck_assert_int_eq(buf_put(&b, NULL, 0), 0);
	ck_assert_ptr_null(b.p);
	for (i = 0; i < 10000; i++)
		ck_assert_int_eq(buf_putc(&b, (uint8_t)i), 0);
	ck_assert_int_eq(buf_printf(&b, "%s-%d", "xyz", 42), 0);
	ck_assert_int_eq(buf_puts(&b, "!"), 0);
	ck_assert_uint_eq(b.len, 10007);
	for (i = 0; i < 10000; i++)
		ck_assert_uint_eq(b.p[i], (uint8_t)i);
	ck_assert_mem_eq(b.p + 10000, "xyz-42!", 7);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX), -1);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX / 2), -1);
	ck_assert_uint_eq(b.len, 10007);
	buf_reset(&b);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_uint_ge(b.cap, 10007);
	buf_wipe_free(&b);
	ck_assert_ptr_null(b.p);
	buf_free(&b);
}
END_TEST

START_TEST(buffer_never_empty)
{
	struct buf b;
	size_t off = 0, in, taken = 0;

	buf_init(&b);
	for (in = 0; in < 1000000;) {
		buf_behind(&b, &off);
		for (; b.len - off < 1000; in++)
			ck_assert_int_eq(buf_putc(&b, (uint8_t)(in * 7)), 0);
		for (; b.len - off > 100; off++, taken++)
			ck_assert_uint_eq(b.p[off], (uint8_t)(taken * 7));
	}
	ck_assert_uint_eq(in - taken, b.len - off);
	ck_assert_uint_le(b.cap, 8192);
	buf_free(&b);
}
END_TEST

START_TEST(lists)
{
	static const struct {
		const char *list, *json;
	} cases[] = {{"", "{\"l\":[]}"}, {"a", "{\"l\":[\"a\"]}"},
	    {"a,b c,\"", "{\"l\":[\"a\",\"b c\",\"\\\"\"]}"}};
	struct jsonw l;
	struct buf b;

	buf_init(&b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&b);
		jsonw_init(&l, &b);
		jsonw_obj_open(&l);
		jsonw_key_list(&l, "l", cases[i].list);
		jsonw_obj_close(&l);
		ck_assert_int_eq(jsonw_done(&l), 0);
		ck_assert_uint_eq(b.len, strlen(cases[i].json));
		ck_assert_mem_eq(b.p, cases[i].json, b.len);
	}
	buf_free(&b);
}
END_TEST

START_TEST(utf8_all)
{
	uint8_t tmp[4], c[2];
	uint32_t cp, back, i;
	size_t n, k;

	for (cp = 0; cp <= 0x10ffff; cp++) {
		n = utf8_encode(cp, tmp);
		if (cp >= 0xd800 && cp <= 0xdfff) {
			ck_assert_uint_eq(utf8_decode(tmp, n, &back), 0);
			continue;
		}
		ck_assert_uint_eq(utf8_decode(tmp, n, &back), n);
		ck_assert_uint_eq(back, cp);
		for (k = 0; k < n; k++)
			ck_assert_uint_eq(utf8_decode(tmp, k, &back), 0);
	}
	/* of all pairs of bytes: ASCII twice, or one two-byte character */
	for (i = 0, n = 0; i < 65536; i++) {
		c[0] = (uint8_t)(i >> 8);
		c[1] = (uint8_t)i;
		n += utf8_valid(c, 2);
	}
	ck_assert_uint_eq(n, 128 * 128 + (0x800 - 0x80));
}
END_TEST

START_TEST(utf8_whole)
{
	char text[] = "a\xc3\xa9\xff\xe2\x82\xac\xc3";
	size_t n = strlen(text);

	ck_assert_uint_eq(utf8_cut("a\xc3\xa9\xe2\x82\xac", 6, 6), 6);
	ck_assert_uint_eq(utf8_cut("a\xc3\xa9\xe2\x82\xac", 6, 5), 3);
	ck_assert_uint_eq(utf8_cut("a\xc3\xa9\xe2\x82\xac", 6, 4), 3);
	ck_assert_uint_eq(utf8_cut("a\xc3\xa9\xe2\x82\xac", 6, 2), 1);
	ck_assert_uint_eq(utf8_cut("\x80\x80\x80", 3, 1), 0);
	utf8_repair(text, n);
	ck_assert_str_eq(text, "a\xc3\xa9?\xe2\x82\xac?");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("jsonw");
	TCase *t = tcase_create("jsonw");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, everything);
	tcase_add_test(t, invalid_utf8);
	tcase_add_test(t, depth);
	tcase_add_loop_test(t, misused, 0, sizeof(misuse) / sizeof(misuse[0]));
	tcase_add_test(t, failure_sticks);
	tcase_add_test(t, ascii);
	tcase_add_test(t, buffer);
	tcase_add_test(t, buffer_never_empty);
	tcase_add_test(t, lists);
	tcase_add_test(t, utf8_all);
	tcase_add_test(t, utf8_whole);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
