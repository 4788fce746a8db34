/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of common/secret.c: copies, limits, wiping, what a fork and /proc see.
 */
#include "common/secret.c" /* the arena's map is looked at */

#include <check.h>
#include <stdio.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <openssl/crypto.h>

#include <event2/event.h>
#include <openssl/crypto.h>

static int
cmp_octets(const void *p, size_t len, void *arg)
{
	return memcmp(p, arg, len);
}

static int
note_address(const void *p, size_t len, void *arg)
{
	(void)len;
	*(const unsigned char **)arg = p;
	return 0;
}

static size_t
units_used(void)
{
	size_t i, n = 0;

	for (i = 0; i < arena.units; i++)
		n += arena.used[i] != 0;
	return n;
}

START_TEST(new_copies_and_compares)
{
	char text[] = "hunter2 and more";
	struct secret *a = secret_new(text, sizeof text), *b, *c;

	ck_assert_ptr_nonnull(a);
	ck_assert_uint_eq(secret_len(a), sizeof text);
	ck_assert_int_eq(secret_use(a, cmp_octets, text), 0);
	b = secret_new_take(text, sizeof text);
	ck_assert_ptr_nonnull(b);
	ck_assert_int_eq(text[0], 0);
	ck_assert_int_eq(text[15], 0);
	ck_assert(secret_eq(a, b));
	ck_assert(secret_eq_mem(a, "hunter2 and more", 17));
	ck_assert(!secret_eq_mem(a, "hunter2 and more", 16));
	ck_assert(!secret_eq_mem(a, "hunter3 and more", 17));
	c = secret_new("", 0);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(secret_len(c), 0);
	ck_assert(!secret_eq(a, c));
	ck_assert(!secret_eq(a, NULL));
	ck_assert(!secret_eq(NULL, NULL));
	ck_assert_str_eq(secret_fmt(a), "[REDACTED]");
	ck_assert_str_eq(secret_fmt(NULL), "[REDACTED]");
	ck_assert_uint_eq(secret_len(NULL), 0);
	secret_free(a);
	secret_free(b);
	secret_free(c);
	secret_free(NULL);
	ck_assert_uint_eq(units_used(), 0);
}
END_TEST

START_TEST(free_wipes)
{
	struct secret *s = secret_new_random(200);
	const unsigned char *at;
	size_t i;

	ck_assert_ptr_nonnull(s);
	secret_use(s, note_address, &at);
	for (i = 0; i < 200 && at[i] == 0; i++)
		;
	ck_assert_uint_lt(i, 200);
	secret_free(s);
	for (i = 0; i < 200; i++)
		ck_assert_uint_eq(at[i], 0);
}
END_TEST

START_TEST(arena_is_bounded_and_reused)
{
	struct secret *s[64], *big;
	size_t n;

	ck_assert_int_eq(secret_init(16384), 0);
	ck_assert_int_eq(secret_init(1 << 20), 0); /* ignored */
	ck_assert_uint_eq(arena.units * UNIT, 16384);
	ck_assert_ptr_null(secret_new_random(16385));
	ck_assert_int_eq(errno, ENOMEM);
	for (n = 0; n < 64; n++) {
		s[n] = secret_new_random(1000);
		if (s[n] == NULL)
			break;
	}
	ck_assert_uint_eq(n, 16); /* 1000 octets take 1024 */
	ck_assert_ptr_null(secret_new("x", 1));
	ck_assert_int_eq(errno, ENOMEM);
	secret_free(s[3]);
	secret_free(s[4]);
	big = secret_new_random(2048); /* only in the hole of the two */
	ck_assert_ptr_nonnull(big);
	ck_assert_ptr_null(secret_new("x", 1));
	secret_free(big);
	while (n-- > 0)
		if (n != 3 && n != 4)
			secret_free(s[n]);
	ck_assert_uint_eq(units_used(), 0);
}
END_TEST

/* Neighbours never share octets, whatever the order of new and free. */
START_TEST(neighbours_do_not_touch)
{
	struct secret *s[40] = {NULL};
	unsigned char mark[300];
	unsigned int seed = 7;
	size_t len[40] = {0};
	int round, k;

	for (round = 0; round < 4000; round++) {
		seed = seed * 1103515245u + 12345u;
		k = (int)(seed >> 16) % 40;
		memset(mark, k + 1, sizeof mark);
		if (s[k] != NULL) {
			ck_assert(secret_eq_mem(s[k], mark, len[k]));
			secret_free(s[k]);
			s[k] = NULL;
		} else {
			len[k] = (seed >> 8) % sizeof mark;
			s[k] = secret_new(mark, len[k]);
			ck_assert_ptr_nonnull(s[k]);
		}
	}
	for (k = 0; k < 40; k++)
		secret_free(s[k]);
	ck_assert_uint_eq(units_used(), 0);
}
END_TEST

static long
fill_ten(void *p, size_t max, void *arg)
{
	long claim = *(long *)arg;

	memset(p, 'x', max < 10 ? max : 10);
	return claim;
}

START_TEST(fill_trims_and_checks)
{
	long claim = 10;
	struct secret *s = secret_new_fill(1000, fill_ten, &claim);

	ck_assert(secret_eq_mem(s, "xxxxxxxxxx", 10));
	ck_assert_uint_eq(units_used(), 1);
	secret_free(s);
	claim = 1001;
	ck_assert_ptr_null(secret_new_fill(1000, fill_ten, &claim));
	ck_assert_int_eq(errno, EINVAL);
	claim = -1;
	ck_assert_ptr_null(secret_new_fill(1000, fill_ten, &claim));
	ck_assert_uint_eq(units_used(), 0);
}
END_TEST

START_TEST(take_fd_reads_pipe_and_memfd)
{
	struct secret *s;
	int p[2], fd;

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(write(p[1], "abc", 3), 3);
	close(p[1]);
	s = secret_new_take_fd(p[0], 3);
	ck_assert(secret_eq_mem(s, "abc", 3));
	ck_assert_int_eq(close(p[0]), -1);
	secret_free(s);

	fd = memfd_create("t", 0);
	ck_assert_int_eq(write(fd, "abcdef", 6), 6);
	s = secret_new_take_fd(fd, 64);
	ck_assert(secret_eq_mem(s, "abcdef", 6));
	secret_free(s);

	fd = memfd_create("t", 0);
	ck_assert_int_eq(write(fd, "abcdef", 6), 6);
	ck_assert_ptr_null(secret_new_take_fd(fd, 5));
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(close(fd), -1);
	ck_assert_ptr_null(secret_new_take_fd(-1, 5));
	ck_assert_uint_eq(units_used(), 0);
}
END_TEST

/* The child has no copy; its old handles are empty, and new secrets work. */
START_TEST(fork_leaves_secrets_behind)
{
	struct secret *s = secret_new("canary", 6), *t;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (secret_len(s) != 0 || secret_eq_mem(s, "canary", 6))
			_exit(1);
		t = secret_new("child", 5);
		if (!secret_eq_mem(t, "child", 5) || secret_eq(s, t))
			_exit(2);
		secret_free(s);
		_exit(secret_eq_mem(t, "child", 5) ? 0 : 3);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(secret_eq_mem(s, "canary", 6));
	secret_free(s);
}
END_TEST

/* Asks the kernel, so that no handler of SIGSEGV is in the way. */
static bool
readable(const void *at)
{
	int p[2];
	bool ok;

	if (pipe(p) != 0)
		abort();
	ok = syscall(SYS_write, p[1], at, 1) == 1;
	close(p[0]);
	close(p[1]);
	return ok;
}

START_TEST(memory_of_parent_is_gone_after_fork)
{
	struct secret *s = secret_new("canary", 6);
	const unsigned char *at;
	pid_t pid;
	int status;

	secret_use(s, note_address, &at);
	ck_assert(readable(at));
	pid = fork();
	if (pid == 0)
		_exit(readable(at) ? 1 : 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	secret_free(s);
}
END_TEST

START_TEST(guards_stand_on_both_sides)
{
	ck_assert_int_eq(secret_init(4096), 0);
	ck_assert(readable(arena.base));
	ck_assert(readable(arena.base + 4095));
	ck_assert(!readable(arena.base + 4096));
	ck_assert(!readable(arena.base - 1));
}
END_TEST

START_TEST(hidden_memory_is_not_in_proc_mem)
{
	struct secret *s = secret_new("canary", 6);
	const unsigned char *at;
	unsigned char buf[6] = {0};
	ssize_t n;
	int fd;

	secret_use(s, note_address, &at);
	fd = open("/proc/self/mem", O_RDONLY);
	ck_assert_int_ge(fd, 0);
	n = pread(fd, buf, sizeof buf, (off_t)(uintptr_t)at);
	if (secret_level() == SECRET_LEVEL_HIDDEN)
		ck_assert_int_lt(n, 0);
	else
		ck_assert_int_eq(n, 6);
	/* Never in a core file, whichever level: "dd" is VM_DONTDUMP. */
	{
		char line[512], want[32];
		bool in = false, dd = false;
		FILE *f = fopen("/proc/self/smaps", "r");

		snprintf(want, sizeof want, "%lx-", (unsigned long)(uintptr_t)arena.base);
		while (fgets(line, sizeof line, f) != NULL) {
			if (strncmp(line, want, strlen(want)) == 0)
				in = true;
			if (in && strncmp(line, "VmFlags:", 8) == 0) {
				dd = strstr(line, " dd") != NULL &&
				    strstr(line, " dc") != NULL;
				break;
			}
		}
		fclose(f);
		ck_assert(dd);
	}
	close(fd);
	secret_free(s);
}
END_TEST

START_TEST(small_limit_is_reported_not_fatal)
{
	struct rlimit rl = {0, 0};
	struct secret *s;

	if (getuid() == 0)
		ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &rl), 0);
	ck_assert_int_eq(secret_init(65536), 0);
	ck_assert_int_eq(secret_level(), SECRET_LEVEL_PLAIN);
	ck_assert_str_eq(secret_level_text(), "none");
	s = secret_new("still works", 11);
	ck_assert(secret_eq_mem(s, "still works", 11));
	secret_free(s);
}
END_TEST

START_TEST(level_is_named)
{
	ck_assert_int_eq(secret_init(0), 0);
	ck_assert_int_eq(secret_init_openssl(16384), 0);
	ck_assert_int_ge(secret_level(), SECRET_LEVEL_LOCKED);
	ck_assert_str_ne(secret_level_text(), "none");
}
END_TEST

START_TEST(zero_heap_wipes)
{
	static unsigned char seen[4000];
	struct event_base *base;
	struct iovec local, remote;
	unsigned char *p, *q;
	size_t i;

	ck_assert_int_eq(secret_zero_heap_install(), 0);
	/* Through OpenSSL: realloc moves, and the old block is wiped. */
	p = OPENSSL_malloc(4000);
	memset(p, 0x5a, 4000);
	q = OPENSSL_realloc(p, 400000);
	ck_assert_ptr_ne(p, q);
	for (i = 0; i < 4000; i++)
		ck_assert_uint_eq(q[i], 0x5a);
	local = (struct iovec){seen, sizeof seen};
	remote = (struct iovec){p, sizeof seen};
	ck_assert_int_eq(
	    syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0), 4000);
	for (i = 0; i < 4000; i++)
		ck_assert_uint_ne(seen[i], 0x5a);
	OPENSSL_free(q);
	ck_assert_ptr_null(secret_zero_realloc(secret_zero_malloc(10), 0));
	secret_zero_free(NULL);
	p = secret_zero_realloc(NULL, 100);
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_eq(secret_zero_realloc(p, 90), p);
	secret_zero_free(p);
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	event_base_free(base);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("secret");
	TCase *tc = tcase_create("secret");
	SRunner *run;
	int failed;

	tcase_add_test(tc, new_copies_and_compares);
	tcase_add_test(tc, free_wipes);
	tcase_add_test(tc, arena_is_bounded_and_reused);
	tcase_add_test(tc, neighbours_do_not_touch);
	tcase_add_test(tc, fill_trims_and_checks);
	tcase_add_test(tc, take_fd_reads_pipe_and_memfd);
	tcase_add_test(tc, fork_leaves_secrets_behind);
	tcase_add_test(tc, memory_of_parent_is_gone_after_fork);
	tcase_add_test(tc, guards_stand_on_both_sides);
	tcase_add_test(tc, hidden_memory_is_not_in_proc_mem);
	tcase_add_test(tc, small_limit_is_reported_not_fatal);
	tcase_add_test(tc, level_is_named);
	tcase_add_test(tc, zero_heap_wipes);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed == 0 ? 0 : 1;
}
