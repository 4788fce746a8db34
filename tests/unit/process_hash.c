/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of programs are kept only while nothing can have changed in between. */
#include <check.h>
#include <stdlib.h>

#include "aegis/process.c"

static const char exe[] = "/proc/self/exe";

static void
hash(int fd, uint8_t out[32])
{
	struct stat st;

	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(hash_known(fd, &st, out), 0);
}

START_TEST(one_that_has_settled_is_hashed_once)
{
	uint8_t first[32], wrong[32] = {1}, again[32];
	int fd = open(exe, O_RDONLY | O_CLOEXEC);
	struct stat st;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	while (time(NULL) - SETTLED_S <= st.st_ctim.tv_sec)
		(void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	hash(fd, first);
	ck_assert_uint_eq(nknown, 1);
	memcpy(known[0].hash, wrong, sizeof(wrong));
	hash(fd, again);
	ck_assert_mem_eq(again, wrong, sizeof(wrong));
	/* any other time: it is read again */
	known[0].ctime.tv_nsec ^= 1;
	hash(fd, again);
	ck_assert_mem_eq(again, first, sizeof(first));
	ck_assert_uint_eq(nknown, 2);
	close(fd);
}
END_TEST

START_TEST(one_that_was_changed_just_now_is_read_every_time)
{
	char name[] = "/tmp/aegis-hash-XXXXXX";
	uint8_t first[32], second[32];
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(name), 0);
	ck_assert_int_eq(pwrite(fd, "one", 3, 0), 3);
	hash(fd, first);
	ck_assert_int_eq(pwrite(fd, "two", 3, 0), 3);
	hash(fd, second);
	ck_assert_mem_ne(first, second, sizeof(first));
	ck_assert_uint_eq(nknown, 0);
	close(fd);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("process_hash");
	TCase *tc = tcase_create("process_hash");
	SRunner *sr = srunner_create(s);
	int n;

	tcase_add_test(tc, one_that_has_settled_is_hashed_once);
	tcase_add_test(tc, one_that_was_changed_just_now_is_read_every_time);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	n = srunner_ntests_failed(sr);
	srunner_free(sr);
	return n != 0;
}
