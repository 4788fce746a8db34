/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which names the dispatcher asks name servers for: what a played one hears, with a
 * search list in force.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <sys/socket.h>

#include "egressd/dispatcher/resolve.c"

static int server;
static char heard[2048]; /* "name " for each question */

/* Writes down the name and answers that there is none (RFC 1035 4.1). */
static void *
serve(void *arg)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint8_t q[512];
	ssize_t n;

	(void)arg;
	while ((n = recvfrom(server, q, sizeof(q), 0, (struct sockaddr *)&from, &len)) >
	    12) {
		char name[300] = "";
		size_t at = 12, out = 0;

		while (at < (size_t)n && q[at] != 0 && at + q[at] < (size_t)n) {
			memcpy(name + out, q + at + 1, q[at]);
			out += q[at];
			name[out++] = '.';
			at += q[at] + 1u;
		}
		snprintf(
		    heard + strlen(heard), sizeof(heard) - strlen(heard), "%s ", name);
		q[2] |= 0x80;
		q[3] = (uint8_t)((q[3] & 0xf0) | 3);
		(void)sendto(server, q, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
	return NULL;
}

static int
ask(const char *host)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct addrinfo *list = NULL;
	socklen_t len = sizeof(to);
	int code;

	heard[0] = '\0';
	ck_assert_int_eq(set_up_resolver(host), 0);
	ck_assert_int_eq(getsockname(server, (struct sockaddr *)&to, &len), 0);
	_res.nscount = 1;
	_res.nsaddr_list[0] = to;
	code = getaddrinfo(host, NULL, &hints, &list);
	if (code == 0)
		freeaddrinfo(list);
	return code;
}

START_TEST(search)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	pthread_t t;

	setenv("LOCALDOMAIN", "else.test", 1);
	ck_assert_int_eq(__nss_configure_lookup("hosts", "files dns"), 0);
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(server, (struct sockaddr *)&any, sizeof(any)), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, serve, NULL), 0);

	ck_assert_int_ne(ask("api.gone.test"), 0);
	ck_assert_str_eq(heard, "api.gone.test. ");
	ck_assert_int_ne(ask("single"), 0);
	ck_assert_ptr_nonnull(strstr(heard, "single.else.test. "));
	ck_assert_int_ne(ask("a.b"), 0);
	ck_assert_str_eq(heard, "a.b. ");
	ck_assert_int_eq(ask("localhost"), 0);
	ck_assert_int_eq(ask("127.0.0.1"), 0);
	ck_assert_str_eq(heard, "");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("resolve");
	TCase *t = tcase_create("resolve");
	SRunner *r;
	int failed;

	tcase_add_test(t, search);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
