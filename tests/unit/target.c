/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/target, common/host and common/domain: every refusal, and what must
 * come through unchanged.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/target.h"

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Bytes of a literal that may hold NUL. */
#define BYTES(s) (s), sizeof(s) - 1

/* --- request targets -------------------------------------------------- */

static const struct {
	const char *in, *service, *upstream;
} good[] = {
    {"/slack", "slack", "/"},
    {"/slack/", "slack", "/"},
    {"/slack?", "slack", "/?"},
    {"/slack?a=b", "slack", "/?a=b"},
    {"/slack/?a=b", "slack", "/?a=b"},
    {"/slack/api/chat.postMessage", "slack", "/api/chat.postMessage"},
    {"/slack/api/", "slack", "/api/"},
    {"/slack//api///x//", "slack", "//api///x//"},
    {"/slack/a%20b/%C3%A9/%7e?q=%2F%2e%2e/&r=../..", "slack",
	"/a%20b/%C3%A9/%7e?q=%2F%2e%2e/&r=../.."},
    {"/s/a?b?c", "s", "/a?b?c"},
    {"/A-z_09/x", "A-z_09", "/x"},
    {"/_aegis/health", "_aegis", "/health"},
    {"/s/...", "s", "/..."},
    {"/s/.git/..x/x../.x./x.y", "s", "/.git/..x/x../.x./x.y"},
    {"/s/a;v=1/b;..", "s", "/a;v=1/b;.."},
    {"/s/100%25/x", "s", "/100%25/x"},
    {"/s/100%25off", "s", "/100%25off"},
    {"/s/a:b@c,d=e+f$g!h'(i)*~", "s", "/a:b@c,d=e+f$g!h'(i)*~"},
    {"/s/%f0%9f%98%80/%e2%82%ac", "s", "/%f0%9f%98%80/%e2%82%ac"},
    {"/s/x?%00", "s", "/x?%00"}, /* a query is not decoded by anybody here */
    {"/s/x?a[]=1", "s", "/x?a[]=1"},
    {"/" A63 "a/x", A63 "a", "/x"},
};

START_TEST(test_good)
{
	char out[512], *exact;
	struct target t;
	size_t len = strlen(good[_i].in);
	ssize_t n;

	exact = malloc(len);
	ck_assert_ptr_nonnull(exact);
	memcpy(exact, good[_i].in, len);
	ck_assert_int_eq(target_parse(exact, len, &t), 0);
	ck_assert(span_eq(t.service, good[_i].service));
	n = target_upstream(&t, out, sizeof(out));
	ck_assert_int_gt(n, 0);
	ck_assert(span_eq((struct span){out, (size_t)n}, good[_i].upstream));
	ck_assert_int_eq(target_upstream(&t, out, (size_t)n), n);
	ck_assert_int_eq(target_upstream(&t, out, (size_t)n - 1), -1);
	ck_assert_int_eq(target_upstream(&t, out, 0), -1);
	free(exact);
}
END_TEST

static const struct {
	const char *in;
	size_t len;
	int err;
} bad[] = {
    {BYTES(""), TARGET_ERR_FORM},
    {BYTES("*"), TARGET_ERR_FORM},
    {BYTES("slack/x"), TARGET_ERR_FORM},
    {BYTES("http://a/x"), TARGET_ERR_FORM},
    {BYTES("?x"), TARGET_ERR_FORM},
    {BYTES("/s/a b"), TARGET_ERR_FORM},
    {BYTES("/s/a\tb"), TARGET_ERR_FORM},
    {BYTES("/s/a\r\nb"), TARGET_ERR_FORM},
    {BYTES("/s/a\x7f"), TARGET_ERR_FORM},
    {BYTES("/s/\xc3\xa9"), TARGET_ERR_FORM},
    {BYTES("/s/a#b"), TARGET_ERR_FORM},
    {BYTES("/s/<"), TARGET_ERR_FORM},
    {BYTES("/s/|"), TARGET_ERR_FORM},
    {BYTES("/s/x?a b"), TARGET_ERR_FORM},
    {BYTES("/s/x?a#b"), TARGET_ERR_FORM},
    {BYTES("/s/x?a\\b"), TARGET_ERR_FORM},

    {BYTES("/."), TARGET_ERR_TRAVERSAL},
    {BYTES("/.."), TARGET_ERR_TRAVERSAL},
    {BYTES("/../x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/."), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/./x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/.."), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/../x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/a/../../x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s//..//x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/..?x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/%2e"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/%2E%2e/x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/.%2e/x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/%2e./x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/%2e%2e/x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/..;/x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/..;x"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/.;x=.;y/z"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/%2e%2e;x/z"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/..%3bx/z"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/..%3fx/z"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/..%23x/z"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/..%20/z"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/%20../z"), TARGET_ERR_TRAVERSAL},
    {BYTES("/s/..%20;x/z"), TARGET_ERR_TRAVERSAL},

    {BYTES("/s/%00"), TARGET_ERR_NUL},
    {BYTES("/s/a%00b"), TARGET_ERR_NUL},
    {BYTES("/%00/x"), TARGET_ERR_NUL},
    {BYTES("/s/..%00/x"), TARGET_ERR_NUL},
    {BYTES("/s/a\0b"), TARGET_ERR_NUL},
    {BYTES("/s/x?a\0b"), TARGET_ERR_NUL},

    {BYTES("/s/..%2fadmin"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%2e%2e%2Fadmin"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/a%2fb"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s%2fa"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/a%5cb"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/a%5Cb"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/a\\b"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/..\\admin"), TARGET_ERR_AMBIGUOUS},
    {BYTES("\\s"), TARGET_ERR_FORM},
    {BYTES("/\\evil"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%252e%252e/x"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/..%252fx"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/a%255cb"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/a%2500"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%25252e"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%25%32%65"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%252%65"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%25%2532e"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/a%2520b"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/a%0d%0ab"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/..%09/x"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/a%1f"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/a%7f"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%c2%85"), TARGET_ERR_AMBIGUOUS},         /* U+0085, a control */
    {BYTES("/s/%c0%ae%c0%ae/x"), TARGET_ERR_AMBIGUOUS}, /* overlong dots */
    {BYTES("/s/%c0%af"), TARGET_ERR_AMBIGUOUS},         /* overlong slash */
    {BYTES("/s/%e0%80%af"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%f0%80%80%af"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%ed%a0%80"), TARGET_ERR_AMBIGUOUS}, /* surrogate */
    {BYTES("/s/%e9"), TARGET_ERR_AMBIGUOUS},       /* Latin-1 */
    {BYTES("/s/%c3/%a9"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%c3A9"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%80"), TARGET_ERR_AMBIGUOUS},
    {BYTES("/s/%c3%"), TARGET_ERR_AMBIGUOUS},

    {BYTES("/s/%"), TARGET_ERR_ESCAPE},
    {BYTES("/s/%2"), TARGET_ERR_ESCAPE},
    {BYTES("/s/%2/x"), TARGET_ERR_ESCAPE},
    {BYTES("/s/%zz"), TARGET_ERR_ESCAPE},
    {BYTES("/s/%%32%65"), TARGET_ERR_ESCAPE},
    {BYTES("/s/%u002e"), TARGET_ERR_ESCAPE},
    {BYTES("/s/%25%zz"), TARGET_ERR_ESCAPE},
    {BYTES("/s/%-1"), TARGET_ERR_ESCAPE},
    {BYTES("/s/%2?e"), TARGET_ERR_ESCAPE},
    {BYTES("/s/x?a=100%"), TARGET_ERR_ESCAPE},
    {BYTES("/s/x?a=%g0"), TARGET_ERR_ESCAPE},

    {BYTES("/"), TARGET_ERR_NO_SERVICE},
    {BYTES("/?x"), TARGET_ERR_NO_SERVICE},
    {BYTES("//"), TARGET_ERR_NO_SERVICE},
    {BYTES("//evil.example/x"), TARGET_ERR_NO_SERVICE},
    {BYTES("/a.b/x"), TARGET_ERR_SERVICE},
    {BYTES("/a%62/x"), TARGET_ERR_SERVICE},
    {BYTES("/a;b/x"), TARGET_ERR_SERVICE},
    {BYTES("/a:b"), TARGET_ERR_SERVICE},
    {BYTES("/" A63 "ab/x"), TARGET_ERR_SERVICE},
};

START_TEST(test_bad)
{
	char *exact = malloc(bad[_i].len + 1);
	struct target t;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, bad[_i].in, bad[_i].len);
	ck_assert_msg(target_parse(exact, bad[_i].len, &t) == bad[_i].err,
	    "%s: %d, not %d", bad[_i].in, target_parse(exact, bad[_i].len, &t),
	    bad[_i].err);
	ck_assert_str_ne(target_strerror(bad[_i].err), target_strerror(0));
	free(exact);
}
END_TEST

START_TEST(test_upstream_without_service)
{
	struct target t;

	ck_assert_int_eq(target_parse_upstream(BYTES("/a.b/c?d"), &t), 0);
	ck_assert(span_eq(t.path, "/a.b/c"));
	ck_assert(t.has_query && span_eq(t.query, "d"));
	ck_assert_uint_eq(t.service.len, 0);
	ck_assert_int_eq(target_parse_upstream(BYTES("/"), &t), 0);
	ck_assert(!t.has_query);
	ck_assert_int_eq(
	    target_parse_upstream(BYTES("/a/../b"), &t), TARGET_ERR_TRAVERSAL);
	ck_assert_int_eq(target_parse_upstream(BYTES("a"), &t), TARGET_ERR_FORM);
}
END_TEST

START_TEST(test_decode)
{
	const struct span path = {BYTES("/a%20b/%C3%a9%25/~")};
	char out[32];
	ssize_t n = target_path_decode(path, out, sizeof(out));

	ck_assert_int_eq(n, 10);
	ck_assert_mem_eq(out, "/a b/\xc3\xa9%/~", 10);
	ck_assert_int_eq(target_path_decode(path, out, 10), 10);
	ck_assert_int_eq(target_path_decode(path, out, 9), -1);
	ck_assert_int_eq(
	    target_path_decode((struct span){BYTES("/%2")}, out, sizeof(out)), -1);
	ck_assert_int_eq(target_path_decode((struct span){"", 0}, out, 0), 0);
}
END_TEST

/* --- hosts ------------------------------------------------------------ */

static const struct {
	const char *in;
	int kind;
	const char *out;
	uint16_t port;
} hosts[] = {
    {"api.slack.com", HOST_NAME, "api.slack.com", 0},
    {"API.Slack.COM:8443", HOST_NAME, "api.slack.com", 8443},
    {"api.slack.com.", HOST_NAME, "api.slack.com", 0},
    {"api.slack.com.:443", HOST_NAME, "api.slack.com", 443},
    {"localhost", HOST_NAME, "localhost", 0},
    {"_dmarc.x--y.xn--bcher-kva.example", HOST_NAME, "_dmarc.x--y.xn--bcher-kva.example",
	0},
    {"1password.com", HOST_NAME, "1password.com", 0},
    {"1.2.3.4.example", HOST_NAME, "1.2.3.4.example", 0},
    {"0x7f.example", HOST_NAME, "0x7f.example", 0},
    {A63 ".example", HOST_NAME, A63 ".example", 0},
    {A63 "." A63 "." A63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	HOST_NAME,
	A63 "." A63 "." A63
	    ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	0},
    {"127.0.0.1", HOST_IPV4, "127.0.0.1", 0},
    {"255.255.255.255:1", HOST_IPV4, "255.255.255.255", 1},
    {"[::1]", HOST_IPV6, "[::1]", 0},
    {"[2001:DB8:0:0:0::1]:65535", HOST_IPV6, "[2001:db8::1]", 65535},
    {"[::FFFF:127.0.0.1]", HOST_IPV6, "[::ffff:127.0.0.1]", 0},
    {"[0000:0000:0000:0000:0000:ffff:255.255.255.255]", HOST_IPV6,
	"[::ffff:255.255.255.255]", 0},

    {"", HOST_ERR_SYNTAX, NULL, 0},
    {".", HOST_ERR_SYNTAX, NULL, 0},
    {"..", HOST_ERR_SYNTAX, NULL, 0},
    {"a..b", HOST_ERR_SYNTAX, NULL, 0},
    {"a.b..", HOST_ERR_SYNTAX, NULL, 0},
    {".a.b", HOST_ERR_SYNTAX, NULL, 0},
    {"-a.b", HOST_ERR_SYNTAX, NULL, 0},
    {"a-.b", HOST_ERR_SYNTAX, NULL, 0},
    {"a.b-", HOST_ERR_SYNTAX, NULL, 0},
    {"-", HOST_ERR_SYNTAX, NULL, 0},
    {A63 "a.example", HOST_ERR_SYNTAX, NULL, 0},
    {A63 "." A63 "." A63
	 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	HOST_ERR_SYNTAX, NULL, 0},
    {A63 "." A63 "." A63 "." A63 "." A63, HOST_ERR_SYNTAX, NULL, 0},
    {"user@a.example", HOST_ERR_SYNTAX, NULL, 0},
    {"a.example@evil.example", HOST_ERR_SYNTAX, NULL, 0},
    {"localhost:443@x", HOST_ERR_PORT, NULL, 0},
    {"a b.example", HOST_ERR_SYNTAX, NULL, 0},
    {" a.example", HOST_ERR_SYNTAX, NULL, 0},
    {"a.example ", HOST_ERR_SYNTAX, NULL, 0},
    {"a.example/x", HOST_ERR_SYNTAX, NULL, 0},
    {"a.example?x", HOST_ERR_SYNTAX, NULL, 0},
    {"a.example#x", HOST_ERR_SYNTAX, NULL, 0},
    {"a\\b.example", HOST_ERR_SYNTAX, NULL, 0},
    {"a%2eexample", HOST_ERR_SYNTAX, NULL, 0},
    {"caf\xc3\xa9.example", HOST_ERR_SYNTAX, NULL, 0},
    {"a\xe3\x80\x82"
     "example",
	HOST_ERR_SYNTAX, NULL, 0}, /* ideographic full stop */
    {"a.example, b.example", HOST_ERR_SYNTAX, NULL, 0},
    {"*.example", HOST_ERR_SYNTAX, NULL, 0},
    {"https://a.example", HOST_ERR_PORT, NULL, 0},

    {"0x7f.1", HOST_ERR_NUMBER, NULL, 0},
    {"0x7f000001", HOST_ERR_NUMBER, NULL, 0},
    {"0X7F000001", HOST_ERR_NUMBER, NULL, 0},
    {"127.0.0.0x1", HOST_ERR_NUMBER, NULL, 0},
    {"a.0x", HOST_ERR_NUMBER, NULL, 0},
    {"017.0.0.1", HOST_ERR_NUMBER, NULL, 0},
    {"127.0.0.01", HOST_ERR_NUMBER, NULL, 0},
    {"2130706433", HOST_ERR_NUMBER, NULL, 0},
    {"127.1", HOST_ERR_NUMBER, NULL, 0},
    {"127.0.1", HOST_ERR_NUMBER, NULL, 0},
    {"127.0.0.1.", HOST_ERR_NUMBER, NULL, 0},
    {"127.0.0.256", HOST_ERR_NUMBER, NULL, 0},
    {"1.2.3.4.5", HOST_ERR_NUMBER, NULL, 0},
    {"a.example.1", HOST_ERR_NUMBER, NULL, 0},
    {"0", HOST_ERR_NUMBER, NULL, 0},
    {"2130706433:443", HOST_ERR_NUMBER, NULL, 0},

    {"[::1", HOST_ERR_SYNTAX, NULL, 0},
    {"[]", HOST_ERR_SYNTAX, NULL, 0},
    {"[::1]x", HOST_ERR_SYNTAX, NULL, 0},
    {"[::1].", HOST_ERR_SYNTAX, NULL, 0},
    {"[::g]", HOST_ERR_SYNTAX, NULL, 0},
    {"[fe80::1%eth0]", HOST_ERR_SYNTAX, NULL, 0},
    {"[fe80::1%25eth0]", HOST_ERR_SYNTAX, NULL, 0},
    {"[127.0.0.1]", HOST_ERR_SYNTAX, NULL, 0},
    {"[0000:0000:0000:0000:0000:ffff:0255.255.255.255]", HOST_ERR_SYNTAX, NULL, 0},
    {"[v1.x]", HOST_ERR_SYNTAX, NULL, 0},
    {"]", HOST_ERR_SYNTAX, NULL, 0},
    {"::1", HOST_ERR_SYNTAX, NULL, 0},
    {"fe80::1", HOST_ERR_PORT, NULL, 0},

    {"a.example:", HOST_ERR_PORT, NULL, 0},
    {"a.example:0", HOST_ERR_PORT, NULL, 0},
    {"a.example:080", HOST_ERR_PORT, NULL, 0},
    {"a.example:65536", HOST_ERR_PORT, NULL, 0},
    {"a.example:100000", HOST_ERR_PORT, NULL, 0},
    {"a.example:+1", HOST_ERR_PORT, NULL, 0},
    {"a.example:1 ", HOST_ERR_PORT, NULL, 0},
    {"a.example:443:443", HOST_ERR_PORT, NULL, 0},
    {"[::1]:", HOST_ERR_PORT, NULL, 0},
    {":443", HOST_ERR_SYNTAX, NULL, 0},
};

START_TEST(test_host)
{
	size_t len = strlen(hosts[_i].in);
	char out[HOST_MAX], *exact = malloc(len + 1);
	uint16_t port = 7;
	int kind;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, hosts[_i].in, len);
	kind = host_normalise(exact, len, out, &port);
	free(exact);
	ck_assert_msg(
	    kind == hosts[_i].kind, "%s: %d, not %d", hosts[_i].in, kind, hosts[_i].kind);
	if (kind < 0) {
		ck_assert_str_ne(host_strerror(kind), host_strerror(0));
		return;
	}
	ck_assert_str_eq(out, hosts[_i].out);
	ck_assert_uint_eq(port, hosts[_i].port);
	ck_assert_int_eq(
	    host_normalise(hosts[_i].out, strlen(hosts[_i].out), out, &port), kind);
	ck_assert_str_eq(out, hosts[_i].out);
}
END_TEST

START_TEST(test_host_nul)
{
	char out[HOST_MAX];
	uint16_t port;

	ck_assert_int_eq(
	    host_normalise(BYTES("a.example\0.evil"), out, &port), HOST_ERR_SYNTAX);
	ck_assert_int_eq(host_normalise(BYTES("[::1\0]"), out, &port), HOST_ERR_SYNTAX);
	ck_assert_int_eq(
	    host_normalise(BYTES("a.example:44\0"), out, &port), HOST_ERR_PORT);
}
END_TEST

/* --- patterns --------------------------------------------------------- */

static const struct {
	const char *pattern, *host;
	uint16_t port;
	bool match;
} matches[] = {
    {"api.slack.com", "api.slack.com", 0, true},
    {"api.slack.com", "api.slack.com", 443, true},
    {"API.Slack.com.", "api.slack.com", 0, true},
    {"api.slack.com", "API.SLACK.COM", 0, true},
    {"api.slack.com", "api.slack.com", 8443, false},
    {"api.slack.com", "xapi.slack.com", 0, false},
    {"api.slack.com", "api.slack.com.evil.example", 0, false},
    {"api.slack.com", "slack.com", 0, false},
    {"api.slack.com:8443", "api.slack.com", 8443, true},
    {"api.slack.com:8443", "api.slack.com", 443, false},
    {"api.slack.com:8443", "api.slack.com", 0, false},
    {"api.slack.com:443", "api.slack.com", 0, true},
    {"*.slack.com", "api.slack.com", 0, true},
    {"*.slack.com", "a.b.c.slack.com", 0, true},
    {"*.Slack.com", "api.slack.COM", 0, true},
    {"*.slack.com", "slack.com", 0, false},
    {"*.slack.com", "evilslack.com", 0, false},
    {"*.slack.com", ".slack.com", 0, false},
    {"*.slack.com", "api.slack.com.evil.example", 0, false},
    {"*.slack.com:8443", "api.slack.com", 8443, true},
    {"*.slack.com:8443", "api.slack.com", 0, false},
    {"*.slack.com", "api.slack.com", 8443, false},
    {"*", "a.example", 0, false},
    {"*.", "a.example", 0, false},
    {"", "a.example", 0, false},
    {"a.*.example", "a.b.example", 0, false},
    {"*a.example", "ba.example", 0, false},
    {"**.example", "a.example", 0, false},
    {"*.*.example", "a.b.example", 0, false},
    {"*.0.0.1", "127.0.0.1", 0, false},
    {"*.1", "127.0.0.1", 0, false},
    {"127.0.0.1", "127.0.0.1", 0, true},
    {"127.0.0.1:8080", "127.0.0.1", 8080, true},
    {"127.0.0.1", "2130706433", 0, false},
    {"[::1]:8080", "[::1]", 8080, true},
    {"[0:0::1]", "[::1]", 0, true},
    {"*.[::1]", "[::1]", 0, false},
    {"localhost:8080", "localhost", 8080, true},
    {"api.slack.com", "api.slack.com:443", 0, false},
    {"api.slack.com", "user@api.slack.com", 0, false},
    {"api.slack.com", "", 0, false},
};

START_TEST(test_match)
{
	ck_assert_msg(domain_match(matches[_i].pattern, matches[_i].host,
			  matches[_i].port) == matches[_i].match,
	    "%s for %s:%d", matches[_i].pattern, matches[_i].host, matches[_i].port);
}
END_TEST

static const struct {
	const char *pattern;
	int result;
} patterns[] = {
    {"api.slack.com", 0},
    {"api.slack.com:8443", 0},
    {"*.slack.com", 0},
    {"*.slack.com:8443", 0},
    {"*.api.co.uk", 0},
    {"github.io", 0},
    {"*.someone.github.io", 0},
    {"127.0.0.1", 0},
    {"127.0.0.1:8080", 0},
    {"[::1]:8080", 0},
    {"localhost", 0},
    {"LOCALHOST:8080", 0},
    {"*", HOST_ERR_WIDE},
    {"*:443", HOST_ERR_WIDE},
    {"*.com", HOST_ERR_WIDE},
    {"*.com:443", HOST_ERR_WIDE},
    {"*.localhost", HOST_ERR_WIDE},
    {"*.co.uk", HOST_ERR_WIDE},
    {"*.CO.UK.", HOST_ERR_WIDE},
    {"*.com.au", HOST_ERR_WIDE},
    {"*.co.jp", HOST_ERR_WIDE},
    {"*.github.io", HOST_ERR_WIDE},
    {"*.amazonaws.com", HOST_ERR_WIDE},
    {"intranet", HOST_ERR_BARE},
    {"com", HOST_ERR_BARE},
    {"", HOST_ERR_SYNTAX},
    {"*.", HOST_ERR_SYNTAX},
    {"*.*.com", HOST_ERR_SYNTAX},
    {"*.127.0.0.1", HOST_ERR_SYNTAX},
    {"*.0.0.1", HOST_ERR_NUMBER},
    {"*.[::1]", HOST_ERR_SYNTAX},
    {"*slack.com", HOST_ERR_SYNTAX},
    {"api.*.com", HOST_ERR_SYNTAX},
    {"b\xc3\xbc"
     "cher.example",
	HOST_ERR_SYNTAX},
    {"https://api.slack.com", HOST_ERR_PORT},
    {"api.slack.com/x", HOST_ERR_SYNTAX},
    {"api.slack.com:0", HOST_ERR_PORT},
    {"api.slack.com:*", HOST_ERR_PORT},
    {"0x7f.1", HOST_ERR_NUMBER},
    {"2130706433", HOST_ERR_NUMBER},
};

START_TEST(test_pattern)
{
	ck_assert_msg(domain_pattern_check(patterns[_i].pattern) == patterns[_i].result,
	    "%s: %d", patterns[_i].pattern, domain_pattern_check(patterns[_i].pattern));
	if (patterns[_i].result < 0)
		ck_assert_str_ne(host_strerror(patterns[_i].result), host_strerror(0));
}
END_TEST

#define LEN(rows) ((int)(sizeof(rows) / sizeof((rows)[0])))

int
main(void)
{
	Suite *suite = suite_create("target");
	TCase *tc = tcase_create("target");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, test_good, 0, LEN(good));
	tcase_add_loop_test(tc, test_bad, 0, LEN(bad));
	tcase_add_test(tc, test_upstream_without_service);
	tcase_add_test(tc, test_decode);
	tcase_add_loop_test(tc, test_host, 0, LEN(hosts));
	tcase_add_test(tc, test_host_nul);
	tcase_add_loop_test(tc, test_match, 0, LEN(matches));
	tcase_add_loop_test(tc, test_pattern, 0, LEN(patterns));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
