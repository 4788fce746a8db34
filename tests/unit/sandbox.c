/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the seccomp tables and their compiler: a small interpreter runs the
 * programs over every call number and compares with the tables, read in the plainest way.
 */
#include "common/sandbox_rules.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/seccomp.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

#define KINDS 10
#define CALLS 600
#define KILL SECCOMP_RET_KILL_PROCESS
#define ALLOW SECCOMP_RET_ALLOW

static struct sock_filter prog[BOX_PROG_MAX];
static size_t prog_len;

/* Classic BPF as far as we use it; anything else is a failure. */
static uint32_t
run(const struct seccomp_data *d)
{
	const struct sock_filter *i;
	uint32_t acc = 0;
	size_t pc = 0;

	while (pc < prog_len) {
		i = &prog[pc++];
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k > sizeof *d - 4 || i->k % 4 != 0)
				abort();
			memcpy(&acc, (const char *)d + i->k, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			acc &= i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += acc == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += acc >= i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			abort();
		}
	}
	abort();
}

static uint32_t
call(long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	struct seccomp_data d = {
	    .nr = (int)nr, .arch = ARCH, .args = {a0, a1, a2, a3, a4, 0}};

	return run(&d);
}

static void
use(unsigned int kind, bool log)
{
	prog_len = box_compile(prog, kind, log);
	ck_assert_uint_gt(prog_len, 0);
}

/* The tables read one row after the other. */
static uint32_t
plainly(unsigned int kind, int nr, const uint64_t *args)
{
	size_t i, c;

	for (i = 0; i < box_rules_n; i++) {
		const struct box_rule *r = &box_rules[i];
		bool all = true;

		if (r->nr != nr || (r->kinds & kind) == 0)
			continue;
		for (c = 0; c < r->nconds; c++) {
			uint64_t v = args[r->cond[c].arg];

			if (r->cond[c].nil)
				all &= v == 0;
			else
				all &=
				    ((uint32_t)v & r->cond[c].mask) == r->cond[c].value;
		}
		if (all)
			return ALLOW;
	}
	for (i = 0; i < box_errnos_n; i++)
		if (box_errnos[i].nr == nr && (box_errnos[i].kinds & kind) != 0)
			return SECCOMP_RET_ERRNO | (uint32_t)box_errnos[i].err;
	return KILL;
}

START_TEST(programs_say_what_tables_say)
{
	static const uint64_t words[] = {0, 1, 2, 3, 4, 6, 7, 9, 10, 16, 17, 41, 0x1000,
	    0x80001, 0x80801, 0x541b, 0xffffffff, 0x100000002, 0xffffffff00000001,
	    CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 1030, 1033, 1034};
	const size_t n = sizeof words / sizeof words[0];
	uint64_t args[6] = {0};
	unsigned int k, wrong = 0;
	size_t a, b, c;
	int nr;

	for (k = 0; k < KINDS; k++) {
		use(1u << k, false);
		for (nr = 0; nr < CALLS; nr++) {
			for (a = 0; a < n; a++) {
				for (b = 0; b < n; b++) {
					args[0] = args[3] = words[a];
					args[1] = args[4] = words[b];
					for (c = 0; c < n; c += 3 + (size_t)(nr % 3)) {
						args[2] = words[c];
						wrong += call(nr, args[0], args[1],
							     args[2], args[3], args[4]) !=
						    plainly(1u << k, nr, args);
					}
				}
			}
		}
	}
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(other_architectures_and_x32_die)
{
	struct seccomp_data d = {.nr = SYS_read, .arch = 0x40000003};
	unsigned int k;

	for (k = 0; k < KINDS; k++) {
		use(1u << k, false);
		ck_assert_uint_eq(run(&d), KILL);
		ck_assert_uint_eq(call(SYS_read, 0, 0, 0, 0, 0), ALLOW);
		ck_assert_uint_eq(call(SYS_read | 0x40000000, 0, 0, 0, 0, 0), KILL);
		ck_assert_uint_eq(call(-1, 0, 0, 0, 0, 0), KILL);
		use(1u << k, true);
		ck_assert_uint_eq(run(&d), KILL);
	}
	prog_len = box_compile_deny(prog);
	ck_assert_uint_gt(prog_len, 0);
	ck_assert_uint_eq(run(&d), KILL);
	ck_assert_uint_eq(call(SYS_ptrace | 0x40000000, 0, 0, 0, 0, 0), KILL);
	ck_assert_uint_eq(call(SYS_read | 0x40000000, 0, 0, 0, 0, 0), KILL);
}
END_TEST

/* What no box may ever allow, whatever the arguments. */
START_TEST(no_box_allows_these)
{
	static const long never[] = {SYS_execve, SYS_execveat, SYS_ptrace, SYS_bpf,
	    SYS_mount, SYS_unshare, SYS_setns, SYS_io_uring_setup, SYS_perf_event_open,
	    SYS_userfaultfd, SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_open,
	    SYS_pidfd_getfd, SYS_keyctl, SYS_chroot, SYS_setuid, SYS_setresuid,
	    SYS_capset, SYS_seccomp, SYS_listen, SYS_bind, SYS_prctl, SYS_memfd_secret,
	    SYS_clone3, SYS_kexec_load, SYS_init_module};
	unsigned int k, allowed = 0;
	size_t i;

	for (k = 0; k < KINDS; k++) {
		use(1u << k, false);
		for (i = 0; i < sizeof never / sizeof never[0]; i++)
			allowed += call(never[i], 0, 0, 0, 0, 0) == ALLOW;
		/* Executable memory, with every other bit that mmap() might get. */
		allowed += call(SYS_mmap, 0, 4096, PROT_EXEC, MAP_PRIVATE, 0) == ALLOW;
		allowed += call(SYS_mmap, 0, 4096, ~0ull, MAP_PRIVATE, 0) == ALLOW;
		allowed +=
		    call(SYS_mprotect, 0, 4096, PROT_READ | PROT_EXEC, 0, 0) == ALLOW;
	}
	ck_assert_uint_eq(allowed, 0);
}
END_TEST

START_TEST(gate_has_no_way_out)
{
	static const long none[] = {SYS_socket, SYS_connect, SYS_openat, SYS_clone,
	    SYS_kill, SYS_unlinkat, SYS_pwrite64};
	size_t i;

	use(BOX_API, false); /* it hands nothing on */
	for (i = 0; i < sizeof none / sizeof none[0]; i++)
		ck_assert_uint_ne(call(none[i], AF_INET, SOCK_STREAM, 0, 0, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 0, 0), KILL);
	ck_assert_uint_eq(call(SYS_memfd_create, 0, MFD_CLOEXEC, 0, 0, 0), KILL);
	ck_assert_uint_eq(call(SYS_fcntl, 3, F_DUPFD_CLOEXEC, 0, 0, 0), KILL);
	use(BOX_GATE, false);
	for (i = 0; i < sizeof none / sizeof none[0]; i++)
		ck_assert_uint_ne(call(none[i], AF_INET, SOCK_STREAM, 0, 0, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 0, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_socketpair, AF_INET, SOCK_STREAM, 0, 0, 0), KILL);
	/* send() but not sendto(): an address makes the difference, in either half of it.
	 */
	ck_assert_uint_eq(call(SYS_sendto, 3, 0, 0, 0, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_sendto, 3, 0, 0, 0, 1), KILL);
	ck_assert_uint_eq(call(SYS_sendto, 3, 0, 0, 0, 1ull << 32), KILL);
	ck_assert_uint_eq(call(SYS_fcntl, 3, F_SETFL, 0, 0, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_fcntl, 3, F_SETOWN, 0, 0, 0), KILL);
}
END_TEST

START_TEST(callers_out_are_bounded)
{
	use(BOX_WORKER, false);
	ck_assert_uint_eq(
	    call(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, 0, 0), ALLOW);
	ck_assert_uint_ne(call(SYS_socket, AF_INET, SOCK_DGRAM, 0, 0, 0), ALLOW);
	ck_assert_uint_ne(call(SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_openat, 0, 0, O_RDONLY | O_CLOEXEC, 0, 0), ALLOW);
	ck_assert_uint_eq(
	    call(SYS_openat, 0, 0, O_WRONLY, 0, 0), SECCOMP_RET_ERRNO | EACCES);
	ck_assert_uint_eq(
	    call(SYS_openat, 0, 0, O_RDONLY | O_TRUNC, 0, 0), SECCOMP_RET_ERRNO | EACCES);
	use(BOX_DISPATCH, false);
	ck_assert_uint_eq(
	    call(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0), KILL);
	ck_assert_uint_eq(call(SYS_clone, SIGCHLD, 0, 0, 0, 0), KILL);
	use(BOX_VAULT, false);
	ck_assert_uint_eq(call(SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0), KILL);
	use(BOX_OPENBAO, false);
	ck_assert_uint_eq(call(SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0), ALLOW);
}
END_TEST

START_TEST(lists_stay_short)
{
	ck_assert_uint_le(box_syscalls(BOX_GATE), 40);
	ck_assert_uint_le(box_syscalls(BOX_API), 34);
	ck_assert_uint_le(box_syscalls(BOX_JUDGE), 40);
	ck_assert_uint_le(box_syscalls(BOX_VAULT), 40);
	ck_assert_uint_le(box_syscalls(BOX_DISPATCH), 40);
	ck_assert_uint_le(box_syscalls(BOX_WORKER), 40);
	ck_assert_uint_le(box_syscalls(BOX_TOOLHOST), 40);
	ck_assert_uint_le(box_syscalls(BOX_TOOLEXEC), 40);
	ck_assert_uint_le(box_syscalls(BOX_RELAY), 25);
}
END_TEST

START_TEST(log_mode_refuses_nothing)
{
	unsigned int k, wrong = 0;
	uint32_t fate;
	int nr;

	for (k = 0; k < KINDS; k++) {
		use(1u << k, true);
		for (nr = 0; nr < CALLS; nr++) {
			fate = call(nr, 0, 0, 0, 0, 0);
			wrong += fate != ALLOW && fate != SECCOMP_RET_LOG;
		}
		wrong += call(SYS_execve, 0, 0, 0, 0, 0) != SECCOMP_RET_LOG;
	}
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(tools_are_denied_by_number_and_flag)
{
	size_t i;

	prog_len = box_compile_deny(prog);
	ck_assert_uint_gt(prog_len, 0);
	for (i = 0; i < box_denies_n; i++) {
		const struct box_deny *d = &box_denies[i];
		uint64_t args[6] = {0};

		if (d->nr < 0)
			continue;
		if (d->nconds == 1)
			args[d->cond[0].arg] = d->cond[0].value;
		ck_assert_uint_eq(
		    call(d->nr, args[0], args[1], args[2], args[3], args[4]),
		    SECCOMP_RET_ERRNO | (uint32_t)d->err);
		/* Upper bits do not get around it. */
		if (d->nconds == 1) {
			args[d->cond[0].arg] |= 0xabcdull << 32;
			ck_assert_uint_eq(
			    call(d->nr, args[0], args[1], args[2], args[3], args[4]),
			    SECCOMP_RET_ERRNO | (uint32_t)d->err);
		}
	}
	ck_assert_uint_eq(call(SYS_clone, SIGCHLD, 0, 0, 0, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_execve, 0, 0, 0, 0, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, 0), ALLOW);
	ck_assert_uint_eq(call(SYS_ioctl, 0, TIOCGWINSZ, 0, 0, 0), ALLOW);
}
END_TEST

START_TEST(only_boxed_roles_have_a_box)
{
	ck_assert_uint_eq(box_kind_of(ROLE_MASTER, SANDBOX_PLAIN), 0);
	ck_assert_uint_eq(box_kind_of(ROLE_ADMIN, SANDBOX_PLAIN), 0);
	ck_assert_uint_eq(box_kind_of(ROLE_NONE, SANDBOX_PLAIN), 0);
	ck_assert_uint_eq(box_kind_of(ROLE_VAULT, SANDBOX_PLAIN), BOX_VAULT);
	ck_assert_uint_eq(box_kind_of(ROLE_VAULT, SANDBOX_OPENBAO), BOX_OPENBAO);
	ck_assert_uint_eq(box_kind_of(ROLE_GATE, SANDBOX_OPENBAO), BOX_GATE);
}
END_TEST

START_TEST(level_text_fits)
{
	struct sandbox_level level = {.enforce = true,
	    .landlock = 7,
	    .no_new_privs = true,
	    .no_caps = true,
	    .user = PRIV_USER_OWN,
	    .memlock = SECRET_LEVEL_LOCKED};
	char text[128], small[10];

	sandbox_level_text(&level, text, sizeof text);
	ck_assert_str_eq(
	    text, "seccomp=enforce landlock=7 nnp=1 caps=0 user=own memlock=ok");
	sandbox_level_text(&level, small, sizeof small);
	ck_assert_str_eq(small, "seccomp=e");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, programs_say_what_tables_say);
	tcase_add_test(tc, other_architectures_and_x32_die);
	tcase_add_test(tc, no_box_allows_these);
	tcase_add_test(tc, gate_has_no_way_out);
	tcase_add_test(tc, callers_out_are_bounded);
	tcase_add_test(tc, lists_stay_short);
	tcase_add_test(tc, log_mode_refuses_nothing);
	tcase_add_test(tc, tools_are_denied_by_number_and_flag);
	tcase_add_test(tc, only_boxed_roles_have_a_box);
	tcase_add_test(tc, level_text_fits);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
