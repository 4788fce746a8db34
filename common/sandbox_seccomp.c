/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From tables to a seccomp filter. Runs once in every daemon, on constants only. The
 * program is a plain chain, one block for each call, each ending in an answer: short
 * enough to check by eye, and the kernel remembers which calls are always allowed and
 * does not run it for those.
 */
#include "common/sandbox_rules.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/seccomp.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "no seccomp table was ever tried on this architecture"
#endif

/* Numbers from here on are the x32 way to call, never used by us. */
#define X32_BIT 0x40000000u

struct asm_prog {
	struct sock_filter *p;
	size_t n;
	bool full;
};

static void
emit(struct asm_prog *a, struct sock_filter ins)
{
	if (a->n < BOX_PROG_MAX)
		a->p[a->n++] = ins;
	else
		a->full = true;
}

static void
emit_load(struct asm_prog *a, size_t offset)
{
	emit(a, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void
emit_ret(struct asm_prog *a, uint32_t what)
{
	emit(a, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

/* "If the register is not @k, go to where patch() is called later." */
static size_t
emit_unless(struct asm_prog *a, uint32_t k)
{
	emit(a, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, 0));
	return a->n - 1;
}

static void
patch(struct asm_prog *a, size_t jump)
{
	size_t over = a->n - jump - 1;

	if (over > UINT8_MAX)
		a->full = true;
	else
		a->p[jump].jf = (uint8_t)over;
}

/* Arguments are 64 bits, least significant word first on the architectures above. */
static size_t
arg_offset(const struct box_cond *c, bool high)
{
	return offsetof(struct seccomp_data, args) + 8u * c->arg + (high ? 4u : 0u);
}

/* @what when all conditions hold, else on to the next instruction. */
static void
emit_row(struct asm_prog *a, const struct box_cond *c, unsigned int n, uint32_t what)
{
	size_t jumps[2 * BOX_CONDS], nj = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		emit_load(a, arg_offset(&c[i], false));
		if (c[i].nil) {
			jumps[nj++] = emit_unless(a, 0);
			emit_load(a, arg_offset(&c[i], true));
			jumps[nj++] = emit_unless(a, 0);
			continue;
		}
		if (c[i].mask != UINT32_MAX)
			emit(a,
			    (struct sock_filter)BPF_STMT(
				BPF_ALU | BPF_AND | BPF_K, c[i].mask));
		jumps[nj++] = emit_unless(a, c[i].value);
	}
	emit_ret(a, what);
	while (nj > 0)
		patch(a, jumps[--nj]);
}

/* Kills what was compiled for another architecture, then loads the number of the call. */
static void
emit_head(struct asm_prog *a)
{
	emit_load(a, offsetof(struct seccomp_data, arch));
	emit(a, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
	emit_ret(a, SECCOMP_RET_KILL_PROCESS);
	emit_load(a, offsetof(struct seccomp_data, nr));
}

static bool
is_row(size_t i, unsigned int kind, int nr)
{
	return (box_rules[i].kinds & kind) != 0 && box_rules[i].nr == nr;
}

/* Has a row above @i been about the same call? */
static bool
seen(size_t i, unsigned int kind)
{
	size_t k;

	for (k = 0; k < i; k++)
		if (is_row(k, kind, box_rules[i].nr))
			return true;
	return false;
}

/* The answer for a call whose rows do not apply. */
static uint32_t
otherwise(int nr, unsigned int kind, bool log)
{
	size_t i;

	if (log)
		return SECCOMP_RET_LOG;
	for (i = 0; i < box_errnos_n; i++)
		if (box_errnos[i].nr == nr && (box_errnos[i].kinds & kind) != 0)
			return SECCOMP_RET_ERRNO | (uint32_t)box_errnos[i].err;
	return SECCOMP_RET_KILL_PROCESS;
}

/* All rows of one call. */
static void
emit_call(struct asm_prog *a, size_t first, unsigned int kind, bool log)
{
	int nr = box_rules[first].nr;
	size_t i, next = emit_unless(a, (uint32_t)nr);

	for (i = first; i < box_rules_n; i++) {
		if (!is_row(i, kind, nr))
			continue;
		emit_row(a, box_rules[i].cond, box_rules[i].nconds, SECCOMP_RET_ALLOW);
		if (box_rules[i].nconds == 0)
			break;
	}
	if (i == box_rules_n)
		emit_ret(a, otherwise(nr, kind, log));
	patch(a, next);
}

size_t
box_compile(struct sock_filter *prog, unsigned int kind, bool log)
{
	struct asm_prog a = {.p = prog};
	size_t i, next;

	emit_head(&a);
	for (i = 0; i < box_rules_n; i++)
		if (is_row(i, kind, box_rules[i].nr) && box_rules[i].nr >= 0 &&
		    !seen(i, kind))
			emit_call(&a, i, kind, log);
	for (i = 0; i < box_errnos_n && !log; i++) {
		if (box_errnos[i].nr < 0 || (box_errnos[i].kinds & kind) == 0)
			continue;
		next = emit_unless(&a, (uint32_t)box_errnos[i].nr);
		emit_ret(&a, SECCOMP_RET_ERRNO | (uint32_t)box_errnos[i].err);
		patch(&a, next);
	}
	for (i = 0; i < box_sanitizer_n && log; i++) {
		next = emit_unless(&a, (uint32_t)box_sanitizer[i]);
		emit_ret(&a, SECCOMP_RET_ALLOW);
		patch(&a, next);
	}
	emit_ret(&a, log ? SECCOMP_RET_LOG : SECCOMP_RET_KILL_PROCESS);
	return a.full ? 0 : a.n;
}

size_t
box_compile_deny(struct sock_filter *prog)
{
	struct asm_prog a = {.p = prog};
	const struct box_deny *d;
	size_t next;

	emit_head(&a);
	/* An allow-list never names an x32 number; a deny-list has to. */
	emit(&a, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
	emit_ret(&a, SECCOMP_RET_KILL_PROCESS);
	for (d = box_denies; d < box_denies + box_denies_n; d++) {
		if (d->nr < 0)
			continue;
		next = emit_unless(&a, (uint32_t)d->nr);
		emit_row(&a, d->cond, d->nconds, SECCOMP_RET_ERRNO | (uint32_t)d->err);
		if (d->nconds > 0)
			emit_load(&a, offsetof(struct seccomp_data, nr));
		patch(&a, next);
	}
	emit_ret(&a, SECCOMP_RET_ALLOW);
	return a.full ? 0 : a.n;
}

int
box_load(struct sock_filter *prog, size_t len)
{
	struct sock_fprog f = {.len = (unsigned short)len, .filter = prog};
	long rc =
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &f);

	if (rc > 0)
		errno = ESRCH; /* the number of a thread that could not be boxed */
	return rc == 0 ? 0 : -1;
}

size_t
box_syscalls(unsigned int kind)
{
	size_t i, n = 0;

	for (i = 0; i < box_rules_n; i++)
		n += is_row(i, kind, box_rules[i].nr) && box_rules[i].nr >= 0 &&
		    !seen(i, kind);
	return n;
}
