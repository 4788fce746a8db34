/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks a process into the box of its role and tells how tight it became. Runs in every
 * daemon but the master, once, before anything a peer wrote is read.
 */
#include "common/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/log.h"
#include "common/sandbox_rules.h"

/* Sanitizers make calls of their own: their builds log what a real build would kill. */
#ifdef AEGIS_SANITIZE
static const bool log_only = true;
#else
static const bool log_only = false;
#endif

static void
load(unsigned int kind)
{
	struct sock_filter prog[BOX_PROG_MAX];
	size_t len = box_compile(prog, kind, log_only);

	if (len == 0)
		fatalx("the seccomp table is too long");
	if (box_load(prog, len) != 0)
		fatal("seccomp");
}

/* Only toolexec, whose tool server may, starts processes later; threads count as such. */
static void
no_more_processes(unsigned int kind)
{
	static const struct rlimit none = {0, 0};

	if (kind != BOX_TOOLEXEC && !log_only && setrlimit(RLIMIT_NPROC, &none) != 0)
		fatal("limit of processes");
}

static int
confine_files(enum role role, const struct sandbox_paths *paths)
{
	static const uint16_t dns = 53;
	struct sandbox_paths with = paths != NULL ? *paths : (struct sandbox_paths){0};
	enum box_tcp tcp = BOX_TCP_PORTS;

	if (role == ROLE_WORKER && with.nports == 0)
		tcp = BOX_TCP_ANY_CONNECT;
	if (with.variant == SANDBOX_DIALS) {
		tcp = BOX_TCP_ANY_CONNECT;
	} else if (role == ROLE_DISPATCH && with.nports == 0) {
		with.ports = &dns;
		with.nports = 1;
	}
	return box_landlock(&with, tcp);
}

void
sandbox_enter(
    enum role role, const struct sandbox_paths *paths, struct sandbox_level *out)
{
	enum sandbox_variant variant = paths != NULL ? paths->variant : SANDBOX_PLAIN;
	unsigned int kind = box_kind_of(role, variant);
	int abi;

	if (kind == 0)
		fatalx("%s has no sandbox", role_name(role));
	/* Messages may bring secrets to any role, and in the box no arena can be made. */
	if (secret_init(0) != 0)
		fatal("memory for secrets");
	priv_no_new_privs();
	abi = confine_files(role, paths);
	if (abi < 0)
		fatal("Landlock");
	if (paths != NULL && paths->start_threads != NULL)
		paths->start_threads();
	no_more_processes(kind);
	/* Asked before the filter, which has no call for it. */
	if (out != NULL)
		*out = (struct sandbox_level){
		    .enforce = !log_only,
		    .landlock = abi,
		    .no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
		    .no_caps = priv_caps_empty(),
		    .user = priv_user(),
		    .memlock = secret_level(),
		};
	if (kind == BOX_TOOLEXEC) {
		if (sandbox_tool_denylist() != 0)
			fatal("seccomp");
	} else {
		load(kind);
	}
}

void
sandbox_level_text(const struct sandbox_level *level, char *buf, size_t size)
{
	static const char *const users[] = {[PRIV_USER_CALLER] = "caller",
	    [PRIV_USER_OWN] = "own",
	    [PRIV_USER_ROOT] = "root"};
	static const char *const locks[] = {[SECRET_LEVEL_PLAIN] = "none",
	    [SECRET_LEVEL_LOCKED] = "ok",
	    [SECRET_LEVEL_HIDDEN] = "hidden"};

	(void)snprintf(buf, size,
	    "seccomp=%s landlock=%d nnp=%d caps=%s user=%s memlock=%s",
	    level->enforce ? "enforce" : "log", level->landlock,
	    level->no_new_privs ? 1 : 0, level->no_caps ? "0" : "some",
	    users[level->user], locks[level->memlock]);
}

int
sandbox_tool_files(const struct sandbox_paths *paths)
{
	return box_landlock(paths, BOX_TCP_ALL);
}

int
sandbox_tool_landlock(void)
{
	return box_landlock_abi();
}

int
sandbox_tool_denylist(void)
{
	struct sock_filter prog[BOX_PROG_MAX];
	size_t len = box_compile_deny(prog);

	if (len == 0) {
		errno = E2BIG;
		return -1;
	}
	return box_load(prog, len);
}

void
sandbox_tool_settle(void)
{
	load(BOX_TOOLEXEC);
}
