/* SPDX-License-Identifier: Apache-2.0 */
/* Questions over a door whose other end, played here, answers as the test wants. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/loop.h"
#include "common/msg.h"
#include "common/wire.h"

static struct chan *door;
static int peer, timed_out[3];
static uint64_t ids[3];

/* Writes one message as the peer. */
static void
say(enum msg_type type, void *msg, uint64_t reqid)
{
	uint8_t octets[1024];
	struct wire_w w = {.p = octets, .cap = sizeof(octets)};

	ck_assert_int_eq(msg_encode(&w, msg_desc_get(type), msg, reqid, 0), 0);
	ck_assert_int_eq(send(peer, octets, w.len, 0), (int)w.len);
}

static void
greet(void)
{
	MSG_INIT(hello, m);

	m.version = MSG_VERSION;
	memcpy(m.schema, msg_schema_hash(), sizeof(m.schema));
	m.role = ROLE_JUDGE;
	say(MSG_hello, &m, 0);
}

static void on_end(struct chan *, enum chan_status, void *, void *);

static void
ask(int which, uint32_t timeout_ms)
{
	MSG_INIT(worker_leave, m);

	ids[which] =
	    chan_ask(door, MSG_worker_leave, &m, timeout_ms, on_end, &timed_out[which]);
	ck_assert_uint_ne(ids[which], 0);
}

static void
on_end(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	(void)c;
	(void)msg;
	if (status != CHAN_TIMEOUT)
		return;
	*(int *)arg = 1;
	if (arg == &timed_out[1])
		ask(2, 1); /* its place is before ours: the first one's */
	else
		loop_stop();
}

static void
on_ready(struct chan *c, void *owner)
{
	MSG_INIT(worker_may_leave, m);

	(void)c;
	(void)owner;
	ask(0, 60000);
	ask(1, 1);
	say(MSG_worker_may_leave, &m, ids[0]);
}

START_TEST(a_question_asked_when_another_times_out)
{
	struct chan_conf conf = {
	    .own_role = ROLE_WORKER, .peer_role = ROLE_JUDGE, .on_ready = on_ready};
	int pair[2];

	alarm(10);
	ck_assert_int_eq(loop_init(), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	peer = pair[1];
	door = chan_new(loop_base(), pair[0], &conf);
	ck_assert_ptr_nonnull(door);
	greet();
	loop_run();
	ck_assert_int_eq(timed_out[1], 1);
	ck_assert_int_eq(timed_out[2], 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("chan");
	TCase *tc = tcase_create("chan");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, a_question_asked_when_another_times_out);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
