/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls of each role as data: what sandbox_seccomp.c compiles and tests count.
 * Private to the sandbox and its tests.
 */
#ifndef AEGIS_COMMON_SANDBOX_RULES_H
#define AEGIS_COMMON_SANDBOX_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/filter.h>

#include "common/role.h"
#include "common/sandbox.h"

/* Columns of the table: one bit for each kind of process. */
enum box_kind {
	BOX_GATE = 1 << 0,
	BOX_JUDGE = 1 << 1,
	BOX_VAULT = 1 << 2,
	BOX_OPENBAO = 1 << 3, /* vault in front of OpenBao */
	BOX_DISPATCH = 1 << 4,
	BOX_WORKER = 1 << 5,
	BOX_TOOLHOST = 1 << 6,
	BOX_TOOLEXEC = 1 << 7,
	BOX_RELAY = 1 << 8, /* of a tool server with named hosts */
	BOX_API = 1 << 9,   /* the gate's program, for people */
};

#define BOX_CONDS 2

/* Holds when (argument & mask) == value, in the low 32 bits; with @nil the whole word is
 * 0. */
struct box_cond {
	uint8_t arg;
	bool nil;
	uint32_t mask, value;
};

/* One row: this call, for these kinds, when all conditions hold. Rows of a call are
 * or-ed. */
struct box_rule {
	int nr; /* -1: not on this architecture */
	const char *name;
	unsigned int kinds;
	unsigned int nconds;
	struct box_cond cond[BOX_CONDS];
};

/* One row: for these kinds this call answers @err instead of killing, where not allowed.
 */
struct box_errno {
	int nr;
	const char *name;
	unsigned int kinds;
	int err;
};

extern const struct box_rule box_rules[];
extern const size_t box_rules_n;
extern const struct box_errno box_errnos[];
extern const size_t box_errnos_n;

/** box_kind_of - the column of a role, or 0 when it has no box. */
unsigned int box_kind_of(enum role role, enum sandbox_variant variant);

/* Calls that a build with sanitizers makes on top; only used when refusals are logged. */
extern const int box_sanitizer[];
extern const size_t box_sanitizer_n;

/* Rows for tool servers: refused with EPERM, the errno given, when the conditions hold.
 */
struct box_deny {
	int nr;
	const char *name;
	int err;
	unsigned int nconds;
	struct box_cond cond[1];
};
extern const struct box_deny box_denies[];
extern const size_t box_denies_n;

/* Longest program: the kernel takes 4096 instructions. */
#define BOX_PROG_MAX 1024

/**
 * box_compile - the filter of @kind into @prog of BOX_PROG_MAX instructions.
 * @log: nothing is refused, what is not listed is only logged. Returns the length, 0 when
 * it does not fit.
 */
size_t box_compile(struct sock_filter *prog, unsigned int kind, bool log);

/** box_compile_deny - the deny-list of tool servers, as box_compile(). */
size_t box_compile_deny(struct sock_filter *prog);

/** box_load - install @len instructions for all threads. Returns 0, or -1 with errno. */
int box_load(struct sock_filter *prog, size_t len);

/** box_syscalls - how many different calls @kind may make. */
size_t box_syscalls(unsigned int kind);

/* What TCP a Landlock box leaves. */
enum box_tcp {
	BOX_TCP_ANY_CONNECT,
	BOX_TCP_PORTS,
	BOX_TCP_ALL /* tool servers: not its business, nor devices' ioctl */
};

/** box_landlock_abi - what the kernel has, 0 without. */
int box_landlock_abi(void);

/** box_landlock - confine this thread and its children; the ABI, 0 without, -1 with
 * errno. */
int box_landlock(const struct sandbox_paths *paths, enum box_tcp tcp);

#endif /* AEGIS_COMMON_SANDBOX_RULES_H */
