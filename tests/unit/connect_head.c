/* SPDX-License-Identifier: Apache-2.0 */
/* What counts as a tool server's CONNECT. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "toolhostd/toolexec/connect_head.h"

static char authority[CONNECT_AUTHORITY_MAX + 1];

static int
head(const char *text)
{
	return connect_head((const uint8_t *)text, strlen(text), authority);
}

START_TEST(good)
{
	static const char one[] = "CONNECT api.example:443 HTTP/1.1\r\n\r\n",
			  fields[] =
			      "CONNECT [::1]:8443 HTTP/1.0\r\nHost: x\r\nA:\tb\r\n\r\n";

	ck_assert_int_eq(head(one), (int)strlen(one));
	ck_assert_str_eq(authority, "api.example:443");
	ck_assert_int_eq(head(fields), (int)strlen(fields));
	ck_assert_str_eq(authority, "[::1]:8443");
	ck_assert_int_eq(head("CONNECT a:1 HTTP/1.1\r\n\r\nmore"), 24);
	ck_assert_int_eq(head("CONNECT a:1 HTTP/1.1\r\nHost: a"), 0);
	ck_assert_int_eq(head("C"), 0);
	ck_assert_int_eq(head(""), 0);
}
END_TEST

static const char *const malformed[] = {"CONNECT a:1 HTTP/1.1\n\n",
    "CONNECT a:1 HTTP/1.1\r\n\n", "CONNECT a:1 HTTP/2.0\r\n\r\n",
    "CONNECT a:1 HTTP/1.2\r\n\r\n", "CONNECT a:1  HTTP/1.1\r\n\r\n",
    "CONNECT  a:1 HTTP/1.1\r\n\r\n", "CONNECT a:1\r\n\r\n", "CONNECT \r\n\r\n",
    "CONNECT a:1 HTTP/1.1 \r\n\r\n", "CONNECT a\x7f:1 HTTP/1.1\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\n b\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nA : b\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\n: b\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nAb\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nA: b\rc\r\n\r\n", "CONNECT a\t:1 HTTP/1.1\r\n\r\n",
    "CONNECT a\xc3\xa9:1 HTTP/1.1\r\n\r\n", "\r\nCONNECT a:1 HTTP/1.1\r\n\r\n",
    "\x16\x03\x01", " CONNECT a:1 HTTP/1.1\r\n\r\n", "connect\r\n\r\n"};

START_TEST(bad)
{
	ck_assert_int_eq(head(malformed[_i]), CONNECT_MALFORMED);
}
END_TEST

START_TEST(others)
{
	static char longest[CONNECT_HEAD_MAX + 1];

	ck_assert_int_eq(head("GET http://a/ HTTP/1.1\r\n\r\n"), CONNECT_OTHER_METHOD);
	ck_assert_int_eq(head("connect a:1 HTTP/1.1\r\n\r\n"), CONNECT_OTHER_METHOD);
	memset(longest, 'A', sizeof(longest) - 1);
	ck_assert_int_eq(head(longest), CONNECT_TOO_LONG);
	memcpy(longest, "CONNECT a:1 HTTP/1.1\r\n", 22);
	ck_assert_int_eq(head(longest), CONNECT_TOO_LONG);
	/* an authority that has no room */
	memset(longest, 'a', sizeof(longest) - 1);
	memcpy(longest, "CONNECT ", 8);
	memcpy(longest + 8 + CONNECT_AUTHORITY_MAX + 1, " HTTP/1.1\r\n\r\n", 14);
	ck_assert_int_eq(head(longest), CONNECT_MALFORMED);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("connect_head");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, good);
	tcase_add_loop_test(t, bad, 0, (int)(sizeof(malformed) / sizeof(malformed[0])));
	tcase_add_test(t, others);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
