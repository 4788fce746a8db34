/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and header fields of MCP clients: what is read, and what is refused how. */
#include "keymasterd/judge/mcp_read.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct json_doc doc;
static struct mcp_msg m;
static const char *why;

static int
read_text(const char *text)
{
	why = NULL;
	return mcp_read(&doc, text, strlen(text), &m, &why);
}

START_TEST(kinds)
{
	ck_assert_int_eq(
	    read_text("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\","
		      "\"params\":{\"name\":\"x\",\"_meta\":{\"progressToken\":1}}}"),
	    0);
	ck_assert_int_eq(m.kind, MCP_REQUEST);
	ck_assert(span_eq(m.id, "7"));
	ck_assert_str_eq(m.method, "tools/call");
	ck_assert_uint_eq(json_type(&doc, m.params), JT_OBJECT);
	ck_assert_uint_eq(json_type(&doc, m.meta), JT_OBJECT);
	ck_assert_int_eq(read_text("{\"jsonrpc\":\"2.0\",\"method\":\"n\"}"), 0);
	ck_assert_int_eq(m.kind, MCP_NOTIFICATION);
	ck_assert_uint_eq(m.id.len, 0);
	ck_assert_uint_eq(m.params, JSON_NONE);
	ck_assert_int_eq(
	    read_text("{\"result\":{},\"id\":\"a\",\"jsonrpc\":\"2.0\"}"), 0);
	ck_assert_int_eq(m.kind, MCP_RESPONSE);
	ck_assert(span_eq(m.id, "\"a\""));
	ck_assert_int_eq(
	    read_text("{\"error\":{\"code\":1},\"id\":-5,\"jsonrpc\":\"2.0\"}"), 0);
	ck_assert_int_eq(m.kind, MCP_RESPONSE);
}
END_TEST

START_TEST(refusals)
{
	static const struct {
		const char *text;
		int error;
		const char *id; /* as far as it is known */
	} cases[] = {
	    {"", RPC_PARSE, ""},
	    {"{", RPC_PARSE, ""},
	    {"{\"id\":1,\"id\":1}", RPC_PARSE, ""},
	    {"\"x\"", RPC_INVALID, ""},
	    {"[]", RPC_INVALID, ""},
	    {"{\"id\":1}", RPC_INVALID, "1"},
	    {"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"a\"}", RPC_INVALID, "1"},
	    {"{\"jsonrpc\":\"2.0\",\"id\":1}", RPC_INVALID, "1"},
	    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"error\":1}", RPC_INVALID, "1"},
	    {"{\"jsonrpc\":\"2.0\",\"result\":1}", RPC_INVALID, ""},
	    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"error\":1}", RPC_INVALID,
		"1"},
	    {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"a\"}", RPC_INVALID, ""},
	    {"{\"jsonrpc\":\"2.0\",\"id\":1.0,\"method\":\"a\"}", RPC_INVALID, ""},
	    {"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"a\"}", RPC_INVALID, ""},
	    {"{\"jsonrpc\":\"2.0\",\"id\":99999999999999999999,\"method\":\"a\"}",
		RPC_INVALID, ""},
	    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}", RPC_INVALID, "1"},
	    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":1}", RPC_INVALID, "1"},
	    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":[]}", RPC_INVALID,
		"1"},
	    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"_meta\":1}}",
		RPC_INVALID, "1"},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_msg(
		    read_text(cases[i].text) == cases[i].error, "%s", cases[i].text);
		ck_assert_msg(span_eq(m.id, cases[i].id), "%s", cases[i].text);
		ck_assert_ptr_nonnull(why);
	}
}
END_TEST

START_TEST(lengths)
{
	char text[1024];
	size_t n;

	for (n = 240; n < 256; n++) {
		memset(text, 'x', sizeof(text));
		memcpy(text, "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":\"", 36);
		memcpy(text + 36 + n, "\"}", 3);
		ck_assert_int_eq(read_text(text), n + 2 <= MCP_ID_MAX ? 0 : RPC_INVALID);
	}
	for (n = 120; n < 136; n++) {
		memset(text, 'x', sizeof(text));
		memcpy(text, "{\"jsonrpc\":\"2.0\",\"method\":\"", 27);
		memcpy(text + 27 + n, "\"}", 3);
		ck_assert_int_eq(read_text(text), n <= MCP_METHOD_MAX ? 0 : RPC_INVALID);
	}
}
END_TEST

START_TEST(accept_field)
{
	static const struct {
		const char *accept;
		bool json, events;
	} cases[] = {
	    {"", false, false},
	    {"application/json", true, false},
	    {"text/event-stream", false, true},
	    {"application/json, text/event-stream", true, true},
	    {"Text/Event-Stream,APPLICATION/JSON", true, true},
	    {"*/*", true, true},
	    {"application/*", true, false},
	    {"text/*;q=0.5 , application/json;q=1", true, true},
	    {"*/*;q=0", false, false},
	    {"application/json;q=0.0, */*;q=0.1", true, true},
	    {"application/jsonx", false, false},
	    {"application/", false, false},
	    {"text/event-stream; q=0, application/json ; charset=utf-8", true, false},
	    {",,;,", false, false},
	    {"application/json text/event-stream", false, false},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span s = span_str(cases[i].accept);

		ck_assert_msg(mcp_accepts(s, "application/json") == cases[i].json, "%s",
		    cases[i].accept);
		ck_assert_msg(mcp_accepts(s, "text/event-stream") == cases[i].events,
		    "%s", cases[i].accept);
	}
	ck_assert(mcp_is_json(span_str("application/json")));
	ck_assert(mcp_is_json(span_str("Application/JSON ; charset=utf-8")));
	ck_assert(!mcp_is_json(span_str("")));
	ck_assert(!mcp_is_json(span_str("application/jsonp")));
	ck_assert(!mcp_is_json(span_str("text/plain; application/json")));
}
END_TEST

START_TEST(hosts_and_origins)
{
	static const struct {
		const char *host;
		bool good;
	} hosts[] = {{"localhost", true}, {"LOCALHOST:3100", true}, {"127.0.0.1:1", true},
	    {"192.0.2.7", true}, {"[2001:db8::1]:3100", true}, {"gate.internal", true},
	    {"Gate.Internal:80", true}, {"evil.example", false},
	    {"localhost.evil.example", false}, {"internal", false}, {"", false},
	    {"127.1", false}, {"0x7f.0.0.1", false}, {"a@localhost", false},
	    {"gate.internal other", false}, {"localhost:0", false}};
	static const struct {
		const char *origin;
		bool good;
	} origins[] = {{"", true}, {"http://localhost", true},
	    {"http://localhost:5173", true}, {"https://gate.internal", true},
	    {"http://127.0.0.1:3100", true}, {"http://127.9.9.9", true},
	    {"http://127.evil.example", false}, {"http://[::1]", true}, {"null", false},
	    {"http://evil.example", false}, {"http://192.0.2.7", false},
	    {"http://localhost.evil.example", false}, {"http://localhost/x", false},
	    {"file://localhost", false}, {"http://", false},
	    {"http://a@localhost", false}, {"localhost", false},
	    {"http://evil.example#localhost", false}};
	struct span names = span_str("other.example gate.internal");
	size_t i;

	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		ck_assert_msg(
		    mcp_host_ok(span_str(hosts[i].host), names) == hosts[i].good, "%s",
		    hosts[i].host);
	for (i = 0; i < sizeof(origins) / sizeof(origins[0]); i++)
		ck_assert_msg(
		    mcp_origin_ok(span_str(origins[i].origin), names) == origins[i].good,
		    "%s", origins[i].origin);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mcp_read");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	json_init(&doc);
	tcase_add_test(t, kinds);
	tcase_add_test(t, refusals);
	tcase_add_test(t, lengths);
	tcase_add_test(t, accept_field);
	tcase_add_test(t, hosts_and_origins);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	json_free(&doc);
	return failed == 0 ? 0 : 1;
}
