/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The box a process locks itself into: Landlock for files, TCP ports and signals, then a
 * seccomp allow-list for its role. Runs in every daemon but the master, after
 * common/priv.h's steps and before the first octet of a peer. What the kernel lacks of
 * Landlock is missing and reported; without seccomp a daemon does not start.
 */
#ifndef AEGIS_COMMON_SANDBOX_H
#define AEGIS_COMMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/priv.h"
#include "common/role.h"
#include "common/secret.h"

/* What may be done below a path (or with a file); add up. */
enum sandbox_access {
	SANDBOX_READ = 1,  /* read files, list directories */
	SANDBOX_WRITE = 2, /* write, create, rename, remove files and directories */
	SANDBOX_EXEC = 4,  /* execute: for tool servers only */
	SANDBOX_MAYBE = 8, /* no error when the path does not exist */
	SANDBOX_ALL = 16   /* whatever can be done to files: for tool servers only */
};

struct sandbox_path {
	const char *path;
	unsigned int access;
};

/* Roles that come in more than one kind. */
enum sandbox_variant {
	SANDBOX_PLAIN,
	SANDBOX_OPENBAO, /* ROLE_VAULT that keeps its keys in OpenBao: may connect */
	SANDBOX_DIALS,   /* ROLE_DISPATCH that connects for tool servers: to any port */
	SANDBOX_RELAY    /* ROLE_TOOLEXEC's process that passes octets of its server */
};

/* What one process needs beyond its role's table. All zero is the tightest box. */
struct sandbox_paths {
	const struct sandbox_path *list;
	size_t n;
	enum sandbox_variant variant;
	/* TCP ports it may connect to; none given: any for a worker, 53 for the
	 * dispatcher, none for all others. */
	const uint16_t *ports;
	size_t nports;
	/* Starts helper threads, when files are confined already and the filter is not
	 * loaded yet: later no process or thread can be started. NULL: none. */
	void (*start_threads)(void);
};

/* What was reached; for the log line and the master. */
struct sandbox_level {
	bool enforce; /* false: sanitizer build, refused calls are logged only */
	int landlock; /* ABI of the kernel, 0 without */
	bool no_new_privs;
	bool no_caps;
	enum priv_user user;
	enum secret_level memlock;
};

/**
 * sandbox_enter - lock this process in. There is no way out and no way to do it twice.
 * @paths: may be NULL. @out: may be NULL.
 * Order: an arena for secrets if there is none, no_new_privs, Landlock, helper threads,
 * RLIMIT_NPROC 0, seccomp on all threads. Forbidden system calls kill the process; those
 * that libraries try and cope with get an errno. ROLE_TOOLEXEC gets its tool server's
 * box, see sandbox_tool_files(): it still has to start it. fatal() when a step fails, and
 * for roles that have no box (master, admin).
 */
void sandbox_enter(
    enum role role, const struct sandbox_paths *paths, struct sandbox_level *out);

/**
 * sandbox_level_text - "seccomp=enforce landlock=7 nnp=1 caps=0 user=own memlock=hidden".
 * Always NUL-terminated; 128 octets are enough.
 */
void sandbox_level_text(const struct sandbox_level *level, char *buf, size_t size);

/**
 * sandbox_tool_files - Landlock for a tool server: only @paths, no signals to and no
 * abstract sockets of others. TCP is its network namespace's business. Needs
 * no_new_privs. Returns the ABI, 0 without Landlock, -1 with errno.
 */
int sandbox_tool_files(const struct sandbox_paths *paths);

/** sandbox_tool_landlock - the kernel's Landlock ABI, 0 without. */
int sandbox_tool_landlock(void);

/**
 * sandbox_tool_denylist - seccomp for a tool server, the last step before exec:
 * everything that attacks the kernel or other processes is refused with EPERM, other
 * architectures are killed. A deny-list, because tool servers are programs of all kinds.
 * Needs no_new_privs. Returns 0, or -1 with errno.
 */
int sandbox_tool_denylist(void);

/**
 * sandbox_tool_settle - for toolexec once its tool server runs: from now on only pump
 * octets, wait for the child and signal it. Adds an allow-list on top of the deny-list;
 * fatal() on failure.
 */
void sandbox_tool_settle(void);

#endif /* AEGIS_COMMON_SANDBOX_H */
