/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a worker lets its credential go: authorities against the sealed list, addresses
 * against the forbidden blocks.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "egressd/worker/credential.h"
#include "egressd/worker/target.h"

static const struct {
	const char *domains;
	bool tls;
	uint16_t port;
	const char *authority;
	int want;
	uint16_t got_port;
} cases[] = {
    {"api.test", true, 443, "api.test", TARGET_GOOD, 443},
    {"api.test", true, 443, "API.Test.", TARGET_GOOD, 443},
    {"api.test", true, 443, "api.test:443", TARGET_GOOD, 443},
    {"api.test", true, 443, "api.test:444", TARGET_NOT_ALLOWED, 0},
    {"api.test", true, 443, "api.test:80", TARGET_NOT_ALLOWED, 0},
    {"api.test", true, 443, "xapi.test", TARGET_NOT_ALLOWED, 0},
    {"api.test", true, 443, "api.test.evil.test", TARGET_NOT_ALLOWED, 0},
    {"api.test", true, 443, "a.api.test", TARGET_NOT_ALLOWED, 0},
    {"a.test,api.test", true, 443, "api.test", TARGET_GOOD, 443},
    {"a.test, api.test", true, 443, "api.test", TARGET_GOOD, 443},
    {"a.test,,api.test", true, 443, "api.test", TARGET_GOOD, 443},
    {"*.api.test", true, 443, "x.api.test", TARGET_GOOD, 443},
    {"*.api.test", true, 443, "x.y.api.test", TARGET_GOOD, 443},
    {"*.api.test", true, 443, "api.test", TARGET_NOT_ALLOWED, 0},
    {"*.api.test", true, 443, "xapi.test", TARGET_NOT_ALLOWED, 0},
    {"*.api.test", true, 443, "1.2.3.4", TARGET_NOT_ALLOWED, 0},
    {"*", true, 443, "api.test", TARGET_NOT_ALLOWED, 0},
    {"", true, 443, "api.test", TARGET_NOT_ALLOWED, 0},
    {"api.test:8443", true, 443, "api.test:8443", TARGET_GOOD, 8443},
    {"api.test:8443", true, 443, "api.test", TARGET_NOT_ALLOWED, 0},
    /* a credential with a port or scheme of its own */
    {"api.test", true, 8443, "api.test", TARGET_GOOD, 8443},
    {"api.test", true, 8443, "api.test:8443", TARGET_GOOD, 8443},
    {"api.test", true, 8443, "api.test:443", TARGET_NOT_ALLOWED, 0},
    {"api.test", false, 80, "api.test", TARGET_GOOD, 80},
    {"api.test", false, 80, "api.test:443", TARGET_NOT_ALLOWED, 0},
    {"api.test:443", false, 80, "api.test", TARGET_NOT_ALLOWED, 0},
    {"127.0.0.1", true, 443, "127.0.0.1", TARGET_GOOD, 443},
    {"127.0.0.1", true, 443, "127.1", TARGET_BAD_AUTHORITY, 0},
    {"[::1]", true, 443, "[::1]", TARGET_GOOD, 443},
    {"[::1]", true, 443, "[0:0::1]:443", TARGET_GOOD, 443},
    {"[::1]:9", true, 443, "[::1]:9", TARGET_GOOD, 9},
    {"[::1]:9", true, 443, "[::1]", TARGET_NOT_ALLOWED, 0},
    {"api.test", true, 443, "", TARGET_BAD_AUTHORITY, 0},
    {"api.test", true, 443, "user@api.test", TARGET_BAD_AUTHORITY, 0},
    {"api.test", true, 443, "api.test:443@evil.test", TARGET_BAD_AUTHORITY, 0},
    {"api.test", true, 443, "api.test/x", TARGET_BAD_AUTHORITY, 0},
    {"api.test", true, 443, "api.test:", TARGET_BAD_AUTHORITY, 0},
    {"api.test", true, 443, "api.test:0", TARGET_BAD_AUTHORITY, 0},
    {"api.test", true, 443, "api.test evil.test", TARGET_BAD_AUTHORITY, 0},
};

START_TEST(authorities)
{
	struct credential c = {.tls = cases[_i].tls, .port = cases[_i].port};
	struct worker_target t;

	strncpy(c.domains, cases[_i].domains, sizeof(c.domains) - 1);
	ck_assert_msg(worker_target(&t, &c, span_str(cases[_i].authority)) ==
		(enum target_verdict)cases[_i].want,
	    "[%s] %s", cases[_i].domains, cases[_i].authority);
	if (cases[_i].want == TARGET_GOOD) {
		ck_assert_uint_eq(t.port, cases[_i].got_port);
		ck_assert_int_eq(t.tls, c.tls);
	}
}
END_TEST

START_TEST(nul_in_authority)
{
	struct credential c = {.tls = true, .port = 443, .domains = "api.test"};
	struct worker_target t;

	ck_assert_int_eq(
	    worker_target(&t, &c, span_mem("api.test\0evil", 13)), TARGET_BAD_AUTHORITY);
}
END_TEST

static const struct {
	int family;
	const char *text;
	int plain, with_private; /* may it be used? */
} addresses[] = {
    {4, "93.184.216.34", 1, 1},
    {4, "127.0.0.1", 0, 1},
    {4, "10.0.0.1", 0, 1},
    {4, "192.168.1.1", 0, 1},
    {4, "169.254.169.254", 0, 0},
    {4, "169.254.1.1", 0, 0},
    {4, "100.100.100.200", 0, 0},
    {6, "2606:2800:220:1::1", 1, 1},
    {6, "::1", 0, 1},
    {6, "fd00::1", 0, 1},
    {6, "fe80::1", 0, 0},
    {6, "::ffff:169.254.169.254", 0, 0},
    {6, "::ffff:127.0.0.1", 0, 1},
    {6, "64:ff9b::a9fe:a9fe", 0, 0},
    {6, "fd00:ec2::254", 0, 0},
};

static void
pack(uint8_t *p, int family, const char *text)
{
	memset(p, 0, 18);
	p[0] = (uint8_t)family;
	ck_assert_int_eq(inet_pton(family == 4 ? AF_INET : AF_INET6, text, p + 2), 1);
}

START_TEST(guard)
{
	struct worker_target t = {.host = "x.test", .kind = HOST_NAME, .port = 8443};
	struct address out[ADDRESSES_MAX];
	char text[64];
	uint8_t octets[18];
	unsigned refused;

	pack(octets, addresses[_i].family, addresses[_i].text);
	for (int private = 0; private < 2; private ++) {
		int want = private ? addresses[_i].with_private : addresses[_i].plain;

		t.allow_private = private;
		ck_assert_int_eq(
		    target_addresses(&t, span_mem(octets, 18), out, &refused), want);
		ck_assert_uint_eq(refused, (unsigned)!want);
		if (want) {
			ck_assert_str_eq(address_text(&out[0], text, sizeof(text)),
			    addresses[_i].text);
			ck_assert_uint_eq(
			    ntohs(((struct sockaddr_in *)(void *)&out[0].u)->sin_port),
			    8443);
		}
	}
}
END_TEST

START_TEST(literals)
{
	struct worker_target t = {.kind = HOST_IPV4, .host = "127.0.0.1", .port = 1};
	struct address a;
	char text[64];

	ck_assert_int_eq(target_literal(&t, &a), 0);
	t.allow_private = true;
	ck_assert_int_eq(target_literal(&t, &a), 1);
	ck_assert_str_eq(target_text(&t, text, sizeof(text)), "127.0.0.1:1");
	t.kind = HOST_IPV6;
	strncpy(t.host, "[::1]", sizeof(t.host) - 1);
	ck_assert_int_eq(target_literal(&t, &a), 1);
	ck_assert_str_eq(address_text(&a, text, sizeof(text)), "::1");
	strncpy(t.host, "[fe80::1]", sizeof(t.host) - 1);
	ck_assert_int_eq(target_literal(&t, &a), 0);
}
END_TEST

START_TEST(malformed)
{
	struct worker_target t = {
	    .host = "x.test", .kind = HOST_NAME, .allow_private = true};
	struct address out[ADDRESSES_MAX];
	uint8_t octets[18 * 20];
	unsigned refused;

	for (int i = 0; i < 20; i++)
		pack(octets + i * 18, 4, "1.2.3.4");
	ck_assert_int_eq(
	    target_addresses(&t, span_mem(octets, sizeof(octets)), out, &refused),
	    ADDRESSES_MAX);
	ck_assert_int_eq(target_addresses(&t, span_mem(octets, 17), out, &refused), -1);
	ck_assert_int_eq(target_addresses(&t, span_mem(octets, 0), out, &refused), 0);
	octets[0] = 5;
	ck_assert_int_eq(target_addresses(&t, span_mem(octets, 18), out, &refused), -1);
	octets[0] = 4;
	octets[1] = 1;
	ck_assert_int_eq(target_addresses(&t, span_mem(octets, 18), out, &refused), -1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("worker_target");
	TCase *t = tcase_create("worker_target");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, authorities, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(t, nul_in_authority);
	tcase_add_loop_test(t, guard, 0, sizeof(addresses) / sizeof(addresses[0]));
	tcase_add_test(t, literals);
	tcase_add_test(t, malformed);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
