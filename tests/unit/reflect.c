/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for the secret: every spelling, cut at every place, is found; what is not
 * the secret is not; what may become it is held back, and nothing else. The spellings
 * below were written by other programs.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/reflect.h"
#include "common/reflect_forms.h"
#include "common/secret.h"

#define SECRET "Tk/9+q\"<z>&'~_-Y 7=x"

static const struct {
	const char *name, *text;
} spellings[] = {
    {"as it is", "Tk/9+q\"<z>&'~_-Y 7=x"},
    {"upper case", "TK/9+Q\"<Z>&'~_-Y 7=X"},
    {"lower case", "tk/9+q\"<z>&'~_-y 7=x"},
    {"base64", "VGsvOStxIjx6PiYnfl8tWSA3PXg="},
    {"base64 behind one", "YVRrLzkrcSI8ej4mJ35fLVkgNz14YmM="},
    {"base64 behind two", "YWJUay85K3EiPHo+Jid+Xy1ZIDc9eGM="},
    {"base64 in JSON", "YWJUay85K3EiPHo+Jid+Xy1ZIDc9eA=="},
    {"base64 in a query", "dXNlcjpUay85K3EiPHo%2BJid%2BXy1ZIDc9eA%3D%3D"},
    {"url-safe base64", "YVRrLzkrcSI8ej4mJ35fLVkgNz14"},
    {"percent, RFC 3986", "Tk%2F9%2Bq%22%3Cz%3E%26%27~_-Y%207%3Dx"},
    {"percent, lower case", "tk%2f9%2bq%22%3cz%3e%26%27~_-y%207%3dx"},
    {"percent, path", "Tk/9%2Bq%22%3Cz%3E%26%27~_-Y%207%3Dx"},
    {"percent, form", "Tk%2F9%2Bq%22%3Cz%3E%26%27%7E_-Y+7%3Dx"},
    {"percent, encodeURIComponent", "Tk%2F9%2Bq%22%3Cz%3E%26'~_-Y%207%3Dx"},
    {"percent, encodeURI", "Tk/9+q%22%3Cz%3E&'~_-Y%207=x"},
    {"percent, all", "%54%6B%2F%39%2B%71%22%3C%7A%3E%26%27%7E%5F%2D%59%20%37%3D%78"},
    {"percent, all, lower case",
	"%54%6b%2f%39%2b%71%22%3c%7a%3e%26%27%7e%5f%2d%59%20%37%3d%78"},
    {"JSON", "Tk/9+q\\\"<z>&'~_-Y 7=x"},
    {"JSON with \\/", "Tk\\/9+q\\\"<z>&'~_-Y 7=x"},
    {"JSON in JSON", "Tk/9+q\\\\\\\"<z>&'~_-Y 7=x"},
    {"JSON with \\/ in JSON", "Tk\\\\/9+q\\\\\\\"<z>&'~_-Y 7=x"},
    {"JSON for HTML", "Tk/9+q\\\"\\u003cz\\u003e\\u0026\\u0027~_-Y 7=x"},
    {"JSON, all",
	"\\u0054\\u006b\\u002f\\u0039\\u002b\\u0071\\u0022\\u003c\\u007a\\u003e\\u0026\\u"
	"0027\\u007e\\u005f\\u002d\\u0059\\u0020\\u0037\\u003d\\u0078"},
    {"JSON, all, upper case",
	"\\u0054\\u006B\\u002F\\u0039\\u002B\\u0071\\u0022\\u003C\\u007A\\u003E\\u0026\\u"
	"0027\\u007E\\u005F\\u002D\\u0059\\u0020\\u0037\\u003D\\u0078"},
    {"HTML", "Tk/9+q&quot;&lt;z&gt;&amp;&#39;~_-Y 7=x"},
    {"HTML, numbers", "Tk/9+q&#34;&lt;z&gt;&amp;&#x27;~_-Y 7=x"},
    {"hexadecimal", "546b2f392b71223c7a3e26277e5f2d5920373d78"},
    {"HEXADECIMAL", "546B2F392B71223C7A3E26277E5F2D5920373D78"},
};
#define SPELLINGS (sizeof(spellings) / sizeof(spellings[0]))

/* Each test is a process of its own and has its own arena. */
static void
setup(void)
{
	ck_assert_int_eq(secret_init(2u * 1024 * 1024), 0);
}

static struct reflect *
automaton(const char *text, bool basic)
{
	struct secret *s = secret_new(text, strlen(text));
	struct reflect *r = reflect_new(s, basic);

	ck_assert_ptr_nonnull(r);
	secret_free(s);
	return r;
}

static bool
found(const struct reflect *r, const char *text)
{
	struct reflect_at at = {0};

	return reflect_feed(r, &at, text, strlen(text));
}

START_TEST(every_spelling)
{
	struct reflect *r = automaton(SECRET, false);
	char text[1024];

	ck_assert_msg(found(r, spellings[_i].text), "%s", spellings[_i].name);
	snprintf(text, sizeof(text), "some text before it%ssome text behind it",
	    spellings[_i].text);
	ck_assert_msg(found(r, text), "%s inside a text", spellings[_i].name);
	reflect_free(r);
}
END_TEST

START_TEST(every_split)
{
	struct reflect *r = automaton(SECRET, false);
	char text[1024];
	size_t len;

	snprintf(text, sizeof(text), "0123456789 {%s} 0123456789", spellings[_i].text);
	len = strlen(text);
	for (size_t a = 0; a <= len; a++) {
		for (size_t b = a; b <= len; b++) {
			struct reflect_at at = {0};
			bool hit = reflect_feed(r, &at, text, a) ||
			    reflect_feed(r, &at, text + a, b - a) ||
			    reflect_feed(r, &at, text + b, len - b);

			ck_assert_msg(
			    hit, "%s cut at %zu and %zu", spellings[_i].name, a, b);
		}
	}
	reflect_free(r);
}
END_TEST

/* Octet by octet: nothing of the secret was let go before it was found. */
START_TEST(held_back)
{
	struct reflect *r = automaton(SECRET, false);
	struct reflect_at at = {0};
	const char *before = "((((";
	char text[1024];
	size_t i, gone = 0;

	snprintf(text, sizeof(text), "%s%s", before, spellings[_i].text);
	for (i = 0; text[i] != '\0'; i++) {
		if (reflect_feed(r, &at, text + i, 1))
			break;
		gone = i + 1 - reflect_hold(r, &at);
	}
	ck_assert_int_ne(text[i], '\0');
	/* base64 begins with characters that depend on what stood before */
	ck_assert_uint_le(
	    gone, strlen(before) + (strstr(spellings[_i].name, "base64") ? 9 : 0));
	reflect_free(r);
}
END_TEST

START_TEST(no_secret)
{
	struct reflect *r = automaton(SECRET, false);
	struct reflect_at at = {0};
	char text[256];

	for (size_t n = 0; n < strlen(SECRET);
	     n++) { /* one octet short, or another one */
		snprintf(text, sizeof(text), "a%.*sb", (int)n, SECRET);
		ck_assert(!found(r, text));
		snprintf(text, sizeof(text), "%s", SECRET);
		text[n] = '#';
		ck_assert(!found(r, text));
	}
	ck_assert(!found(r, ""));
	ck_assert(!reflect_feed(r, &at, "((((", 4));
	ck_assert_uint_eq(reflect_hold(r, &at), 0);
	ck_assert(!reflect_feed(r, &at, SECRET, 5));
	ck_assert_uint_eq(reflect_hold(r, &at), 5);
	ck_assert(!reflect_feed(r, &at, "(", 1));
	ck_assert_uint_eq(reflect_hold(r, &at), 0);
	reflect_free(r);
}
END_TEST

START_TEST(beginnings_inside)
{
	struct reflect *r = automaton("abcabcabd", false);
	struct reflect_at at = {0};

	ck_assert(found(r, "abcabcabcabd"));
	ck_assert(found(r, "abcabcabcabcabcabd"));
	ck_assert(!found(r, "abcabcabcab"));
	ck_assert(!reflect_feed(r, &at, "abcabcabca", 10));
	ck_assert_uint_eq(reflect_hold(r, &at), 7);
	reflect_free(r);
}
END_TEST

START_TEST(short_ones)
{
	struct reflect *r = automaton("abc", false);

	ck_assert(!found(r, "abc"));
	reflect_free(r);
	r = automaton("abcd", false);
	ck_assert(found(r, "xabcdx"));
	ck_assert(!found(r, "61626364"));
	reflect_free(r);
	r = automaton("abcdefgh", false);
	ck_assert(found(r, "6162636465666768"));
	reflect_free(r);
	r = automaton("", false);
	ck_assert(!found(r, "anything"));
	reflect_free(r);
}
END_TEST

START_TEST(long_ones)
{
	static char text[32769];
	struct reflect *r;

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('!' + (i * 7 + i / 94) % 94);
	r = automaton(text, true);
	ck_assert(found(r, text));
	text[REFLECT_PREFIX] = '\0';
	ck_assert(found(r, text));
	text[REFLECT_PREFIX - 1] = '\0';
	ck_assert(!found(r, text));
	reflect_free(r);
	/* the worst there is: every octet grows in every spelling */
	memset(text, '"', sizeof(text) - 1);
	text[0] = ':';
	r = automaton(text, true);
	ck_assert(found(r, text));
	reflect_free(r);
}
END_TEST

START_TEST(passwords)
{
	struct reflect *r = automaton("user:correct horse", true);

	ck_assert(found(r, "your password is correct horse"));
	ck_assert(found(r, "Basic dXNlcjpjb3JyZWN0IGhvcnNl"));
	ck_assert(found(r, "correct%20horse"));
	ck_assert(!found(r, "user:correct"));
	reflect_free(r);
	r = automaton("user:correct horse", false);
	ck_assert(!found(r, "your password is correct horse"));
	reflect_free(r);
	r = automaton("user:short", true);
	ck_assert(!found(r, "a short one"));
	ck_assert(found(r, "user:short"));
	reflect_free(r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("reflect");
	TCase *t = tcase_create("reflect");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, every_spelling, 0, SPELLINGS);
	tcase_add_loop_test(t, every_split, 0, SPELLINGS);
	tcase_add_loop_test(t, held_back, 0, SPELLINGS);
	tcase_add_test(t, no_secret);
	tcase_add_test(t, beginnings_inside);
	tcase_add_test(t, short_ones);
	tcase_add_test(t, long_ones);
	tcase_add_test(t, passwords);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
