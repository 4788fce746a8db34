/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How every daemon begins and lives: one start-up path, one loop, one way to get peers.
 *
 * main() of a daemon, in this order, in every daemon:
 *	proc_begin(ROLE_X)            descriptors, environment, title, HELLO with the
 *master proc_configure(rows)          typed configuration messages until conf_done (open
 *files that only this process needs) proc_enter(&paths)            no dumps, rlimits,
 *user, capabilities, Landlock, seccomp proc_serve(peers)             READY, then the loop
 *until the master says stop
 */
#ifndef AEGIS_PROC_H
#define AEGIS_PROC_H

#include <stdint.h>

#include "common/chan.h"
#include "common/role.h"

#define MASTER_FD 3 /* where every daemon finds its door to the master */

struct sandbox_paths;

/* What conf_common said. Strings are NUL-terminated copies. */
struct proc_self {
	enum role role;
	uint32_t instance;
	char name[161]; /* of a worker: its credential; of a toolexec: its server */
	char tenant[65];
	uint32_t uid, gid;
	char dir[1025];
};

extern struct proc_self proc_self;

/* Which configuration messages this role takes, besides conf_common and conf_done. */
struct proc_conf_row {
	uint16_t type;
	int (*fn)(void *msg); /* copies what it needs; -1: fatal */
};

/* Who may be our peer and what each may say. Ends with role ROLE_NONE. */
struct proc_peer_row {
	enum role role;
	const struct permit *permits;
	/* A new door of this kind (not ready yet); returns the owner for its chan. */
	void *(*on_peer)(
	    struct chan *, uint32_t instance, const char *tenant, const char *name);
	void (*on_ready)(struct chan *, void *owner);
	void (*on_gone)(struct chan *, void *owner);
};

struct proc_serve {
	const struct proc_peer_row *peers;
	void (*on_listen)(int kind, int fd); /* takes fd; NULL: none expected */
	void (*on_stop)(uint32_t drain_ms);  /* NULL: loop_stop() at once */
	const struct permit *master_permits; /* extra notes of the master, or NULL */
};

void proc_begin(enum role, int argc, char **argv);
/* The same for toolexec, which has no use for libsodium. */
void proc_boot(enum role);
void proc_configure(const struct proc_conf_row *rows);
/* What came in one datagram with the end of the configuration, for proc_serve(). */
uint8_t *proc_boot_rest(size_t *len);
/*
 * Waits for the door to a peer without a loop (toolexec). The descriptor, greeted not
 * yet; -1 with errno.
 */
int proc_wait_peer(enum role, int timeout_ms);
/* Says READY to the master without a loop (toolexec). */
int proc_say_ready(const char *level);
void proc_enter(const struct sandbox_paths *);
/* Runs the loop; returns when it was stopped. */
void proc_serve(const struct proc_serve *);
/* fn hears of every violation by a peer of ours, besides the judge and the master. */
void proc_on_violation(
    void (*fn)(enum role, uint32_t instance, unsigned type, const char *reason));
/* Within on_peer: the execution that a toolexec's process is for, "" when for all. */
const char *proc_peer_execution(void);
/* The door to the master (descriptor 3). */
struct chan *proc_master(void);
/* Peers of a role that are ready; NULL when there is none. For roles that exist once. */
struct chan *proc_peer(enum role);

#endif
