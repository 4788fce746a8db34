/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads that go to upstreams, compared octet for octet, and parts that must not go there.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto.h"
#include "common/secret.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/inject.h"
#include "egressd/worker/target.h"

static struct credential cred;
static struct worker_target to;
static char got[70000];

static void
setup(void)
{
	memset(&cred, 0, sizeof(cred));
	cred.secret = secret_new("s3cr&t/=", 8);
	cred.kind = INJECT_BEARER;
	strncpy(cred.header_name, "X-Key", sizeof(cred.header_name) - 1);
	strncpy(cred.query_param, "k&y", sizeof(cred.query_param) - 1);
	memset(&to, 0, sizeof(to));
	strncpy(to.host, "api.test", sizeof(to.host) - 1);
	to.kind = HOST_NAME;
	to.port = 443;
	to.tls = true;
}

static void
teardown(void)
{
	secret_free(cred.secret);
}

static struct inject_request
request(const char *method, const char *target, const char *headers)
{
	return (struct inject_request){.method = span_str(method),
	    .target = span_str(target),
	    .headers = span_str(headers),
	    .to = &to};
}

static const char *
built(const struct inject_request *r)
{
	ssize_t n = inject_build(r, &cred, (uint8_t *)got, sizeof(got) - 1);

	ck_assert_int_ge(n, 0);
	ck_assert_uint_le((size_t)n, inject_size(r, &cred));
	got[n] = '\0';
	return got;
}

START_TEST(kinds)
{
	struct inject_request r = request("GET", "/a?b", "Accept: x\r\n");

	ck_assert_str_eq(built(&r),
	    "GET /a?b HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer s3cr&t/=\r\n"
	    "Accept: x\r\nAccept-Encoding: identity\r\n\r\n");
	cred.kind = INJECT_HEADER;
	ck_assert_str_eq(built(&r),
	    "GET /a?b HTTP/1.1\r\nHost: api.test\r\nX-Key: s3cr&t/=\r\n"
	    "Accept: x\r\nAccept-Encoding: identity\r\n\r\n");
	cred.kind = INJECT_BASIC;
	ck_assert_str_eq(built(&r),
	    "GET /a?b HTTP/1.1\r\nHost: api.test\r\nAuthorization: Basic czNjciZ0Lz0=\r\n"
	    "Accept: x\r\nAccept-Encoding: identity\r\n\r\n");
	cred.kind = INJECT_QUERY;
	ck_assert_str_eq(built(&r),
	    "GET /a?b&k%26y=s3cr%26t%2F%3D HTTP/1.1\r\nHost: api.test\r\n"
	    "Accept: x\r\nAccept-Encoding: identity\r\n\r\n");
	r.target = span_str("/a");
	ck_assert_ptr_nonnull(strstr(built(&r), "GET /a?k%26y=s3cr%26t%2F%3D HTTP"));
	r.target = span_str("/a?");
	ck_assert_ptr_nonnull(strstr(built(&r), "GET /a?k%26y=s3cr%26t%2F%3D HTTP"));
	r.target = span_str("/a?b&");
	ck_assert_ptr_nonnull(strstr(built(&r), "GET /a?b&k%26y=s3cr%26t%2F%3D HTTP"));
	/* what looks like the query's beginning but ends a value of the agent's */
	r.target = span_str("/a?text=b?");
	ck_assert_ptr_nonnull(
	    strstr(built(&r), "GET /a?text=b?&k%26y=s3cr%26t%2F%3D HTTP"));
	r.target = span_str("/a??");
	ck_assert_ptr_nonnull(strstr(built(&r), "GET /a??&k%26y=s3cr%26t%2F%3D HTTP"));
	r.target = span_str("*");
	r.method = span_str("OPTIONS");
	ck_assert_ptr_nonnull(strstr(built(&r), "OPTIONS * HTTP"));
}
END_TEST

/* RFC 4648 10. */
START_TEST(base64)
{
	static const char *const pairs[][2] = {{"f", "Zg=="}, {"fo", "Zm8="},
	    {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
	    {"foobar", "Zm9vYmFy"}};
	struct inject_request r = request("GET", "/", "");
	char want[64];

	secret_free(cred.secret);
	cred.secret = secret_new(pairs[_i][0], strlen(pairs[_i][0]));
	cred.kind = INJECT_BASIC;
	snprintf(want, sizeof(want), "Authorization: Basic %s\r\n", pairs[_i][1]);
	ck_assert_ptr_nonnull(strstr(built(&r), want));
}
END_TEST

START_TEST(framing)
{
	struct inject_request r = request("POST", "/", "");

	ck_assert_ptr_nonnull(strstr(built(&r), "\r\nContent-Length: 0\r\n"));
	r.method = span_str("GET");
	ck_assert_ptr_null(strstr(built(&r), "Content-Length"));
	r.body_len = 3;
	r.body = span_str("abc");
	ck_assert_ptr_nonnull(strstr(built(&r), "\r\nContent-Length: 3\r\n\r\nabc"));
	r.body_len = BODY_LEN_UNKNOWN;
	r.body = span_str("");
	ck_assert_ptr_nonnull(
	    strstr(built(&r), "\r\nTransfer-Encoding: chunked\r\n\r\n"));
	to.port = 8443;
	ck_assert_ptr_nonnull(strstr(built(&r), "\r\nHost: api.test:8443\r\n"));
	to.port = 80;
	ck_assert_ptr_nonnull(strstr(built(&r), "\r\nHost: api.test:80\r\n"));
	to.tls = false;
	ck_assert_ptr_nonnull(strstr(built(&r), "\r\nHost: api.test\r\n"));
}
END_TEST

START_TEST(upgrade)
{
	struct inject_request r = request("GET", "/ws",
	    "Sec-WebSocket-Key: mine\r\nSec-WebSocket-Protocol: chat\r\n"
	    "Upgrade: h2c\r\nConnection: x\r\n");

	ck_assert_str_eq(built(&r),
	    "GET /ws HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer s3cr&t/=\r\n"
	    "Sec-WebSocket-Protocol: chat\r\nAccept-Encoding: identity\r\n\r\n");
	r.ws_key = "dGhlIHNhbXBsZSBub25jZQ==";
	ck_assert_str_eq(built(&r),
	    "GET /ws HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer s3cr&t/=\r\n"
	    "Sec-WebSocket-Protocol: chat\r\nAccept-Encoding: identity\r\n"
	    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
}
END_TEST

/* Each of these must not survive, in whatever letters. */
static const char *const dropped[] = {"authorization", "Authorization", "AUTHORIZATION",
    "proxy-authorization", "x-forwarded-authorization", "X_Authorization", "x-api-key",
    "X_API_KEY", "x-aegis-agent", "X-Aegis_Agent", "host", "x-target-host",
    "content-length", "content_length", "transfer-encoding", "Connection", "keep-alive",
    "te", "trailer", "upgrade", "expect", "proxy-connection", "http2-settings",
    "accept-encoding", "proxy-authenticate", "x-key", "X_KEY", "sec-websocket-key",
    "Sec_WebSocket_Version", "Sec-WebSocket-Extensions", "sec-websocket-accept"};

START_TEST(dropped_fields)
{
	char headers[128], bare[128];
	struct inject_request r;

	cred.kind = INJECT_HEADER;
	snprintf(headers, sizeof(headers), "a: 1\r\n%s: mine\r\nb: 2\r\n", dropped[_i]);
	r = request("GET", "/", headers);
	snprintf(bare, sizeof(bare), "%s", built(&r));
	ck_assert_ptr_null(strstr(got, "mine"));
	ck_assert_ptr_nonnull(strstr(got, "\r\na: 1\r\nb: 2\r\n"));
}
END_TEST

static const char *const bad_headers[] = {"a: b", "a: b\n", "a: b\r\n\r\n", "\r\n",
    ": b\r\n", "a b: c\r\n", "a : c\r\n", "no colon\r\n", "a: b\rc\r\n", "a: \x01\r\n",
    "a: \x7f\r\n", "a: b\r\n c: d\r\n", "\n", "a:\r\nb\r\n"};

START_TEST(bad_fields)
{
	struct inject_request r = request("GET", "/", bad_headers[_i]);

	ck_assert_int_eq(inject_check(&r), -1);
}
END_TEST

START_TEST(bad_lines)
{
	static const char *const methods[] = {
	    "", "GE T", "GET\r\n", "CONNECT", "G(", "G\x80"};
	static const char *const targets[] = {
	    "", "a", "http://x/", "/ ", "/a b", "/a\r\n", "/\x01", "/\x80", "/#", "*"};
	struct inject_request r;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		r = request(methods[i], "/", "");
		ck_assert_msg(inject_check(&r) == -1, "method %zu", i);
	}
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		r = request("GET", targets[i], "");
		ck_assert_msg(inject_check(&r) == -1, "target %zu", i);
	}
	r = request("OPTIONS", "*", "a:\r\nb: \tc\xff\r\n");
	ck_assert_int_eq(inject_check(&r), 0);
	r.headers = span_mem("a: \0\r\n", 6);
	ck_assert_int_eq(inject_check(&r), -1);
}
END_TEST

START_TEST(never_beyond)
{
	struct inject_request r = request("GET", "/a", "x: y\r\n");
	size_t n;

	cred.kind = (enum inject_kind)_i;
	r.body = span_str("body");
	r.body_len = 4;
	n = strlen(built(&r));
	for (size_t cap = 0; cap < n; cap++) {
		memset(got, '#', sizeof(got));
		ck_assert_int_eq(inject_build(&r, &cred, (uint8_t *)got, cap), -1);
		ck_assert_int_eq(got[cap], '#');
	}
}
END_TEST

static char sent[70000];
static const char *where;

static ssize_t
take(const void *p, size_t len, void *arg)
{
	memcpy(sent, p, len);
	sent[len] = '\0';
	where = p;
	(void)arg;
	return (ssize_t)len;
}

START_TEST(sending)
{
	struct inject_request r = request("GET", "/a", "x: y\r\n");
	char want[512];

	snprintf(want, sizeof(want), "%s", built(&r));
	for (size_t skip = 0; skip <= strlen(want); skip++) {
		ck_assert_int_eq(inject_send(&r, &cred, skip, take, NULL),
		    (ssize_t)(strlen(want) - skip));
		ck_assert_str_eq(sent, want + skip);
		if (skip < strlen(want))
			ck_assert_int_eq(where[0], '\0'); /* wiped */
	}
	ck_assert_int_eq(
	    inject_send(&r, &cred, strlen(want) + 1, take, NULL), INJECT_FAILED);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("inject");
	TCase *t = tcase_create("inject");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, kinds);
	tcase_add_loop_test(t, base64, 0, 6);
	tcase_add_test(t, framing);
	tcase_add_test(t, upgrade);
	tcase_add_loop_test(t, dropped_fields, 0, sizeof(dropped) / sizeof(dropped[0]));
	tcase_add_loop_test(
	    t, bad_fields, 0, sizeof(bad_headers) / sizeof(bad_headers[0]));
	tcase_add_test(t, bad_lines);
	tcase_add_loop_test(t, never_beyond, INJECT_BEARER, INJECT_QUERY + 1);
	tcase_add_test(t, sending);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
