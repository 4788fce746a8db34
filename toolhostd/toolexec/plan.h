/* SPDX-License-Identifier: Apache-2.0 */
/* What toolexec was told to run. */
#ifndef AEGIS_TOOLEXEC_PLAN_H
#define AEGIS_TOOLEXEC_PLAN_H

#include <stddef.h>
#include <stdint.h>

#define PLAN_LIST_MAX 256
#define PLAN_PATHS_MAX 64
#define PLAN_WRITE 'w' /* first character of a path that may be written; others: 'r' */

struct plan {
	char name[65];
	char execution[65]; /* the session it is for, "" when for all */
	char cgroup[65];    /* what its control group limits */
	char executable[1025];
	char workdir[1025];
	char
	    *args[PLAN_LIST_MAX + 2]; /* with the program's name first, NULL-terminated */
	char *environment[PLAN_LIST_MAX + 1];
	char *hide[16 + 1];
	char *paths[PLAN_PATHS_MAX + 1]; /* with the character in front */
	size_t nenvironment, npaths;
	uint32_t secrets, uid, gid, memory_mb, processes;
	uint64_t max_output;
	int network;                    /* enum tool_network */
	char *hosts[PLAN_LIST_MAX + 1]; /* that it may reach, when they are named */
	int probe;                      /* not the program: what could it reach? */
	int no_proc; /* found out on the way: the kernel allowed none */
};

extern struct plan plan;

/* Takes conf_tool_exec. 0 or -1. */
int plan_take(void *msg);

#endif
