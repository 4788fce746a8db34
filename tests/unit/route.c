/* SPDX-License-Identifier: Apache-2.0 */
/* The gate's routes, media types and guesses at refused heads. */
#include "gated/route.c"
#include "gated/media.c"
#include "gated/http_guess.c"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct span
S(const char *s) {
	return span_str(s);
}

static const struct {
	const char *target;
	enum route_kind kind;
	bool seal;
} cases[] = {
    {"/health", ROUTE_HEALTH, false},
    {"/health?x=1", ROUTE_HEALTH, false},
    {"/_aegis/health", ROUTE_HEALTH, false},
    {"/health/", ROUTE_PROXY, false},
    {"/healthy", ROUTE_PROXY, false},
    {"/_aegis/stats", ROUTE_API, false},
    {"/_aegis/metrics?x", ROUTE_METRICS, false},
    {"/_aegis/metrics/x", ROUTE_PROXY, false},
    {"/v1/seal/invoke", ROUTE_SEAL, true},
    {"/v1/seal/invoke?a", ROUTE_SEAL, true},
    {"/v1/smcp/invoke", ROUTE_SEAL, true},
    {"/v1/invoke", ROUTE_SEAL, true},
    {"/v1/seal/invoke/x", ROUTE_API, true},
    {"/v1/seal/attest", ROUTE_API, true},
    {"/v1/seal", ROUTE_API, true},
    {"/v1/sealed", ROUTE_API, true},
    {"/v1/specs", ROUTE_API, true},
    {"/v1", ROUTE_API, true},
    {"/v1?x", ROUTE_API, true},
    {"/v1x/seal", ROUTE_PROXY, false},
    {"/V1/seal/invoke", ROUTE_PROXY, false},
    {"/v1%2fseal/invoke", ROUTE_PROXY, false},
    {"//v1/seal/invoke", ROUTE_PROXY, false},
    {"/.well-known/jwks.json", ROUTE_API, true},
    {"/mcp", ROUTE_MCP, false},
    {"/mcp/x", ROUTE_MCP, false},
    {"/mcps", ROUTE_PROXY, false},
    {"/cluster/attest", ROUTE_API, true},
    {"/", ROUTE_PROXY, false},
    {"/svc/v1/seal/invoke", ROUTE_PROXY, false},
    {"/?/v1/seal/invoke", ROUTE_PROXY, false},
    {"", ROUTE_PROXY, false},
};

START_TEST(routes_go_where_they_should)
{
	const struct route *r = route_find(S(cases[_i].target));

	ck_assert_msg(r->kind == cases[_i].kind, "%s", cases[_i].target);
	ck_assert_msg(r->seal == cases[_i].seal, "%s", cases[_i].target);
}
END_TEST

START_TEST(methods)
{
	ck_assert(route_allows(route_find(S("/health")), S("GET")));
	ck_assert(route_allows(route_find(S("/health")), S("HEAD")));
	ck_assert(!route_allows(route_find(S("/health")), S("POST")));
	ck_assert(!route_allows(route_find(S("/health")), S("get")));
	ck_assert(route_allows(route_find(S("/v1/invoke")), S("POST")));
	ck_assert(!route_allows(route_find(S("/v1/invoke")), S("GET")));
	ck_assert(!route_allows(route_find(S("/v1/invoke")), S("HEAD")));
	ck_assert(route_allows(route_find(S("/v1/seal/sessions")), S("DELETE")));
	ck_assert(route_allows(route_find(S("/svc/x")), S("PROPFIND")));
}
END_TEST

/* A head with a body and this field line. */
static bool
media(const char *line)
{
	char buf[512];
	struct http1_parser p;
	struct http1_head h;
	int n = snprintf(buf, sizeof(buf),
	    "POST /v1/invoke HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n%s\r\n", line);

	http1_parser_init(&p, HTTP1_REQUEST, NULL);
	ck_assert_int_gt(http1_head_parse(&p, buf, (size_t)n, &h), 0);
	return media_is_json(&h);
}

START_TEST(media_types)
{
	ck_assert(media("Content-Type: application/json\r\n"));
	ck_assert(media("content-type: Application/JSON\r\n"));
	ck_assert(media("Content-Type: application/json; charset=utf-8\r\n"));
	ck_assert(media("Content-Type: application/json ;charset=utf-8\r\n"));
	ck_assert(!media(""));
	ck_assert(!media("Content-Type: text/plain\r\n"));
	ck_assert(!media("Content-Type: application/jsonp\r\n"));
	ck_assert(!media("Content-Type: application/json, text/plain\r\n"));
	ck_assert(!media(
	    "Content-Type: application/json\r\nContent-Type: application/json\r\n"));
	ck_assert(!media("Content-Type: application/jso\r\n"));
	ck_assert(!media("Content-Type: \r\n"));
}
END_TEST

static void
guess(const char *s, const char *method, const char *target)
{
	struct http_guess g;

	http_guess(s, strlen(s), &g);
	ck_assert_msg(span_eq(g.method, method), "%s", s);
	ck_assert_msg(span_eq(g.target, target), "%s", s);
}

START_TEST(guesses)
{
	static char longer[3000];

	guess("GET /a HTTP/1.1\nHost: x\n", "GET", "/a");
	guess("GET /a\xff\xfe HTTP", "GET", "/a");
	guess("GET ", "GET", "");
	guess("GET", "", "");
	guess("GET  /a", "GET", "");
	guess("", "", "");
	guess("\x16\x03\x01", "", "");
	guess("METHODMETHODMETHODMETHODMETHODMET /", "", "");
	memset(longer, 'a', sizeof(longer) - 1);
	memcpy(longer, "GET /", 5);
	{
		struct http_guess g;

		http_guess(longer, strlen(longer), &g);
		ck_assert_uint_eq(g.target.len, 1024);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("route");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(
	    t, routes_go_where_they_should, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(t, methods);
	tcase_add_test(t, media_types);
	tcase_add_test(t, guesses);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
