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
/* Makes the group of a child that was just forked, and puts it there. */
void cgroup_make(uint32_t instance, pid_t, const struct cgroup_limit *);
/* What the child's group limits: "memory,pids,cpu"; "" when nothing. */
const char *cgroup_limits(uint32_t instance);
/* The child is gone: whoever is left in its group is killed, and the group removed. */
void cgroup_drop(uint32_t instance);
/* Removes what could not be removed at once. */
void cgroup_tick(void);

#endif
