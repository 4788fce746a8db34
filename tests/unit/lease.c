/* SPDX-License-Identifier: Apache-2.0 */
/* Leases on the disk: what was written is there again, cut anywhere it is a beginning. */
#include "keymasterd/vault/lease_journal.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/loop.h"
#include "keymasterd/vault/file.h"
#include "keymasterd/vault/lease_table.h"

static char dir[] = "/tmp/aegis-lease-XXXXXX";
static int dirfd_;

static void
setup(void)
{
	ck_assert_int_eq(loop_init(), 0);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dirfd_, 0);
}

static void
teardown(void)
{
	(void)unlinkat(dirfd_, "leases.jsonl", 0);
	close(dirfd_);
	rmdir(dir);
}

static void
forget(void)
{
	struct lease_token *t;
	struct lease *l;

	lease_journal_close();
	while ((l = TAILQ_FIRST(&leases)) != NULL)
		lease_free(l);
	while ((t = TAILQ_FIRST(&lease_tokens)) != NULL)
		lease_token_free(t);
}

static unsigned
count(void)
{
	const struct lease *l;
	unsigned n = 0;

	TAILQ_FOREACH (l, &leases, entry)
		n++;
	return n;
}

static struct lease *
add(const char *path, const char *accessor)
{
	struct lease_token *t = lease_token_get("ns", accessor);
	struct lease *l = lease_new();

	ck_assert(t != NULL && l != NULL);
	lease_token_use(l, t);
	t->ends_s = 1800000000;
	memset(l->run, 0xa5, sizeof(l->run));
	l->instance = 7;
	l->state = LEASE_ASKED;
	snprintf(l->tenant, sizeof(l->tenant), "default");
	snprintf(l->server, sizeof(l->server), "pg");
	snprintf(l->execution, sizeof(l->execution), "e \"quoted\" \\ and\nnewline");
	snprintf(l->ns, sizeof(l->ns), "ns");
	snprintf(l->path, sizeof(l->path), "%s", path);
	l->ttl_s = 60;
	ck_assert_int_eq(lease_journal_put(l, 1), 0);
	return l;
}

START_TEST(what_was_written_is_there_again)
{
	struct lease *l, *gone;

	ck_assert_int_eq(lease_journal_open(dirfd_), 0);
	l = add("database/creds/one", "first");
	gone = add("database/creds/two", "first");
	(void)add("database/creds/three", "second");
	snprintf(l->id, sizeof(l->id), "database/creds/one/abc");
	l->state = LEASE_HELD;
	ck_assert_int_eq(lease_journal_put(l, 0), 0);
	lease_journal_drop(gone);
	lease_free(gone);
	forget();

	ck_assert_int_eq(lease_journal_open(dirfd_), 0);
	ck_assert_uint_eq(count(), 2);
	l = TAILQ_FIRST(&leases);
	ck_assert_int_eq(l->state, LEASE_HELD);
	ck_assert_str_eq(l->id, "database/creds/one/abc");
	ck_assert_str_eq(l->execution, "e \"quoted\" \\ and\nnewline");
	ck_assert_uint_eq(l->instance, 7);
	ck_assert_uint_eq(l->run[15], 0xa5);
	ck_assert_uint_eq(l->ttl_s, 60);
	ck_assert_str_eq(l->token->accessor, "first");
	ck_assert_uint_eq(l->token->users, 1);
	ck_assert_uint_eq(l->token->ends_s, 1800000000);
	l = TAILQ_NEXT(l, entry);
	ck_assert_int_eq(l->state, LEASE_ASKED);
	ck_assert_str_eq(l->id, "");
	ck_assert_str_eq(l->token->accessor, "second");
	forget();
}
END_TEST

START_TEST(a_token_with_nothing_on_it)
{
	struct lease_token *t;

	ck_assert_int_eq(lease_journal_open(dirfd_), 0);
	t = lease_token_get("", "idle");
	t->ends_s = 1800000000;
	lease_journal_token(t, 0);
	forget();
	ck_assert_int_eq(lease_journal_open(dirfd_), 0);
	t = TAILQ_FIRST(&lease_tokens);
	ck_assert_ptr_nonnull(t);
	ck_assert_str_eq(t->accessor, "idle");
	ck_assert_uint_eq(t->users, 0);
	lease_journal_token(t, 1);
	forget();
	ck_assert_int_eq(lease_journal_open(dirfd_), 0);
	ck_assert_ptr_null(TAILQ_FIRST(&lease_tokens));
	forget();
}
END_TEST

/* Whole lines count, half a one does not, and the file can be gone on with. */
START_TEST(cut_anywhere)
{
	uint8_t *text;
	size_t len, cut, lines, i;

	ck_assert_int_eq(lease_journal_open(dirfd_), 0);
	for (i = 0; i < 3; i++)
		(void)add("database/creds/app", "one");
	forget();
	ck_assert_int_eq(file_read(dirfd_, "leases.jsonl", 1 << 20, &text, &len), 0);
	for (cut = 0; cut <= len; cut++) {
		for (lines = i = 0; i < cut; i++)
			lines += text[i] == '\n';
		ck_assert_int_eq(
		    file_replace(dirfd_, "leases.jsonl", "leases.t", text, cut), 0);
		ck_assert_int_eq(lease_journal_open(dirfd_), 0);
		ck_assert_uint_eq(count(), lines);
		(void)add("database/creds/new", "two");
		forget();
		ck_assert_int_eq(lease_journal_open(dirfd_), 0);
		ck_assert_uint_eq(count(), lines + 1);
		forget();
	}
	free(text);
}
END_TEST

/* However many lines were written, the file stays in proportion to what there is. */
START_TEST(it_does_not_grow)
{
	struct lease *l;
	uint8_t *text;
	size_t len;
	int i;

	ck_assert_int_eq(lease_journal_open(dirfd_), 0);
	l = add("database/creds/app", "one");
	for (i = 0; i < 3000; i++)
		ck_assert_int_eq(lease_journal_put(l, 0), 0);
	forget();
	ck_assert_int_eq(file_read(dirfd_, "leases.jsonl", 1 << 20, &text, &len), 0);
	ck_assert_uint_lt(len, 300u * 1024);
	free(text);
	ck_assert_int_eq(lease_journal_open(dirfd_), 0);
	ck_assert_uint_eq(count(), 1);
	forget();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("lease");
	TCase *tc = tcase_create("all");
	SRunner *run;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_written_is_there_again);
	tcase_add_test(tc, a_token_with_nothing_on_it);
	tcase_add_test(tc, cut_anywhere);
	tcase_add_test(tc, it_does_not_grow);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed == 0 ? 0 : 1;
}
