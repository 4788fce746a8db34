/* SPDX-License-Identifier: Apache-2.0 */
/* Questions over a door whose other end, played here, answers as the test wants. */
#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/loop.h"
#include "common/msg.h"
#include "common/proto.h"
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
greet_as(enum role role)
{
	MSG_INIT(hello, m);

	m.version = MSG_VERSION;
	memcpy(m.schema, msg_schema_hash(), sizeof(m.schema));
	m.role = (uint8_t)role;
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
	greet_as(ROLE_JUDGE);
	loop_run();
	ck_assert_int_eq(timed_out[1], 1);
	ck_assert_int_eq(timed_out[2], 1);
}
END_TEST

static char heard[8];
static size_t nheard;

static int
on_done(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	(void)msg;
	heard[nheard++] = 'd';
	if (nheard == 4)
		loop_stop();
	return 0;
}

static int
on_failed(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	(void)msg;
	heard[nheard++] = 'f';
	return 0;
}

static void
on_news(void)
{
	heard[nheard++] = 'n';
}

/* A door to a played peer of this role; its end is *end. */
static struct chan *
door_to(enum role role, const struct permit *permits, int *end)
{
	struct chan_conf conf = {
	    .own_role = ROLE_JUDGE, .peer_role = role, .permits = permits};
	struct chan *c;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	c = chan_new(loop_base(), pair[0], &conf);
	ck_assert_ptr_nonnull(c);
	*end = peer = pair[1];
	greet_as(role);
	while (!chan_is_ready(c)) {
		event_base_loop(loop_base(), EVLOOP_ONCE);
		chans_flush();
	}
	return c;
}

static void
one_turn(void)
{
	event_base_loop(loop_base(), EVLOOP_NONBLOCK);
	chans_flush();
}

START_TEST(a_patient_peer_is_heard_with_the_next_turn_and_first)
{
	static const struct permit worker[] = {
	    {MSG_done, CHAN_READY, PERMIT_HOT, on_done}, PERMIT_LAST};
	static const struct permit dispatch[] = {
	    {MSG_worker_failed, CHAN_READY, 0, on_failed}, PERMIT_LAST};
	int patient, other;
	MSG_INIT(done, done);
	MSG_INIT(worker_failed, failed);

	alarm(10);
	ck_assert_int_eq(loop_init(), 0);
	ck_assert_int_eq(chans_patient_init(), 0);
	(void)door_to(ROLE_DISPATCH, dispatch, &other);
	chan_patient(door_to(ROLE_WORKER, worker, &patient));
	chan_news_hook(on_news);
	peer = patient;
	done.outcome = OUTCOME_OK;
	say(MSG_done, &done, 0);
	one_turn();
	ck_assert_uint_eq(nheard, 0);
	peer = other;
	say(MSG_worker_failed, &failed, 0);
	one_turn();
	ck_assert_str_eq(heard, "dnf");
	/* and without another's word a little later */
	peer = patient;
	say(MSG_done, &done, 0);
	loop_soon();
	loop_run();
	ck_assert_str_eq(heard, "dnfd");
}
END_TEST

static void
on_may_leave(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	(void)c;
	(void)msg;
	(void)arg;
	ck_assert_int_eq(status, CHAN_OK);
	loop_stop();
}

START_TEST(an_answer_of_a_patient_peer_is_not_waited_for_in_vain)
{
	struct chan *c;
	uint64_t id;
	int patient, timers;
	MSG_INIT(worker_leave, ask);
	MSG_INIT(worker_may_leave, answer);

	alarm(10);
	ck_assert_int_eq(loop_init(), 0);
	ck_assert_int_eq(chans_patient_init(), 0);
	c = door_to(ROLE_WORKER, NULL, &patient);
	chan_patient(c);
	id = chan_ask(c, MSG_worker_leave, &ask, 5000, on_may_leave, NULL);
	ck_assert_uint_ne(id, 0);
	timers = event_base_get_num_events(loop_base(), EVENT_BASE_COUNT_ADDED);
	chans_flush();
	/* loop_soon() */
	ck_assert_int_eq(
	    event_base_get_num_events(loop_base(), EVENT_BASE_COUNT_ADDED), timers + 1);
	peer = patient;
	say(MSG_worker_may_leave, &answer, id);
	loop_run();
}
END_TEST

START_TEST(a_patient_peer_that_has_gone_is_noticed)
{
	struct chan *c;
	int patient;

	alarm(10);
	ck_assert_int_eq(loop_init(), 0);
	ck_assert_int_eq(chans_patient_init(), 0);
	c = door_to(ROLE_WORKER, NULL, &patient);
	chan_patient(c);
	close(patient);
	one_turn();
	ck_assert_int_eq(chan_is_ready(c), 1);
	chans_read_patient();
	ck_assert_int_eq(chan_is_ready(c), 0);
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
	tcase_add_test(tc, a_patient_peer_is_heard_with_the_next_turn_and_first);
	tcase_add_test(tc, an_answer_of_a_patient_peer_is_not_waited_for_in_vain);
	tcase_add_test(tc, a_patient_peer_that_has_gone_is_noticed);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
