/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A control group for each tool server, below the master's own: version 2 where its
 * controllers are ours to give, else version 1, each controller by itself. Where none can
 * be made, resource limits have to do. The master only.
 */
#ifndef AEGIS_CGROUP_H
#define AEGIS_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

struct cgroup_limit {
	unsigned memory_mb, processes, cpu_millicores;
};

/* Finds out what there is, takes away what a killed master left. Before any child. */
void cgroup_setup(void);
/* Takes away what is left, and goes back to where the master was started. */
void cgroup_end(void);
/*
 * To put a process into a group from outside the kernel waits for all processors to have
 * been elsewhere, a hundredth of a second; a child that is born in its group, or goes
 * there by itself, costs nothing. So: the group is made before the fork, cgroup_fork() in
 * place of fork(), cgroup_enter() in the child (async-signal-safe), and cgroup_settle()
 * when it has greeted, which looks whether it is there and puts it there if not. way
 * NULL: no group.
 */
struct cgroup_way {
	int two;     /* the directory of version 2, or -1 */
	int ones[3]; /* `tasks` of version 1 */
	unsigned nones;
};
void cgroup_make(uint32_t instance, const struct cgroup_limit *, struct cgroup_way *);
pid_t cgroup_fork(const struct cgroup_way *way);
void cgroup_enter(const struct cgroup_way *way);
void cgroup_way_close(struct cgroup_way *);
void cgroup_settle(uint32_t instance, pid_t);
/* What the child's group limits, once settled: "memory,pids,cpu"; "" when nothing. */
const char *cgroup_limits(uint32_t instance);
/* The child is gone: whoever is left in its group is killed, and the group removed. */
void cgroup_drop(uint32_t instance);
/* Removes what could not be removed at once. */
void cgroup_tick(void);

#endif
