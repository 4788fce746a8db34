/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master's children: who lives, how each is started, spoken to, ended and started
 * again.
 */
#ifndef AEGIS_CHILD_H
#define AEGIS_CHILD_H

#include <stdbool.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/chan.h"

struct cgroup_limit;
struct config;

enum child_state { CHILD_STARTING, CHILD_CONFIGURED, CHILD_READY, CHILD_ENDING };

struct child {
	TAILQ_ENTRY(child) entry;
	enum role role;
	enum child_state state;
	uint32_t instance;
	pid_t pid;
	struct chan *door; /* control, descriptor 3 over there */
	char tenant[65];
	char name[161];     /* worker: credential, toolexec: server */
	char execution[65]; /* toolexec: the session it is for, "" when for all */
	unsigned uid;       /* toolexec: as root, whom its server runs as */
	bool serving;       /* judge: it has said so */
	bool stale;         /* it began with a configuration that was then refused */
	bool probe;         /* toolexec: no server, only what one could reach */
	unsigned index;     /* gate: worker number, toolexec: tool server number */
	uint32_t asked_by;  /* instance that wanted it; 0: the master itself */
	uint64_t ask_id;    /* question that wanted it, until answered */
	uint64_t born_ms, kill_at_ms;
};

TAILQ_HEAD(child_list, child);
extern struct child_list children;

void child_setup(const struct config *);
/*
 * Forks and executes the program of a role. stdio: descriptors for 0 and 1 over there, or
 * -1 for /dev/null (0) and our standard error (1); taken. limit: of a control group of
 * its own, or NULL. NULL on failure with errno.
 */
struct child *child_start(enum role, const char *tenant, const char *name, unsigned index,
    const int stdio[2], const struct cgroup_limit *limit);
/* SIGTERM now, SIGKILL after grace_ms. */
void child_end(struct child *, unsigned grace_ms);
struct child *child_find(uint32_t instance);
struct child *child_find_pid(pid_t);
/* The first of a role that is configured, or NULL. */
struct child *child_of_role(enum role);
/* Called for each child that is gone; frees it. */
void child_reaped(struct child *, int status);
/* SIGKILLs whose grace is over; called on a tick. */
void child_tick(uint64_t now_ms);

/* From master.c: what to do when a child becomes configured, ready or is reaped. */
void master_on_configured(struct child *);
void master_on_ready(struct child *);
void master_on_serving(void);
void master_on_exit(struct child *, int status);

#endif
