/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical form of SEAL: vectors V1 to V11 with their signatures, and the rules. */
#include "common/canon.h"

#include <check.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "common/ed25519.h"
#include "common/rfc3339.h"
#include "tests/unit/vectors.h"

static struct json_doc doc;
static struct buf out;

static void
setup(void)
{
	json_init(&doc);
	buf_init(&out);
}

static void
teardown(void)
{
	json_free(&doc);
	buf_free(&out);
}

/* order of the vectors in the file */
static const char *const names[] = {
    "V1 ", "V2 ", "V3 ", "V4 ", "V5 ", "V6 ", "V7 ", "V8 ", "V9 ", "V10 ", "V11 "};

static enum canon_order
order_of(const char *name)
{
	if (strncmp(name, "V9 ", 3) == 0)
		return CANON_UTF16;
	return strncmp(name, "V10 ", 4) == 0 ? CANON_BOOT : CANON_UTF8;
}

/* makes the canonical bytes of a vector from what its client sent */
static void
canonicalise(const struct vectors *v, uint32_t node, enum canon_order order, int64_t plus)
{
	static const char op[] = "{\"op\": \"heartbeat\", "
				 "\"node_id\":\"a1b2c3d4-e5f6-7890-abcd-ef1234567890\"}";
	char *wire, *token;
	size_t n, token_len;
	int64_t unix_time, ts;
	const uint8_t *raw;

	ck_assert_int_eq(
	    json_int64(&v->doc, json_get(&v->doc, node, "unix"), &unix_time), 0);
	buf_reset(&out);
	if (json_get(&v->doc, node, "payload_wire") == JSON_NONE) { /* V11 */
		ck_assert_int_eq(json_parse(&doc, op, strlen(op), NULL), JSON_OK);
		ck_assert_int_eq(canon_seal_node(&doc, 0, "aaa.bbb.ccc", 11,
				     unix_time + plus, order, &out),
		    0);
		return;
	}
	if (json_int64(&v->doc, json_get(&v->doc, node, "timestamp"), &ts) != 0) {
		ck_assert_int_eq(
		    json_raw(&v->doc, json_get(&v->doc, node, "timestamp"), &raw, &n), 0);
		ck_assert_int_eq(
		    rfc3339_parse((const char *)raw + 1, n - 2, &ts, NULL), 0);
	}
	ck_assert_int_eq(ts, unix_time);
	wire = vectors_text(v, node, "payload_wire", &n);
	token = vectors_text(v, node, "token", &token_len);
	ck_assert_int_eq(json_parse(&doc, wire, n, NULL), JSON_OK);
	ck_assert_int_eq(
	    canon_seal(&doc, 0, token, token_len, ts + plus, order, &out), 0);
	ck_assert_int_eq(canon_has_astral_ambiguity(&doc, 0),
	    strncmp(wire, "{\"jsonrpc\":\"2.0\",\"id\":8,", 24) == 0);
	free(wire);
	free(token);
}

START_TEST(vector)
{
	uint8_t pub[32], other[32], sig[64], sig2[64], sha[32], md[32];
	char *name, *canonical, *b64;
	struct json_iter it;
	struct vectors v;
	size_t n, b64_len;
	int i;

	vectors_load(&v);
	ck_assert_uint_eq(json_count(&v.doc, json_get(&v.doc, 0, "vectors")), 11);
	json_iter_init(&it, &v.doc, json_get(&v.doc, 0, "vectors"));
	for (i = 0; i <= _i; i++)
		ck_assert(json_iter_next(&it, &v.doc));
	name = vectors_text(&v, it.value, "name", NULL);
	ck_assert(strncmp(name, names[_i], strlen(names[_i])) == 0);

	canonicalise(&v, it.value, order_of(name), 0);
	canonical = vectors_text(&v, it.value, "canonical", &n);
	ck_assert_uint_eq(out.len, n);
	ck_assert_mem_eq(out.p, canonical, n);
	vectors_hex(&v, it.value, "sha256", sha, sizeof(sha));
	SHA256(out.p, out.len, md);
	ck_assert_mem_eq(md, sha, sizeof(sha));

	b64 = vectors_text(&v, it.value, "signature_b64", &b64_len);
	ck_assert_int_eq(b64_decode(B64_STD, b64, b64_len, sig, sizeof(sig)), 64);
	if (json_get(&v.doc, it.value, "sig_hex") != JSON_NONE) {
		vectors_hex(&v, it.value, "sig_hex", sig2, sizeof(sig2));
		ck_assert_mem_eq(sig, sig2, sizeof(sig));
	}
	vectors_hex(&v, it.value, "public_hex", pub, sizeof(pub));
	ck_assert(ed25519_pub_ok(pub));
	ck_assert_int_eq(ed25519_verify(pub, out.p, out.len, sig), 0);

	/* another key, another second, another byte */
	hex_decode("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", 64,
	    other, sizeof(other));
	if (memcmp(other, pub, 32) == 0)
		hex_decode(
		    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
		    64, other, sizeof(other));
	ck_assert_int_eq(ed25519_verify(other, out.p, out.len, sig), -1);
	out.p[out.len / 2] ^= 1;
	ck_assert_int_eq(ed25519_verify(pub, out.p, out.len, sig), -1);
	canonicalise(&v, it.value, order_of(name), 1);
	ck_assert_int_eq(ed25519_verify(pub, out.p, out.len, sig), -1);
	free(name);
	free(canonical);
	free(b64);
	vectors_free(&v);
}
END_TEST

static const struct {
	const char *in, *utf8, *utf16, *boot;
} forms[] = {
    {"1", "1", "1", "1"},
    {" -0.0 ", "-0.0", "-0.0", "-0.0"},
    {"1E+05", "1E+05", "1E+05", "1E+05"},
    {"[ ]", "[]", "[]", "[]"},
    {"{ }", "{}", "{}", "{}"},
    {"[true ,false,\tnull]", "[true,false,null]", "[true,false,null]",
	"[true, false, null]"},
    {"{\"b\":1,\"a\":[{\"d\":1,\"c\":2}]}", "{\"a\":[{\"c\":2,\"d\":1}],\"b\":1}",
	"{\"a\":[{\"c\":2,\"d\":1}],\"b\":1}",
	"{\"a\": [{\"c\": 2, \"d\": 1}], \"b\": 1}"},
    {"\"\\u0041\\/\\u0008\\u000C\\u001F\\u007f\\u00E9\"",
	"\"A/\\b\\f\\u001f\x7f\xc3\xa9\"", "\"A/\\b\\f\\u001f\x7f\xc3\xa9\"",
	"\"A/\\b\\f\\u001f\\u007f\\u00e9\""},
    {"\"\xe2\x80\xa8\xf0\x9f\x98\x80<>&'\"", "\"\xe2\x80\xa8\xf0\x9f\x98\x80<>&'\"",
	"\"\xe2\x80\xa8\xf0\x9f\x98\x80<>&'\"", "\"\\u2028\\ud83d\\ude00<>&'\""},
    {"{\"\\u0062\":1,\"a\":2}", "{\"a\":2,\"b\":1}", "{\"a\":2,\"b\":1}",
	"{\"a\": 2, \"b\": 1}"},
    {"{\"\\ud83d\\ude00\":{\"\xef\xac\x81\":1,\"\xf0\x9f\x98\x80\":2},\"\\ufb01\":0}",
	"{\"\xef\xac\x81\":0,\"\xf0\x9f\x98\x80\":{\"\xef\xac\x81\":1,"
	"\"\xf0\x9f\x98\x80\":2}}",
	"{\"\xf0\x9f\x98\x80\":{\"\xf0\x9f\x98\x80\":2,\"\xef\xac\x81\":1},"
	"\"\xef\xac\x81\":0}",
	"{\"\\ufb01\": 0, \"\\ud83d\\ude00\": {\"\\ufb01\": 1, \"\\ud83d\\ude00\": 2}}"},
    {"{\"10\":0,\"9\":0,\"\":0,\"Z\":0,\"a\":0,\"aa\":0}",
	"{\"\":0,\"10\":0,\"9\":0,\"Z\":0,\"a\":0,\"aa\":0}",
	"{\"\":0,\"10\":0,\"9\":0,\"Z\":0,\"a\":0,\"aa\":0}",
	"{\"\": 0, \"10\": 0, \"9\": 0, \"Z\": 0, \"a\": 0, \"aa\": 0}"},
};

static void
check_form(enum canon_order order, const char *want)
{
	buf_reset(&out);
	ck_assert_int_eq(canon_value(&doc, 0, &out, order), 0);
	ck_assert_uint_eq(out.len, strlen(want));
	ck_assert_mem_eq(out.p, want, out.len);
}

START_TEST(form)
{
	ck_assert_int_eq(
	    json_parse(&doc, forms[_i].in, strlen(forms[_i].in), NULL), JSON_OK);
	check_form(CANON_UTF8, forms[_i].utf8);
	check_form(CANON_UTF16, forms[_i].utf16);
	check_form(CANON_BOOT, forms[_i].boot);
	ck_assert_int_eq(canon_has_astral_ambiguity(&doc, 0),
	    strcmp(forms[_i].utf8, forms[_i].utf16) != 0);
}
END_TEST

START_TEST(ambiguity_is_per_object)
{
	static const char text[] = "{\"a\":{\"\\ufb01\":1},\"b\":{\"\\ud83d\\ude00\":2},"
				   "\"c\":{\"x\\ud83d\\ude00\":1,\"y\\ufb01\":1},"
				   "\"d\":{\"x\\ud83d\\ude00\":1,\"x\\ufb01\":1}}";

	ck_assert_int_eq(json_parse(&doc, text, strlen(text), NULL), JSON_OK);
	ck_assert(!canon_has_astral_ambiguity(&doc, json_get(&doc, 0, "a")));
	ck_assert(!canon_has_astral_ambiguity(&doc, json_get(&doc, 0, "b")));
	ck_assert(!canon_has_astral_ambiguity(&doc, json_get(&doc, 0, "c")));
	ck_assert(canon_has_astral_ambiguity(&doc, json_get(&doc, 0, "d")));
	ck_assert(canon_has_astral_ambiguity(&doc, 0));
	ck_assert(!canon_has_astral_ambiguity(&doc, JSON_NONE));
}
END_TEST

START_TEST(token_text)
{
	static const char want[] = "{\"payload\":1,\"security_token\":"
				   "\"a\\\"\\\\\\n\xc3\xa9\",\"timestamp\":-5}";
	static const char boot[] =
	    "{\"node_security_token\": \"\\u00e9\", \"payload\": 1, "
	    "\"timestamp\": 0}";

	ck_assert_int_eq(json_parse(&doc, "1", 1, NULL), JSON_OK);
	ck_assert_int_eq(
	    canon_seal(&doc, 0, "a\"\\\n\xc3\xa9", 6, -5, CANON_UTF8, &out), 0);
	ck_assert_uint_eq(out.len, strlen(want));
	ck_assert_mem_eq(out.p, want, out.len);
	buf_reset(&out);
	ck_assert_int_eq(canon_seal_node(&doc, 0, "\xc3\xa9", 2, 0, CANON_BOOT, &out), 0);
	ck_assert_uint_eq(out.len, strlen(boot));
	ck_assert_mem_eq(out.p, boot, out.len);
	ck_assert_int_eq(canon_seal(&doc, 0, "a\xff", 2, 0, CANON_UTF8, &out), -1);
	ck_assert_int_eq(canon_seal(&doc, 0, "a\xff", 2, 0, CANON_BOOT, &out), -1);
	ck_assert_int_eq(canon_seal(&doc, JSON_NONE, "a", 1, 0, CANON_UTF8, &out), -1);
	ck_assert_int_eq(
	    canon_seal_node(&doc, JSON_NONE, "a", 1, 0, CANON_UTF8, &out), -1);
	ck_assert_int_eq(canon_value(&doc, JSON_NONE, &out, CANON_UTF8), -1);
}
END_TEST

START_TEST(deepest)
{
	struct json_limits l = {.depth = JSON_DEPTH_CEILING};
	char text[2 * JSON_DEPTH_CEILING];

	memset(text, '[', JSON_DEPTH_CEILING);
	memset(text + JSON_DEPTH_CEILING, ']', JSON_DEPTH_CEILING);
	ck_assert_int_eq(json_parse(&doc, text, sizeof(text), &l), JSON_OK);
	ck_assert_int_eq(canon_value(&doc, 0, &out, CANON_UTF8), 0);
	ck_assert_uint_eq(out.len, sizeof(text));
	ck_assert_mem_eq(out.p, text, sizeof(text));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("canon");
	TCase *t = tcase_create("canon");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, vector, 0, sizeof(names) / sizeof(names[0]));
	tcase_add_loop_test(t, form, 0, sizeof(forms) / sizeof(forms[0]));
	tcase_add_test(t, ambiguity_is_per_object);
	tcase_add_test(t, token_text);
	tcase_add_test(t, deepest);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
