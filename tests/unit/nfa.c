/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/nfa: what patterns match, what is refused and where, that time stays linear.
 * AEGIS_NFA_ROWS names a file of "pattern text 0|1", both in hexadecimal, one a line.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/hex.h"
#include "common/nfa.h"

static const struct {
	const char *pattern, *text;
	bool match;
} rows[] = {
    {"", "", true},
    {"", "abc", true},
    {"^/api/", "/api/x", true},
    {"^/api/", "/v1/api/x", false},
    {"/api/", "/v1/api/x", true},
    {"/api/conversations.*", "/api/conversations.list", true},
    {"/api/conversations.*", "/api/chat", false},
    {"^/repos/[^/]+/issues$", "/repos/a/issues", true},
    {"^/repos/[^/]+/issues$", "/repos/a/b/issues", false},
    {"^/repos/[^/]+/issues$", "/repos//issues", false},
    {"^/repos/[^/]+/issues$", "/repos/a/issues/", false},
    {"^/u/\\d{1,3}$", "/u/123", true},
    {"^/u/\\d{1,3}$", "/u/1234", false},
    {"^/u/\\d{1,3}$", "/u/", false},
    {"^(?:a|bc|)d$", "bcd", true},
    {"^(?:a|bc|)d$", "d", true},
    {"^(?:a|bc|)d$", "bd", false},
    {"^(a*)*b$", "aaaaab", true},
    {"^(a*)*$", "aac", false},
    {"^(a|b|c|d)+$", "abcd", true},
    {"^a{0}b$", "b", true},
    {"^a{0}b$", "ab", false},
    {"^a{2,}$", "a", false},
    {"^a{2,}$", "aaaa", true},
    {"^(ab){2}$", "abab", true},
    {"^(ab){2}$", "ab", false},
    {"^a+?b??$", "aab", true},
    {"\\bapi\\b", "/api/", true},
    {"\\bapi\\b", "/apis/", false},
    {"a\\Bb", "ab", true},
    {"^\\w+$", "a_1", true},
    {"^\\w+$", "\xc3\xa9", false},
    {"^\\W$", "\xc3\xa9", true},
    {"^.$", "\xc3\xa9", true},
    {"^.$", "\xf0\x9f\x98\x80", true},
    {"^\xc3\xa9$", "\xc3\xa9", true},
    {"^[\xc3\xa0-\xc3\xbf]$", "\xc3\xa9", true},
    {"^[^\xc3\xa0-\xc3\xbf]$", "\xc3\xa9", false},
    {"^\\u00e9\\x41$",
	"\xc3\xa9"
	"A",
	true},
    {"^[\\d-]+$", "1-2", true},
    {"^[a\\-z]+$", "b", false},
    {"^[-a]+$", "-a", true},
    {"^[a-]+$", "-a", true},
    {"^[^\\d\\s]+$", "ab", true},
    {"^[^\\d\\s]+$", "a1", false},
    {"^[\\D]$", "1", false},
    {"^[\\W_]+$", "/_", true},
    {"^\\S+$", "a b", false},
    {"^\\.\\/\\*\\[\\]\\{\\}\\(\\)\\|\\^\\$\\?\\+\\\\$", "./*[]{}()|^$?+\\", true},
    {"a.b", "a\nb", false},
    {"a[^x]b", "a\nb", true},
    {"(^a|b)c", "xbc", true},
    {"(^a|b)c", "xac", false},
    {"a$|b", "bx", true},
    {"a$|b", "ax", false},
    {"^$", "", true},
    {"^$", "a", false},
    {"$^", "", true},
    {"x^", "x", false},
    {"^.$", "\xff", true},
    {"^[^a]$", "\xff", true},
    {"^[a-\xc3\xbf]$", "\xff", false},
};

START_TEST(matches)
{
	char err[256] = "";
	struct nfa *p;
	size_t at;

	p = nfa_compile(span_str(rows[_i].pattern), err, sizeof err, &at);
	ck_assert_msg(p != NULL, "%s: %s", rows[_i].pattern, err);
	ck_assert_msg(nfa_search(p, span_str(rows[_i].text)) == rows[_i].match,
	    "%s against %s", rows[_i].pattern, rows[_i].text);
	nfa_free(p);
}
END_TEST

static const struct {
	const char *pattern, *say;
	size_t at;
} wrong[] = {
    {"a(b", "( without )", 1},
    {"ab)", ") without (", 2},
    {"a[b", "[ without ]", 1},
    {"[]", "empty class", 0},
    {"[^]", "empty class", 0},
    {"[z-a]", "wrong order", 1},
    {"[a-\\d]", "ends in a class", 1},
    {"*a", "nothing before", 0},
    {"a|*", "nothing before", 2},
    {"(+)", "nothing before", 1},
    {"a**", "repeated twice", 2},
    {"a*?*", "repeated twice", 3},
    {"^*", "cannot be repeated", 1},
    {"\\b+", "cannot be repeated", 2},
    {"/u/{id}", "expected a number", 4},
    {"{1}", "when the character is meant", 0},
    {"a}", "when the character is meant", 1},
    {"a]", "when the character is meant", 1},
    {"a{3,2}", "wrong order", 1},
    {"a{,2}", "expected a number", 2},
    {"a{1001}", "more than 1000 repetitions", 2},
    {"a{1", "{ without }", 1},
    {"(a)\\1", "linear time", 3},
    {"(?=a)", "not possible", 0},
    {"(?<!a)", "not possible", 0},
    {"(?i)a", "not possible", 0},
    {"a\\", "backslash at the end", 1},
    {"\\q", "no meaning", 0},
    {"\\xg1", "hexadecimal", 2},
    {"a\n", "control character", 1},
    {"\xff", "not UTF-8", 0},
    {"(a{40}){40}", "too large", 8},
    {"((((a{9}){9}){9}){9}){9}", "too large", 0},
    {"((((){99}){99}){99}){99}", "too large", 0},
};

START_TEST(refuses)
{
	char err[256] = "";
	struct nfa *p;
	size_t at;

	p = nfa_compile(span_str(wrong[_i].pattern), err, sizeof err, &at);
	ck_assert_msg(p == NULL, "%s", wrong[_i].pattern);
	ck_assert_msg(
	    strstr(err, wrong[_i].say) != NULL, "%s: %s", wrong[_i].pattern, err);
	if (strcmp(wrong[_i].say, "too large") != 0)
		ck_assert_msg(at == wrong[_i].at, "%s: at %zu", wrong[_i].pattern, at);
}
END_TEST

START_TEST(limits)
{
	char pattern[NFA_PATTERN_MAX + 2], err[256];
	struct nfa *p;
	size_t at;

	memset(pattern, '(', 60);
	memset(pattern + 60, ')', 60);
	ck_assert_ptr_null(nfa_compile(span_mem(pattern, 120), err, sizeof err, &at));
	memset(pattern, 'a', sizeof pattern);
	ck_assert_ptr_null(
	    nfa_compile(span_mem(pattern, NFA_PATTERN_MAX + 1), err, sizeof err, &at));
	p = nfa_compile(span_mem(pattern, NFA_PATTERN_MAX), err, sizeof err, &at);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(nfa_states(p), NFA_PATTERN_MAX + 1);
	nfa_free(p);
	/* alternatives do not count as depth */
	for (size_t i = 0; i < NFA_PATTERN_MAX; i += 2)
		memcpy(pattern + i, "a|", 2);
	p = nfa_compile(span_mem(pattern, NFA_PATTERN_MAX), err, sizeof err, &at);
	ck_assert_ptr_nonnull(p);
	nfa_free(p);
}
END_TEST

/* Seconds of processor time for a pattern that takes a backtracking search forever. */
static double
seconds(size_t len)
{
	static char text[65536];
	char err[256];
	clock_t begin;
	struct nfa *p;
	size_t at;

	p = nfa_compile(
	    span_str("^(a|a|aa)*(a*)*(a+a+)+(.*a.*){5}$"), err, sizeof err, &at);
	ck_assert_ptr_nonnull(p);
	memset(text, 'a', len);
	text[len - 1] = '\n';
	begin = clock();
	ck_assert(!nfa_search(p, span_mem(text, len)));
	nfa_free(p);
	return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

START_TEST(linear)
{
	double one = seconds(4096), sixteen = seconds(65536);

	/* 16 times the text: 256 times the time were it quadratic */
	ck_assert_msg(sixteen < 64 * one + 0.05, "%f %f", one, sixteen);
}
END_TEST

static size_t
unhex(const char *s, size_t len, char *out, size_t size)
{
	ssize_t n = hex_decode(s, len, out, size);

	ck_assert_int_ge(n, 0);
	return (size_t)n;
}

START_TEST(as_the_model_says)
{
	const char *path = getenv("AEGIS_NFA_ROWS");
	char line[8192], pattern[2048], text[2048], err[256], *a, *b;
	FILE *f = path != NULL ? fopen(path, "re") : NULL;
	size_t at, n, m, asked = 0;
	struct nfa *p;

	if (path == NULL)
		return;
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof line, f) != NULL) {
		a = strchr(line, ' ');
		b = a == NULL ? NULL : strchr(a + 1, ' ');
		ck_assert_ptr_nonnull(b);
		n = unhex(line, (size_t)(a - line), pattern, sizeof pattern);
		m = unhex(a + 1, (size_t)(b - a - 1), text, sizeof text);
		p = nfa_compile(span_mem(pattern, n), err, sizeof err, &at);
		ck_assert_msg(p != NULL, "%.*s: %s", (int)n, pattern, err);
		ck_assert_msg(nfa_search(p, span_mem(text, m)) == (b[1] == '1'),
		    "%.*s against %.*s: not %c", (int)n, pattern, (int)m, text, b[1]);
		nfa_free(p);
		asked++;
	}
	fclose(f);
	ck_assert_uint_ge(asked, 1000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("nfa");
	TCase *t = tcase_create("nfa");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, matches, 0, sizeof rows / sizeof rows[0]);
	tcase_add_loop_test(t, refuses, 0, sizeof wrong / sizeof wrong[0]);
	tcase_add_test(t, limits);
	tcase_add_test(t, linear);
	tcase_add_test(t, as_the_model_says);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
