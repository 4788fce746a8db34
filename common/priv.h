/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving up what a process was started with: descriptors, dumps, limits, user,
 * capabilities. Runs in every daemon, once, before it reads anything from a peer; the
 * order is common/proc.c's. A step that does not hold is fatal(): a daemon that cannot
 * lock itself in must not start.
 */
#ifndef AEGIS_COMMON_PRIV_H
#define AEGIS_COMMON_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/role.h"

/* As whom the process runs in the end. */
enum priv_user {
	PRIV_USER_CALLER, /* not started as root: the user who started it */
	PRIV_USER_OWN,    /* started as root, dropped to a user of its own */
	PRIV_USER_ROOT    /* still root */
};

/**
 * priv_close_fds - close every descriptor but 0, 1, 2 and the @n (at most 64) in @keep.
 * 0, 1 and 2 that are closed are opened on /dev/null, so that no socket ever becomes one
 * of them.
 */
void priv_close_fds(const int *keep, size_t n);

/**
 * priv_no_dumps - no core file, no ptrace and no /proc/PID/{mem,environ} for other
 * processes of the same user: PR_SET_DUMPABLE 0 and RLIMIT_CORE 0. A change of user
 * resets the former, so priv_drop_user() sets it again; so does execve(2).
 */
void priv_no_dumps(void);

/**
 * priv_rlimits - RLIMIT_NOFILE to what @role needs and RLIMIT_STACK to 8 MiB, hard and
 * soft. Root may exceed the hard limit, others get at most it. That a process may not
 * start another is sandbox_enter()'s, since helper threads count and start in between.
 */
void priv_rlimits(enum role role);

/**
 * priv_uid_for - user and group of a role: the system user aegis-<role>, else the numbers
 * ROLE_UID_BASE + offset. Reads the user database: call before the sandbox.
 * Returns 0, or -1 for a role without a user.
 */
int priv_uid_for(enum role role, uid_t *uid, gid_t *gid);

/**
 * priv_drop_user - when started as root: empty the bounding set, drop all groups, become
 * @uid:@gid for good (0 is refused) and prove it by trying to come back. When not root,
 * @uid and
 * @gid are not used: real, effective and saved ids must be one, and root out of reach.
 */
void priv_drop_user(enum role role, uid_t uid, gid_t gid);

/**
 * priv_drop_caps - bounding and ambient sets and securebits as far as allowed, then all
 * other sets empty, read back. Of the calling thread: call before helper threads start.
 */
void priv_drop_caps(void);

/** priv_caps_empty - are all but the bounding set empty? */
bool priv_caps_empty(void);

/** priv_no_new_privs - execve(2) never gains anything again. */
void priv_no_new_privs(void);

/** priv_user - as whom this process runs now. */
enum priv_user priv_user(void);

#endif /* AEGIS_COMMON_PRIV_H */
