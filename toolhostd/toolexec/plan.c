/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: copies of what the master said. No secrets here.
 */
#include "toolhostd/toolexec/plan.h"

#include <stdlib.h>
#include <string.h>

#include "common/msg.h"
#include "common/proto.h"

struct plan plan;

/* NUL-terminated strings, one after the other, into a list of pointers. -1: malformed. */
static int
unpack(struct span s, char **list, size_t max, size_t *count)
{
	size_t n = 0, at = 0;
	char *copy;

	if (s.len == 0) {
		list[0] = NULL;
		*count = 0;
		return 0;
	}
	copy = malloc(s.len);
	if (copy == NULL || s.p[s.len - 1] != '\0') {
		free(copy);
		return -1;
	}
	memcpy(copy, s.p, s.len);
	while (at < s.len) {
		if (n == max) {
			free(copy);
			return -1;
		}
		list[n++] = copy + at;
		at += strlen(copy + at) + 1;
	}
	list[n] = NULL;
	*count = n;
	return 0; /* the copy lives as long as the process */
}

int
plan_take(void *msg)
{
	const struct msg_conf_tool_exec *m = msg;
	size_t n;

	if (span_copy(m->name, plan.name, sizeof(plan.name)) == -1 ||
	    span_copy(m->execution, plan.execution, sizeof(plan.execution)) == -1 ||
	    span_copy(m->cgroup, plan.cgroup, sizeof(plan.cgroup)) == -1 ||
	    span_copy(m->executable, plan.executable, sizeof(plan.executable)) == -1 ||
	    span_copy(m->workdir, plan.workdir, sizeof(plan.workdir)) == -1 ||
	    unpack(m->args, plan.args + 1, PLAN_LIST_MAX, &n) == -1 ||
	    unpack(m->environment, plan.environment, PLAN_LIST_MAX, &plan.nenvironment) ==
		-1 ||
	    unpack(m->hide, plan.hide, 16, &n) == -1 ||
	    unpack(m->hosts, plan.hosts, PLAN_LIST_MAX, &n) == -1 ||
	    unpack(m->paths, plan.paths, PLAN_PATHS_MAX, &plan.npaths) == -1)
		return -1;
	plan.args[0] = plan.executable;
	plan.secrets = m->secrets;
	plan.uid = m->uid;
	plan.gid = m->gid;
	if (m->network > TOOL_NETWORK_NAMED)
		return -1;
	plan.network = m->network;
	plan.memory_mb = m->memory_mb;
	plan.processes = m->processes;
	plan.probe = m->probe == 1;
	plan.max_output = m->max_output_bytes;
	return 0;
}
