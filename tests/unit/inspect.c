/* SPDX-License-Identifier: Apache-2.0 */
/* The inspector: nothing of a credential is released before it is found, wherever it
 * stands and however it is written; references to secrets are none. */
#include "gated/inspect.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* one of the longest of which no beginning is enough */
#define TOKEN "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"

/* Each of its octets as such, or as these and two hexadecimal digits. */
static const struct form {
	const char *name, *before; /* NULL: as such */
} forms[] = {{"plain", NULL}, {"JSON", "\\u00"}, {"percent", "%"},
    {"JSON in JSON", "\\\\u00"}, {"percent twice", "%25"}};

static size_t
write_as(char *out, const struct form *f, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	char *p = out;

	for (; *text != '\0'; text++) {
		if (f->before == NULL) {
			*p++ = *text;
			continue;
		}
		memcpy(p, f->before, strlen(f->before));
		p += strlen(f->before);
		*p++ = hex[(unsigned char)*text >> 4];
		*p++ = hex[*text & 15];
	}
	return (size_t)(p - out);
}

/* Behind `before` octets of the same word, which is cut more than once. */
START_TEST(released_before_found)
{
	const struct form *form = &forms[_i];
	char filler[1600], body[32768];
	uint64_t clean = 0;

	for (size_t before = 0; before < 1300; before += 13) {
		struct inspect *s = inspect_new(INSPECT_PLAIN);
		size_t at, start, n;

		memset(filler, 'a', before);
		filler[before] = '\0';
		if (before > 0)
			filler[before - 1] = '/';
		start = write_as(body, form, filler);
		n = start + write_as(body + start, form, TOKEN);
		body[n++] = ' ';
		clean = 0;
		for (at = 0; at < n && !inspect_hit(s); at++) {
			/* one assertion writes to a file: too slow for each octet */
			if (inspect_clean(s) > at || inspect_clean(s) < clean)
				ck_abort_msg(
				    "%s after %zu: not clean", form->name, before);
			clean = inspect_clean(s);
			if (inspect_feed(s, body + at, 1) != 0)
				ck_abort_msg("%s after %zu: broken", form->name, before);
		}
		ck_assert_msg(inspect_hit(s), "%s after %zu", form->name, before);
		ck_assert_msg(clean <= start, "%s after %zu: %llu of %zu", form->name,
		    before, (unsigned long long)clean, start);
		inspect_free(s);
	}
}
END_TEST

/* A word that goes on for many times its length in the packed body. */
START_TEST(never_more_than_came)
{
	static char word[100000];
	static uint8_t packed[120000];
	uLongf n = sizeof(packed);
	struct inspect *s = inspect_new(INSPECT_DEFLATE);
	unsigned seed = 7;

	for (size_t i = 0; i < sizeof(word); i++) {
		seed = seed * 1103515245 + 12345;
		word[i] = "abcdefghijklmnop"[seed >> 16 & 15];
	}
	ck_assert_int_eq(compress(packed, &n, (const uint8_t *)word, sizeof(word)), Z_OK);
	for (size_t at = 0, k; at < n; at += k) {
		k = n - at < 1000 ? n - at : 1000;
		ck_assert_int_eq(inspect_feed(s, packed + at, k), 0);
		ck_assert_uint_le(inspect_clean(s), at + k - (at + k < n));
	}
	ck_assert_int_eq(inspect_end(s), 0);
	ck_assert_uint_eq(inspect_clean(s), n);
	ck_assert(!inspect_hit(s));
	inspect_free(s);
}
END_TEST

static const struct {
	const char *text;
	bool sure;
} values[] = {
    {"const accessToken = response.data.oauth2.accessToken;", false},
    {"apiKey: process.env.OPENAI_API_KEY_V2,", false},
    {"client_secret: GOOGLE_OAUTH2_CLIENT_SECRET", false},
    {"private_key=/etc/ssl/private/server1.key", false},
    {"authorization: https://auth0.example.com/authorize", false},
    {"\"authToken\": \"my-service-account-token-v2\"", false},
    {"{\"image_url\":\"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&"
     "X-Amz-Credential=AKIAQ3EGUVWXYZ2345AB%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&"
     "X-Amz-Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
     "\"}",
	false},
    {"{\"X-Amz-Credential\": "
     "\"ASIAQ3EGUVWXYZ2345AB/20261121/us-east-1/s3/aws4_request\"}",
	false},
    {"aws_access_key_id = AKIAQ3EGUVWXYZ2345AB", true},
    {"X-Amz-Credential=x&key=AKIAQ3EGUVWXYZ2345AB", true},
    {"apiKey: Zx8Qm2Lr9Tk4Vb7Nc1Wd", true},
    {"client_secret=550e8400-e29b-41d4-a716-446655440000", true},
    {"client_secret: abc8Q~defGHIjklMnoPqR.stUvw3XyZ01234", true},
    /* a sign that was meant as such takes nothing away */
    {"{\"cmd\":\"\\\\npm_k3J9dQ0sL2mZx8Vb4Nc6Tr1Yw5Hp7Ge9Ua3F\"}", true},
    {"C:\\npm_k3J9dQ0sL2mZx8Vb4Nc6Tr1Yw5Hp7Ge9Ua3F", true},
    {"100%dckr_pat_Zx8Qm2Lr9Tk4Vb7Nc1Wd5Yh", true},
    {"a=%25dckr_pat_Zx8Qm2Lr9Tk4Vb7Nc1Wd5Yh", true},
    {"\\\\rk_live_Zx8Qm2Lr9Tk4Vb7Nc1Wd5Yh", true},
    {"%Bearer Zx8Qm2Lr9Tk4Vb7Nc1Wd5Yh", true},
    {"one line\\nBearer Zx8Qm2Lr9Tk4Vb7Nc1Wd5Yh", true},
    {"\\refresh_token=gX_81hPa-Qz77vLk2Tn_0RfYc4", true},
    {"one line\\npm_is_here_and_all_is_well_with_it_now_1", false},
    {"access_token=gX_81hPa-Qz77vLk2Tn_0RfYc4", true},
};

START_TEST(references_are_no_secrets)
{
	struct inspect *s = inspect_new(INSPECT_PLAIN);

	ck_assert_int_eq(inspect_feed(s, values[_i].text, strlen(values[_i].text)), 0);
	ck_assert_int_eq(inspect_end(s), 0);
	ck_assert_msg(inspect_hit(s) == values[_i].sure, "%s", values[_i].text);
	inspect_free(s);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("inspect");
	TCase *t = tcase_create("inspect");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(
	    t, released_before_found, 0, (int)(sizeof(forms) / sizeof(forms[0])));
	tcase_add_test(t, never_more_than_came);
	tcase_add_loop_test(
	    t, references_are_no_secrets, 0, (int)(sizeof(values) / sizeof(values[0])));
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
