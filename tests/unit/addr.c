/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/addr: first and last address of every block, and their neighbours.
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/addr.h"

enum verdict {
	PUBLIC,
	FORBIDDEN, /* but nobody's metadata */
	METADATA,  /* and forbidden, too */
};

static const struct {
	const char *text;
	enum verdict verdict;
} rows[] = {
    {"0.0.0.0", FORBIDDEN},
    {"0.255.255.255", FORBIDDEN},
    {"1.0.0.0", PUBLIC},
    {"1.1.1.1", PUBLIC},
    {"8.8.8.8", PUBLIC},
    {"9.255.255.255", PUBLIC},
    {"10.0.0.0", FORBIDDEN},
    {"10.255.255.255", FORBIDDEN},
    {"11.0.0.0", PUBLIC},
    {"100.63.255.255", PUBLIC},
    {"100.64.0.0", FORBIDDEN},
    {"100.100.100.199", FORBIDDEN},
    {"100.100.100.200", METADATA},
    {"100.127.255.255", FORBIDDEN},
    {"100.128.0.0", PUBLIC},
    {"126.255.255.255", PUBLIC},
    {"127.0.0.0", FORBIDDEN},
    {"127.0.0.1", FORBIDDEN},
    {"127.255.255.255", FORBIDDEN},
    {"128.0.0.0", PUBLIC},
    {"168.63.129.15", PUBLIC},
    {"168.63.129.16", METADATA},
    {"168.63.129.17", PUBLIC},
    {"169.253.255.255", PUBLIC},
    {"169.254.0.0", METADATA},
    {"169.254.169.254", METADATA},
    {"169.254.170.2", METADATA},
    {"169.254.170.23", METADATA},
    {"169.254.255.255", METADATA},
    {"169.255.0.0", PUBLIC},
    {"172.15.255.255", PUBLIC},
    {"172.16.0.0", FORBIDDEN},
    {"172.31.255.255", FORBIDDEN},
    {"172.32.0.0", PUBLIC},
    {"191.255.255.255", PUBLIC},
    {"192.0.0.0", FORBIDDEN},
    {"192.0.0.192", METADATA},
    {"192.0.0.255", FORBIDDEN},
    {"192.0.1.0", PUBLIC},
    {"192.0.2.0", FORBIDDEN},
    {"192.0.2.255", FORBIDDEN},
    {"192.0.3.0", PUBLIC},
    {"192.88.98.255", PUBLIC},
    {"192.88.99.1", FORBIDDEN},
    {"192.88.100.0", PUBLIC},
    {"192.167.255.255", PUBLIC},
    {"192.168.0.0", FORBIDDEN},
    {"192.168.255.255", FORBIDDEN},
    {"192.169.0.0", PUBLIC},
    {"198.17.255.255", PUBLIC},
    {"198.18.0.0", FORBIDDEN},
    {"198.19.255.255", FORBIDDEN},
    {"198.20.0.0", PUBLIC},
    {"198.51.99.255", PUBLIC},
    {"198.51.100.0", FORBIDDEN},
    {"198.51.100.255", FORBIDDEN},
    {"198.51.101.0", PUBLIC},
    {"203.0.112.255", PUBLIC},
    {"203.0.113.0", FORBIDDEN},
    {"203.0.113.255", FORBIDDEN},
    {"203.0.114.0", PUBLIC},
    {"223.255.255.255", PUBLIC},
    {"224.0.0.0", FORBIDDEN},
    {"239.255.255.255", FORBIDDEN},
    {"240.0.0.0", FORBIDDEN},
    {"255.255.255.254", FORBIDDEN},
    {"255.255.255.255", FORBIDDEN},

    {"::", FORBIDDEN},
    {"::1", FORBIDDEN},
    {"::127.0.0.1", FORBIDDEN},
    {"::8.8.8.8", FORBIDDEN}, /* IPv4-compatible, long deprecated */
    {"::169.254.169.254", METADATA},
    {"::ffff:8.8.8.8", PUBLIC},
    {"::ffff:127.0.0.1", FORBIDDEN},
    {"::ffff:10.1.2.3", FORBIDDEN},
    {"::ffff:0.0.0.0", FORBIDDEN},
    {"::ffff:169.254.169.254", METADATA},
    {"::ffff:168.63.129.16", METADATA},
    {"::ffff:0:127.0.0.1", FORBIDDEN}, /* IPv4-translated, RFC 2765 */
    {"64:ff9b::8.8.8.8", PUBLIC},
    {"64:ff9b::127.0.0.1", FORBIDDEN},
    {"64:ff9b::192.168.1.1", FORBIDDEN},
    {"64:ff9b::169.254.169.254", METADATA},
    {"64:ff9b:1::8.8.8.8", FORBIDDEN}, /* local-use NAT64 */
    {"100::1", FORBIDDEN},             /* discard */
    {"1fff:ffff::1", FORBIDDEN},
    {"2000::1", PUBLIC},
    {"2001::1", FORBIDDEN},                              /* Teredo */
    {"2001:0:4136:e378:8000:63bf:80ff:fffe", FORBIDDEN}, /* to 127.0.0.1 */
    {"2001:0:4136:e378:8000:63bf:5601:5601", METADATA},  /* to 169.254.169.254 */
    {"2001:2::1", FORBIDDEN},                            /* benchmarking */
    {"2001:10::1", FORBIDDEN},                           /* ORCHID */
    {"2001:1ff:ffff::1", FORBIDDEN},
    {"2001:200::1", PUBLIC},
    {"2001:db7:ffff::1", PUBLIC},
    {"2001:db8::1", FORBIDDEN},
    {"2001:db8:ffff:ffff::1", FORBIDDEN},
    {"2001:db9::1", PUBLIC},
    {"2001:4860:4860::8888", PUBLIC},
    {"2002:808:808::1", PUBLIC},     /* 6to4 of 8.8.8.8 */
    {"2002:7f00:1::1", FORBIDDEN},   /* of 127.0.0.1 */
    {"2002:c0a8:101::1", FORBIDDEN}, /* of 192.168.1.1 */
    {"2002:a9fe:a9fe::1", METADATA},
    {"2606:4700::1", PUBLIC},
    {"3ffe::1", PUBLIC},
    {"3fff::1", FORBIDDEN}, /* documentation */
    {"3fff:0fff::1", FORBIDDEN},
    {"3fff:1000::1", PUBLIC},
    {"4000::1", FORBIDDEN},
    {"5f00::1", FORBIDDEN}, /* segment routing */
    {"fc00::1", FORBIDDEN},
    {"fdff:ffff::1", FORBIDDEN},
    {"fd00:ec2::254", METADATA},
    {"fd00:ec2::23", METADATA},
    {"fd00:ec3::254", FORBIDDEN},
    {"fd20:ce::254", METADATA},
    {"fd00:42::42", METADATA},
    {"fe7f::1", FORBIDDEN},
    {"fe80::1", METADATA},
    {"fe80::a9fe:a9fe", METADATA},
    {"febf::1", METADATA},
    {"fec0::1", FORBIDDEN},
    {"feff::1", FORBIDDEN},
    {"ff02::1", FORBIDDEN},
    {"ffff::", FORBIDDEN},
};

START_TEST(test_row)
{
	struct sockaddr_storage ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	struct sockaddr_in *in4 = (struct sockaddr_in *)&ss;
	const char *text = rows[_i].text;

	memset(&ss, 0, sizeof(ss));
	if (strchr(text, ':') != NULL) {
		ss.ss_family = AF_INET6;
		ck_assert_int_eq(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	} else {
		ss.ss_family = AF_INET;
		ck_assert_int_eq(inet_pton(AF_INET, text, &in4->sin_addr), 1);
	}
	ck_assert_msg(
	    addr_is_forbidden((struct sockaddr *)&ss) == (rows[_i].verdict != PUBLIC),
	    "%s", text);
	ck_assert_msg(
	    addr_is_metadata((struct sockaddr *)&ss) == (rows[_i].verdict == METADATA),
	    "%s", text);
}
END_TEST

START_TEST(test_other_families)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	ck_assert(addr_is_forbidden((struct sockaddr *)&un));
	ck_assert(addr_is_metadata((struct sockaddr *)&un));
	ck_assert(addr_is_forbidden(&none));
	ck_assert(addr_is_metadata(&none));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("addr");
	TCase *tc = tcase_create("addr");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, test_row, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(tc, test_other_families);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
