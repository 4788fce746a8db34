/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of webhooks. */
#include "common/hook_url.h"

#include <check.h>
#include <stdlib.h>

START_TEST(good)
{
	static const struct {
		const char *text, *scheme, *host, *target;
		unsigned port;
	} cases[] = {
	    {"https://Example.COM/a?b=c", "https", "example.com", "/a?b=c", 0},
	    {"https://example.com", "https", "example.com", "/", 0},
	    {"https://example.com:443/", "https", "example.com", "/", 0},
	    {"http://example.com:443/", "http", "example.com", "/", 443},
	    {"HTTP://localhost:8080?x", "http", "localhost", "/?x", 8080},
	    {"https://[2001:db8::1]:8443/x", "https", "[2001:db8::1]", "/x", 8443},
	};
	struct hook_url u;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_ptr_null(hook_url_parse(span_str(cases[i].text), &u));
		ck_assert_str_eq(u.scheme, cases[i].scheme);
		ck_assert_str_eq(u.host, cases[i].host);
		ck_assert_str_eq(u.target, cases[i].target);
		ck_assert_uint_eq(u.port, cases[i].port);
	}
}
END_TEST

START_TEST(bad)
{
	static const char *const cases[] = {"", "https://", "https:///x",
	    "ftp://x.example/", "https://u:p@x.example/", "https://u@x.example/",
	    "https://x.example/a b", "https://x.example/#f", "https://x.example/\r\nX: y",
	    "https://*.example/", "https://x.example:0/", "https://x.example:99999/",
	    "//x.example/", "https://0x7f.1/", "https://x.example\\@y/"};
	struct hook_url u;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(
		    hook_url_parse(span_str(cases[i]), &u) != NULL, "%s", cases[i]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("hook_url");
	TCase *t = tcase_create("hook_url");
	SRunner *r;
	int failed;

	tcase_add_test(t, good);
	tcase_add_test(t, bad);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
