/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of vault about secrets that were asked for, with the test as the judge's door. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proc.h"
#include "common/proto.h"
#include "common/utf8.h"
#include "keymasterd/vault/access.h"

static int judge_there, door_full;
static char heard[4096], reason[512];

/* In the places of common/proc.c and common/chan.c. */
struct chan *
proc_peer(enum role role)
{
	ck_assert_int_eq(role, ROLE_JUDGE);
	return judge_there ? (struct chan *)heard : NULL;
}

int
chan_note(struct chan *c, enum msg_type type, void *msg)
{
	const struct msg_access_context *m = msg;
	size_t n = strlen(heard);

	ck_assert_ptr_eq(c, heard);
	ck_assert_int_eq(type, MSG_access_context);
	if (door_full)
		return -1;
	(void)snprintf(
	    heard + n, sizeof(heard) - n, "%.*s ", (int)m->subject.len, m->subject.p);
	ck_assert_int_eq(span_copy(m->reason, reason, sizeof(reason)), 0);
	return 0;
}

static int
tell(const char *subject, const char *why)
{
	const struct access a = {.use = ACCESS_PROXY,
	    .act = ACCESS_RESOLVE,
	    .tenant = span_str("t"),
	    .subject = span_str(subject),
	    .reason = span_str(why)};

	return access_tell(&a);
}

START_TEST(in_order)
{
	judge_there = 1;
	ck_assert_int_eq(tell("a", ""), 0);
	/* for a moment, without the door being shut */
	door_full = 1;
	ck_assert_int_eq(tell("b", ""), 0);
	ck_assert_int_eq(tell("c", ""), 0);
	ck_assert_str_eq(heard, "a ");
	door_full = 0;
	ck_assert_int_eq(tell("d", ""), 0);
	ck_assert_str_eq(heard, "a b c d ");
	judge_there = 0;
	ck_assert_int_eq(tell("e", ""), 0);
	judge_there = 1;
	access_flush();
	ck_assert_str_eq(heard, "a b c d e ");
}
END_TEST

START_TEST(no_more_than_can_be_kept)
{
	int kept = 0;

	while (tell("x", "") == 0)
		ck_assert_int_le(++kept, 2000);
	ck_assert_int_ge(kept, 1000);
	judge_there = 1;
	ck_assert_int_eq(tell("y", ""), 0);
	ck_assert_int_eq(strlen(heard), 2 * (size_t)kept + 2);
}
END_TEST

/* A half character would make the note one that is never sent. */
START_TEST(cut_between_characters)
{
	char why[302];
	size_t i;

	judge_there = 1;
	for (i = 0; i < 3; i++) {
		memset(why, 'x', i);
		for (size_t k = i; k + 3 < sizeof(why); k += 3)
			memcpy(why + k, "\xe2\x82\xac", 4);
		ck_assert_int_eq(tell("a", why), 0);
		ck_assert_uint_le(strlen(reason), 256);
		ck_assert_uint_gt(strlen(reason), 253);
		ck_assert(utf8_valid((const uint8_t *)reason, strlen(reason)));
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("access");
	TCase *tc = tcase_create("access");
	SRunner *run;
	int failed;

	tcase_add_test(tc, in_order);
	tcase_add_test(tc, no_more_than_can_be_kept);
	tcase_add_test(tc, cut_between_characters);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed == 0 ? 0 : 1;
}
