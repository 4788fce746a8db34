/* SPDX-License-Identifier: Apache-2.0 */
/* Which fields cross the gate, in both directions. */
#include "gated/headers.c"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* The fields of a request after the filter, as a string. */
static bool handshake; /* what forward() noticed */

static const char *
forward(const char *fields)
{
	static char text[4096];
	char buf[4096];
	struct http1_parser p;
	struct http1_head h;
	struct buf out;
	int n =
	    snprintf(buf, sizeof(buf), "GET / HTTP/1.1\r\nHost: gate\r\n%s\r\n", fields);

	http1_parser_init(&p, HTTP1_REQUEST, NULL);
	ck_assert_int_gt(http1_head_parse(&p, buf, (size_t)n, &h), 0);
	buf_init(&out);
	ck_assert_int_eq(headers_forward(&h, &out, &handshake), 0);
	(void)snprintf(text, sizeof(text), "%.*s", (int)out.len, (char *)out.p);
	buf_free(&out);
	return text;
}

START_TEST(kept_back_from_upstreams)
{
	static const char *const lines[] = {
	    "Authorization: Bearer x\r\n",
	    "authorization: x\r\n",
	    "X-API-Key: x\r\n",
	    "Proxy-Authorization: x\r\n",
	    "Proxy-Connection: keep-alive\r\n",
	    "X-Target-Host: a\r\n",
	    "X-Aegis-Agent: a\r\n",
	    "x-aegis-anything: a\r\n",
	    "X-AEGIS-Request-Id: a\r\n",
	    "Connection: close\r\n",
	    "Keep-Alive: timeout=5\r\n",
	    "TE: trailers\r\n",
	    "Trailer: a\r\n",
	    "Transfer-Encoding: chunked\r\n",
	    "Upgrade: websocket\r\n",
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
	    "sec-websocket-version: 13\r\n",
	    "Sec-WebSocket-Extensions: permessage-deflate\r\n",
	    "Sec-WebSocket-Accept: x\r\n",
	    "HTTP2-Settings: a\r\n",
	    "Content-Length: 5\r\n",
	    "Expect: 100-continue\r\n",
	    "Forwarded: for=1.2.3.4\r\n",
	    "X-Forwarded-For: 1.2.3.4\r\n",
	    "x-forwarded-host: a\r\n",
	    "X-Real-IP: 1.2.3.4\r\n",
	    "Via: 1.1 a\r\n",
	};

	ck_assert_str_eq(forward(lines[_i]), "");
}
END_TEST

/* Whatever hints at a WebSocket is looked at more closely; nothing else is. */
START_TEST(handshakes_are_noticed)
{
	static const char *const hints[] = {"Upgrade: h2c\r\n", "upgrade: WebSocket\r\n",
	    "SEC-WEBSOCKET-KEY: x\r\n", "Sec-WebSocket-Version: 13\r\n",
	    "A: b\r\nSec-WebSocket-Extensions: x\r\nC: d\r\n"};

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		(void)forward(hints[i]);
		ck_assert(handshake);
	}
	(void)forward("Connection: upgrade\r\nSec-WebSocket-Protocol: x\r\nVia: x\r\n");
	ck_assert(!handshake);
}
END_TEST

START_TEST(named_by_connection)
{
	ck_assert_str_eq(
	    forward("Connection: X-Secret, close\r\nX-Secret: 1\r\nX-Other: 2\r\n"),
	    "X-Other: 2\r\n");
	ck_assert_str_eq(
	    forward("X-Secret: 1\r\nConnection: keep-alive\r\nConnection: x-secret\r\n"),
	    "");
	ck_assert_str_eq(forward("Connection: keep-alive\r\nA: b\r\n"), "A: b\r\n");
}
END_TEST

START_TEST(forwarded_as_sent)
{
	ck_assert_str_eq(forward("Cookie: a=b\r\nX-Api-Keys: 1\r\nAuthorizations: 2\r\n"
				 "X-Aegi: 3\r\nHosts: 4\r\nACCEPT:*/*\r\nX-Empty:\r\n"),
	    "Cookie: a=b\r\nX-Api-Keys: 1\r\nAuthorizations: 2\r\n"
	    "X-Aegi: 3\r\nHosts: 4\r\nACCEPT: */*\r\nX-Empty: \r\n");
	ck_assert_str_eq(forward("A: 1\r\nA: 2\r\n"), "A: 1\r\nA: 2\r\n");
	ck_assert_str_eq(forward("X-Obs: \xe9\r\n"), "X-Obs: \xe9\r\n");
}
END_TEST

/* A worker's lines after the filter, or NULL when they are refused. */
static const char *
answer(const char *lines, struct headers_seen *seen)
{
	static char text[4096];
	struct buf out;
	int r;

	buf_init(&out);
	r = headers_answer(span_str(lines), &out, seen);
	(void)snprintf(text, sizeof(text), "%.*s", (int)out.len, (char *)out.p);
	buf_free(&out);
	return r == 0 ? text : NULL;
}

START_TEST(answers_keep_their_fields)
{
	struct headers_seen seen;

	ck_assert_str_eq(answer("", &seen), "");
	ck_assert_str_eq(answer("Content-Type: a/b\r\nETag:\"x\"\r\n", &seen),
	    "Content-Type: a/b\r\nETag: \"x\"\r\n");
	ck_assert(!seen.date && !seen.has_length);
	ck_assert_str_eq(
	    answer("DATE: now\r\ncontent-length: 77\r\n", &seen), "DATE: now\r\n");
	ck_assert(seen.date && seen.has_length);
	ck_assert_uint_eq(seen.length, 77);
	ck_assert_str_eq(answer("Content-Length: 7x\r\n", &seen), "");
	ck_assert(!seen.has_length);
	ck_assert_str_eq(answer("Content-Length: 12345678901234567890\r\n", &seen), "");
	ck_assert(!seen.has_length);
}
END_TEST

START_TEST(framing_is_the_gates)
{
	struct headers_seen seen;

	ck_assert_str_eq(answer("Transfer-Encoding: chunked\r\nConnection: "
				"keep-alive\r\nKeep-Alive: 5\r\n"
				"Upgrade: h2c\r\nTrailer: x\r\nSet-Cookie: "
				"a=b\r\nX-Aegis-Request-Id: 1\r\n"
				"X: y\r\n",
			     &seen),
	    "X: y\r\n");
}
END_TEST

START_TEST(no_second_answer)
{
	static const char *const bad[] = {
	    "\r\n",
	    "A: b\r\n\r\nHTTP/1.1 200 OK\r\n",
	    "A: b",
	    "A: b\r",
	    "A: b\n",
	    "A: b\nC: d\r\n",
	    "A: b\rC: d\r\n",
	    "A b: c\r\n",
	    ": c\r\n",
	    "A\r\n",
	    " A: b\r\n",
	    "A: b\r\n c\r\n",
	    "A: \x01\r\n",
	};
	struct headers_seen seen;

	ck_assert_msg(answer(bad[_i], &seen) == NULL, "%d", _i);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("gate_headers");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, kept_back_from_upstreams, 0, 27);
	tcase_add_test(t, handshakes_are_noticed);
	tcase_add_test(t, named_by_connection);
	tcase_add_test(t, forwarded_as_sent);
	tcase_add_test(t, answers_keep_their_fields);
	tcase_add_test(t, framing_is_the_gates);
	tcase_add_loop_test(t, no_second_answer, 0, 13);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
