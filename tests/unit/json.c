/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader: what it accepts, what it refuses and where, and its accessors. */
#include "common/json.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"

static struct json_doc doc;

static void
setup(void)
{
	json_init(&doc);
}

static void
teardown(void)
{
	json_free(&doc);
}

static enum json_err
parse(const char *s)
{
	return json_parse(&doc, s, strlen(s), NULL);
}

static const char *const good[] = {"0", "-0", "-0.0", "1e+16", "1E-05", "12.5e3",
    " true ", "\t\r\n null \n", "false", "\"\"", "[]", "{}", "[ ]", "{ }", "[[],{}]",
    "{\"\":1}", "{\"a\":{\"a\":{\"a\":[]}}}", "[1,2,3]", "\"\\u00e9\\ud83d\\ude00\"",
    "\"\x7f\"", "\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"",
    "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\ufffe\"", "{\"a\":1,\"A\":2,\"\\u0061a\":3}", "123456789012345678901234567890"};

START_TEST(accepts)
{
	ck_assert_msg(parse(good[_i]) == JSON_OK, "%s: %d", good[_i], parse(good[_i]));
}
END_TEST

static const struct {
	const char *text;
	enum json_err err;
	uint32_t at;
} bad[] = {
    {"", JSON_E_EOF, 0},
    {"  ", JSON_E_EOF, 2},
    {"[", JSON_E_EOF, 1},
    {"[1", JSON_E_EOF, 2},
    {"[1,", JSON_E_EOF, 3},
    {"{", JSON_E_EOF, 1},
    {"{\"a\"", JSON_E_EOF, 4},
    {"{\"a\":", JSON_E_EOF, 5},
    {"\"abc", JSON_E_EOF, 4},
    {"\"abc\\", JSON_E_EOF, 4},
    {"tru", JSON_E_EOF, 3},
    {"[1,]", JSON_E_SYNTAX, 3},
    {"[,1]", JSON_E_SYNTAX, 1},
    {"[1 2]", JSON_E_SYNTAX, 3},
    {"[1}", JSON_E_SYNTAX, 2},
    {"{\"a\":1]", JSON_E_SYNTAX, 6},
    {"{\"a\":1,}", JSON_E_SYNTAX, 7},
    {"{a:1}", JSON_E_SYNTAX, 1},
    {"{1:1}", JSON_E_SYNTAX, 1},
    {"{\"a\" 1}", JSON_E_SYNTAX, 5},
    {"{\"a\"::1}", JSON_E_SYNTAX, 5},
    {"{,}", JSON_E_SYNTAX, 1},
    {"]", JSON_E_SYNTAX, 0},
    {"'a'", JSON_E_SYNTAX, 0},
    {"+1", JSON_E_SYNTAX, 0},
    {".5", JSON_E_SYNTAX, 0},
    {"NaN", JSON_E_SYNTAX, 0},
    {"nul1", JSON_E_SYNTAX, 3},
    {"True", JSON_E_SYNTAX, 0},
    {"Infinity", JSON_E_SYNTAX, 0},
    {"-Infinity", JSON_E_NUMBER, 1},
    {"/* */1", JSON_E_SYNTAX, 0},
    {"// x\n1", JSON_E_SYNTAX, 0},
    {"\xef\xbb\xbf{}", JSON_E_SYNTAX, 0},
    {"\v1", JSON_E_SYNTAX, 0},
    {"\xc2\xa0"
     "1",
	JSON_E_SYNTAX, 0},
    {"01", JSON_E_NUMBER, 0},
    {"-01", JSON_E_NUMBER, 1},
    {"00", JSON_E_NUMBER, 0},
    {"-", JSON_E_NUMBER, 1},
    {"1.", JSON_E_NUMBER, 2},
    {"1.e5", JSON_E_NUMBER, 2},
    {"1e", JSON_E_NUMBER, 2},
    {"1e+", JSON_E_NUMBER, 3},
    {"1e1.5", JSON_E_TRAILING, 3},
    {"0x10", JSON_E_TRAILING, 1},
    {"1_000", JSON_E_TRAILING, 1},
    {"[1.2.3]", JSON_E_SYNTAX, 4},
    {"{} {}", JSON_E_TRAILING, 3},
    {"truex", JSON_E_TRAILING, 4},
    {"[]]", JSON_E_TRAILING, 2},
    {"\"a\" // x", JSON_E_TRAILING, 4},
    {"\"\\a\"", JSON_E_ESCAPE, 1},
    {"\"\\U0041\"", JSON_E_ESCAPE, 1},
    {"\"\\u004\"", JSON_E_ESCAPE, 1},
    {"\"\\u00g0\"", JSON_E_ESCAPE, 1},
    {"\"\\u+041\"", JSON_E_ESCAPE, 1},
    {"\"\\'\"", JSON_E_ESCAPE, 1},
    {"\"\\\n\"", JSON_E_ESCAPE, 1},
    {"\"\\ud800\"", JSON_E_SURROGATE, 1},
    {"\"x\\udc00\"", JSON_E_SURROGATE, 2},
    {"\"\\ud800\\ud800\"", JSON_E_SURROGATE, 1},
    {"\"\\ud800\\u0041\"", JSON_E_SURROGATE, 1},
    {"\"\\ud800\\n12345\"", JSON_E_SURROGATE, 1},
    {"\"\\udc00\\ud800\"", JSON_E_SURROGATE, 1},
    {"\"\\udc00\\udc00\"", JSON_E_SURROGATE, 1},
    {"\"\\ud800\\ue000\"", JSON_E_SURROGATE, 1},
    {"\"\\ud800\\udbff\"", JSON_E_SURROGATE, 1},
    {"{\"\\ud800\":1}", JSON_E_SURROGATE, 2},
    {"\"\\u0000\"", JSON_E_NUL, 1},
    {"{\"a\\u0000\":1}", JSON_E_NUL, 3},
    {"\"a\nb\"", JSON_E_CONTROL, 2},
    {"\"\x1f\"", JSON_E_CONTROL, 1},
    {"\"1234567\t89\"", JSON_E_CONTROL, 8},
    {"{\"a\tb\":1}", JSON_E_CONTROL, 3},
    {"\"\x80\"", JSON_E_UTF8, 1},
    {"\"\xc0\xaf\"", JSON_E_UTF8, 1},
    {"\"\xc1\xbf\"", JSON_E_UTF8, 1},
    {"\"\xe0\x80\x80\"", JSON_E_UTF8, 1},
    {"\"\xe0\x9f\xbf\"", JSON_E_UTF8, 1},
    {"\"\xed\xa0\x80\"", JSON_E_UTF8, 1},
    {"\"\xed\xbf\xbf\"", JSON_E_UTF8, 1},
    {"\"\xf0\x8f\xbf\xbf\"", JSON_E_UTF8, 1},
    {"\"\xf4\x90\x80\x80\"", JSON_E_UTF8, 1},
    {"\"\xf5\x80\x80\x80\"", JSON_E_UTF8, 1},
    {"\"\xff\"", JSON_E_UTF8, 1},
    {"\"ab\xc3\"", JSON_E_UTF8, 3},
    {"\"\xe2\x82\"", JSON_E_UTF8, 1},
    {"\"\xf0\x9f\x98", JSON_E_UTF8, 1},
    {"{\"a\":1,\"a\":2}", JSON_E_DUPLICATE, 7},
    {"{\"a\":1,\"b\":1,\"\\u0061\":2}", JSON_E_DUPLICATE, 13},
    {"{\"\":1,\"\":2}", JSON_E_DUPLICATE, 6},
    {"{\"\xc3\xa9\":1,\"\\u00e9\":2}", JSON_E_DUPLICATE, 8},
    {"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", JSON_E_DUPLICATE, 18},
    {"{\"/\":1,\"\\/\":2}", JSON_E_DUPLICATE, 7},
    {"[{\"x\":{\"b\":0,\"b\":0}}]", JSON_E_DUPLICATE, 13},
};

START_TEST(refuses)
{
	/* an exact copy on the heap lets a sanitizer see a read past the end */
	size_t len = strlen(bad[_i].text);
	char *copy = malloc(len > 0 ? len : 1);
	enum json_err e;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bad[_i].text, len);
	e = json_parse(&doc, copy, len, NULL);
	ck_assert_msg(e == bad[_i].err && doc.err_at == bad[_i].at, "%s: %s at %u",
	    bad[_i].text, json_strerror(e), doc.err_at);
	ck_assert_uint_eq(json_root(&doc), JSON_NONE);
	ck_assert_int_eq(json_type(&doc, 0), JT_NONE);
	ck_assert_str_ne(json_strerror(e), "unknown error");
	free(copy);
}
END_TEST

START_TEST(refuses_nul_and_empty)
{
	ck_assert_int_eq(json_parse(&doc, "\"a\0b\"", 5, NULL), JSON_E_CONTROL);
	ck_assert_int_eq(json_parse(&doc, "1\0", 2, NULL), JSON_E_TRAILING);
	ck_assert_int_eq(json_parse(&doc, "\0", 1, NULL), JSON_E_SYNTAX);
	ck_assert_int_eq(json_parse(&doc, NULL, 0, NULL), JSON_E_EOF);
}
END_TEST

/* every position of a plain string meets the fast path of 8 bytes at every alignment */
START_TEST(control_at_every_offset)
{
	char s[64];
	int n, at;

	for (n = 1; n < 40; n++) {
		for (at = 1; at <= n; at++) {
			memset(s, 'x', sizeof(s));
			s[0] = s[n + 1] = '"';
			ck_assert_int_eq(
			    json_parse(&doc, s, (size_t)n + 2, NULL), JSON_OK);
			s[at] = 0x1f;
			ck_assert_int_eq(
			    json_parse(&doc, s, (size_t)n + 2, NULL), JSON_E_CONTROL);
			ck_assert_uint_eq(doc.err_at, (uint32_t)at);
			s[at] = (char)0x80;
			ck_assert_int_eq(
			    json_parse(&doc, s, (size_t)n + 2, NULL), JSON_E_UTF8);
			ck_assert_uint_eq(doc.err_at, (uint32_t)at);
		}
	}
}
END_TEST

START_TEST(limit_depth)
{
	struct json_limits l = {.depth = 3};
	char deep[2 * JSON_DEPTH_CEILING + 3];
	size_t n;

	ck_assert_int_eq(json_parse(&doc, "[[{}]]", 6, &l), JSON_OK);
	ck_assert_int_eq(json_parse(&doc, "[[{\"a\":[]}]]", 12, &l), JSON_E_DEPTH);
	ck_assert_uint_eq(doc.err_at, 7);
	for (n = 1; n <= JSON_DEPTH_CEILING + 1; n++) {
		memset(deep, '[', n);
		memset(deep + n, ']', n);
		ck_assert_int_eq(json_parse(&doc, deep, 2 * n, NULL),
		    n <= 64 ? JSON_OK : JSON_E_DEPTH);
		l.depth = UINT32_MAX;
		ck_assert_int_eq(json_parse(&doc, deep, 2 * n, &l),
		    n <= JSON_DEPTH_CEILING ? JSON_OK : JSON_E_DEPTH);
	}
}
END_TEST

START_TEST(limit_nodes_and_size)
{
	struct json_limits l = {.nodes = 4};

	ck_assert_int_eq(json_parse(&doc, "[1,2,3]", 7, &l), JSON_OK);
	ck_assert_int_eq(json_parse(&doc, "[1,2,3,4]", 9, &l), JSON_E_NODES);
	ck_assert_uint_eq(doc.err_at, 7);
	ck_assert_int_eq(json_parse(&doc, "{\"a\":1,\"b\":2}", 13, &l), JSON_E_NODES);
	l = (struct json_limits){.size = 7};
	ck_assert_int_eq(json_parse(&doc, "[1,2,3]", 7, &l), JSON_OK);
	ck_assert_int_eq(json_parse(&doc, "[1,2,3] ", 8, &l), JSON_E_SIZE);
	ck_assert_uint_eq(json_root(&doc), JSON_NONE);
}
END_TEST

START_TEST(spans)
{
	static const char text[] = " { \"a\" : [ 1.50 , \"x\\n\" ] , \"b\":{} } ";
	struct json_iter it;
	const uint8_t *p;
	uint32_t a;
	size_t len;

	ck_assert_int_eq(parse(text), JSON_OK);
	ck_assert_int_eq(json_raw(&doc, json_root(&doc), &p, &len), 0);
	ck_assert_ptr_eq(p, text + 1);
	ck_assert_uint_eq(len, strlen(text) - 2);
	a = json_get(&doc, 0, "a");
	ck_assert_int_eq(json_raw(&doc, a, &p, &len), 0);
	ck_assert_mem_eq(p, "[ 1.50 , \"x\\n\" ]", len);
	ck_assert_uint_eq(len, 16);
	ck_assert_uint_eq(json_count(&doc, a), 2);
	ck_assert_uint_eq(json_count(&doc, 0), 2);
	json_iter_init(&it, &doc, a);
	ck_assert(json_iter_next(&it, &doc));
	ck_assert_uint_eq(it.name, JSON_NONE);
	ck_assert_int_eq(json_raw(&doc, it.value, &p, &len), 0);
	ck_assert_mem_eq(p, "1.50", 4);
	ck_assert_uint_eq(len, 4);
	ck_assert(json_iter_next(&it, &doc));
	ck_assert(json_str_eq(&doc, it.value, "x\n"));
	ck_assert(!json_iter_next(&it, &doc));
	ck_assert(!json_iter_next(&it, &doc));
	json_iter_init(&it, &doc, 0);
	ck_assert(json_iter_next(&it, &doc));
	ck_assert(json_str_eq(&doc, it.name, "a"));
	ck_assert(json_iter_next(&it, &doc));
	ck_assert(json_str_eq(&doc, it.name, "b"));
	ck_assert_int_eq(json_type(&doc, it.value), JT_OBJECT);
	ck_assert(!json_iter_next(&it, &doc));
	json_iter_init(&it, &doc, it.value);
	ck_assert(!json_iter_next(&it, &doc));
	json_iter_init(&it, &doc, JSON_NONE);
	ck_assert(!json_iter_next(&it, &doc));
}
END_TEST

START_TEST(get)
{
	ck_assert_int_eq(parse("{\"b\":1,\"\\u0061\":2,\"ab\":3,\"\":4,\"\xc3\xa9\":5,"
			       "\"\\u00e8\":6,\"n\":{\"m\":null}}"),
	    JSON_OK);
	ck_assert_uint_eq(json_get(&doc, 0, "c"), JSON_NONE);
	ck_assert_uint_eq(json_get(&doc, 0, "B"), JSON_NONE);
	ck_assert_uint_eq(json_get(&doc, 0, "abc"), JSON_NONE);
	ck_assert_uint_eq(json_getn(&doc, 0, "b\0", 2), JSON_NONE);
	ck_assert_uint_eq(json_get(&doc, JSON_NONE, "a"), JSON_NONE);
	ck_assert_uint_eq(json_get(&doc, json_get(&doc, 0, "a"), "a"), JSON_NONE);
	ck_assert_int_eq(
	    json_type(&doc, json_get(&doc, json_get(&doc, 0, "n"), "m")), JT_NULL);
	for (int i = 0; i < 6; i++) {
		const char *names[] = {"b", "a", "ab", "", "\xc3\xa9", "\xc3\xa8"};
		int64_t v;

		ck_assert_int_eq(json_int64(&doc, json_get(&doc, 0, names[i]), &v), 0);
		ck_assert_int_eq(v, i + 1);
	}
}
END_TEST

START_TEST(strings)
{
	static const char want[] = "\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80\x7f";
	char out[32];
	struct buf b;
	size_t len;

	ck_assert_int_eq(
	    parse("[\"\\\"\\\\\\/"
		  "\\b\\f\\n\\r\\t\\u00E9\\uD83d\\uDe00\\u007f\",\"plain\",1]"),
	    JSON_OK);
	ck_assert_int_eq(json_str_copy(&doc, 1, out, sizeof(out), &len), 0);
	ck_assert_uint_eq(len, strlen(want));
	ck_assert_str_eq(out, want);
	ck_assert(json_str_eq(&doc, 1, want));
	ck_assert(!json_str_eq(&doc, 1, "\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80"));
	ck_assert(!json_str_eq(&doc, 1, "\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80\x7f "));
	ck_assert_int_eq(json_str_copy(&doc, 1, out, strlen(want), &len), -1);
	ck_assert_int_eq(json_str_copy(&doc, 1, out, strlen(want) + 1, NULL), 0);
	ck_assert_int_eq(json_str_copy(&doc, 2, out, 5, &len), -1);
	ck_assert_str_eq(out, "");
	ck_assert_int_eq(json_str_copy(&doc, 2, out, 6, &len), 0);
	ck_assert_int_eq(json_str_copy(&doc, 2, out, 0, &len), -1);
	ck_assert_str_eq(out, "plain");
	ck_assert_int_eq(json_str_copy(&doc, 3, out, sizeof(out), &len), -1);
	ck_assert_int_eq(json_str_copy(&doc, JSON_NONE, out, sizeof(out), &len), -1);
	ck_assert(!json_str_eq(&doc, 3, "1"));
	ck_assert(!json_str_eq(&doc, JSON_NONE, ""));
	buf_init(&b);
	ck_assert_int_eq(json_str_put(&doc, 2, &b), 0);
	ck_assert_int_eq(json_str_put(&doc, 1, &b), 0);
	ck_assert_int_eq(json_str_put(&doc, 3, &b), -1);
	ck_assert_uint_eq(b.len, 5 + strlen(want));
	ck_assert_mem_eq(b.p + 5, want, strlen(want));
	buf_free(&b);
}
END_TEST

START_TEST(integers)
{
	static const struct {
		const char *text;
		int r;
		int64_t v;
	} t[] = {{"0", 0, 0}, {"-0", 0, 0}, {"42", 0, 42}, {"-7", 0, -7},
	    {"9223372036854775807", 0, INT64_MAX}, {"-9223372036854775808", 0, INT64_MIN},
	    {"9223372036854775808", -1, 0}, {"-9223372036854775809", -1, 0},
	    {"99999999999999999999999", -1, 0}, {"1.0", -1, 0}, {"1e2", -1, 0},
	    {"1E2", -1, 0}, {"\"1\"", -1, 0}, {"true", -1, 0}, {"null", -1, 0},
	    {"[1]", -1, 0}};
	int64_t v;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		v = 0;
		ck_assert_int_eq(parse(t[i].text), JSON_OK);
		ck_assert_msg(
		    json_int64(&doc, 0, &v) == t[i].r && v == t[i].v, "%s", t[i].text);
	}
	ck_assert_int_eq(json_int64(&doc, JSON_NONE, &v), -1);
}
END_TEST

START_TEST(booleans)
{
	bool v = false;

	ck_assert_int_eq(parse("[true,false,1,null,\"true\"]"), JSON_OK);
	ck_assert_int_eq(json_bool(&doc, 1, &v), 0);
	ck_assert(v);
	ck_assert_int_eq(json_bool(&doc, 2, &v), 0);
	ck_assert(!v);
	ck_assert_int_eq(json_bool(&doc, 3, &v), -1);
	ck_assert_int_eq(json_bool(&doc, 4, &v), -1);
	ck_assert_int_eq(json_bool(&doc, 5, &v), -1);
	ck_assert_int_eq(json_bool(&doc, JSON_NONE, &v), -1);
}
END_TEST

START_TEST(reuse_keeps_memory)
{
	struct json_node *nodes;
	int i;

	ck_assert_int_eq(parse("[{\"a\":[1,2,{\"b\":null}]}]"), JSON_OK);
	nodes = doc.nodes;
	for (i = 0; i < 1000; i++) {
		ck_assert_int_eq(parse("[{\"a\":[1,2,{\"b\":null}]}]"), JSON_OK);
		ck_assert_int_eq(parse("{\"a\":"), JSON_E_EOF);
	}
	ck_assert_ptr_eq(doc.nodes, nodes);
}
END_TEST

/* seconds of processor time for an object of n names, made by fmt from 0..n-1 */
static double
time_names(int n, const char *fmt, int step, enum json_err want)
{
	struct timespec a, b;
	struct buf text;
	uint32_t k;
	int i;

	buf_init(&text);
	for (i = 0; i < n; i++) {
		ck_assert_int_eq(buf_putc(&text, i == 0 ? '{' : ','), 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		ck_assert_int_eq(buf_printf(&text, fmt, (int)((long)i * step % n)), 0);
#pragma GCC diagnostic pop
		ck_assert_int_eq(buf_puts(&text, ":0"), 0);
	}
	ck_assert_int_eq(buf_putc(&text, '}'), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	ck_assert_int_eq(json_parse(&doc, text.p, text.len, NULL), want);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	for (k = 1; k < json_count(&doc, 0); k++)
		ck_assert_int_lt(
		    json_name_cmp(&doc, doc.order[k - 1], doc.order[k], false), 0);
	buf_free(&text);
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
}

START_TEST(many_names)
{
	static const char *const fmt[] = {
	    "\"%d\"", "\"%08d\"", "\"\\u0061xxxxxxxxxxxxxxxxxxxx%06d\""};
	size_t f;
	int step;

	/* 10,007 is prime, so every step visits each number once. A quadratic check takes
	 * seconds; a hundredth of one is usual, so a slow machine has room */
	for (f = 0; f < sizeof(fmt) / sizeof(fmt[0]); f++) {
		for (step = 1; step < 10007; step = step * 7 + 3)
			ck_assert(time_names(10007, fmt[f], step, JSON_OK) < 0.5);
		ck_assert(time_names(10007, fmt[f], 10006, JSON_OK) < 0.5);
		ck_assert(time_names(10008, fmt[f], 2, JSON_E_DUPLICATE) < 0.5);
	}
}
END_TEST

START_TEST(utf16_order)
{
	/* UTF-16 code units: z, e-acute, U+D7FF, U+1F600 (D83D...), U+1F601, U+E000,
	 * U+FB01 */
	ck_assert_int_eq(parse("{\"\\ufb01\":0,\"\\ue000\":0,\"\\ud83d\\ude01\":0,"
			       "\"\xf0\x9f\x98\x80\":0,\"\\ud7ff\":0,\"z\":0,\"\":0,"
			       "\"z\\ufb01\":0,\"z\\ud83d\\ude00\":0}"),
	    JSON_OK);
	static const char *const want[] = {"", "z", "z\xf0\x9f\x98\x80", "z\xef\xac\x81",
	    "\xed\x9f\xbf", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x81", "\xee\x80\x80",
	    "\xef\xac\x81"};
	uint32_t o[9], i;

	memcpy(o, doc.order, sizeof(o));
	json_name_sort(&doc, o, 9, true);
	for (i = 0; i < 9; i++)
		ck_assert_msg(json_str_eq(&doc, o[i], want[i]), "%u", i);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("json");
	TCase *t = tcase_create("json");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, accepts, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(t, refuses, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(t, refuses_nul_and_empty);
	tcase_add_test(t, control_at_every_offset);
	tcase_add_test(t, limit_depth);
	tcase_add_test(t, limit_nodes_and_size);
	tcase_add_test(t, spans);
	tcase_add_test(t, get);
	tcase_add_test(t, strings);
	tcase_add_test(t, integers);
	tcase_add_test(t, booleans);
	tcase_add_test(t, reuse_keeps_memory);
	tcase_add_test(t, many_names);
	tcase_add_test(t, utf16_order);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
