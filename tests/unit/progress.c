/* SPDX-License-Identifier: Apache-2.0 */
/* How far a long command is: on a terminal only, not of what is short, and gone at the
 * end. */
#include "aegis/progress.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What is on descriptor `from` after a second and a bit of work whose messages go to
 * `to`. */
static size_t
work(int to, int from, char *out, size_t size)
{
	const struct timespec step = {.tv_nsec = 10000000};
	struct pollfd there = {.fd = from, .events = POLLIN};
	int kept = dup(STDERR_FILENO), i;
	size_t len = 0;
	ssize_t n;

	ck_assert_int_ge(dup2(to, STDERR_FILENO), 0);
	for (i = 0; i < 130; i++) {
		progress(1234567, "rows");
		nanosleep(&step, NULL);
	}
	progress_end();
	ck_assert_int_ge(dup2(kept, STDERR_FILENO), 0);
	close(kept);
	/* a terminal passes on what is written a moment later */
	while (poll(&there, 1, 500) == 1 && len < size - 1) {
		n = read(from, out + len, size - 1 - len);
		ck_assert_int_gt(n, 0);
		len += (size_t)n;
	}
	out[len] = '\0';
	return len;
}

START_TEST(on_a_terminal)
{
	static const char gone[] = "\r\033[K";
	int ours = posix_openpt(O_RDWR | O_NOCTTY), theirs;
	char text[4096];
	size_t n;

	ck_assert_int_ge(ours, 0);
	ck_assert_int_eq(grantpt(ours) | unlockpt(ours), 0);
	theirs = open(ptsname(ours), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(theirs, 0);
	n = work(theirs, ours, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "\r  1,234,567 rows ..."));
	ck_assert_uint_ge(n, strlen(gone));
	ck_assert_str_eq(text + n - strlen(gone), gone);
	/* what is over at once says nothing */
	ck_assert_int_ge(dup2(theirs, STDERR_FILENO), 0);
	progress(1, "rows");
	progress_end();
	ck_assert_int_eq(poll(&(struct pollfd){.fd = ours, .events = POLLIN}, 1, 200), 0);
	close(theirs);
	close(ours);
}
END_TEST

START_TEST(in_a_file)
{
	int ends[2];
	char text[64];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_uint_eq(work(ends[1], ends[0], text, sizeof(text)), 0);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("progress");
	TCase *t = tcase_create("progress");
	SRunner *r;
	int failed;

	tcase_add_test(t, on_a_terminal);
	tcase_add_test(t, in_a_file);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
