/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workload is an agent when the process that connected is the one that was required:
 * user, program, cgroup. Judge only. The facts are the kernel's and the master's; no gate
 * can say them.
 */
#include <fnmatch.h>
#include <stddef.h>
#include <string.h>

#include "common/hex.h"
#include "keymasterd/judge/attest_method.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/process.h"

static int
exe_differs(const struct store_agent *want, const struct process *p)
{
	char hex[65];

	if (want->proc_exe[0] != '\0' && strcmp(want->proc_exe, p->exe) != 0)
		return 1;
	if (want->proc_sha256[0] == '\0')
		return 0;
	return !p->has_hash ||
	    hex_encode(p->sha256, sizeof p->sha256, hex, sizeof hex) < 0 ||
	    strcmp(want->proc_sha256, hex) != 0;
}

static int
check(struct attest_ask *a, const char **why)
{
	const struct store_agent *want = &a->agent->row;
	const struct process *p;

	if (!process_required(want))
		return 0;
	p = process_by_id(a->process);
	if (p == NULL) {
		*why = "This agent must come over the gate's local socket, as a certain "
		       "process";
		return -1;
	}
	if (want->proc_uid >= 0 && (uint64_t)want->proc_uid != p->uid) {
		*why = "The process runs as another user than the agent's";
		return -1;
	}
	if (exe_differs(want, p)) {
		*why = "The process runs another program than the agent's";
		return -1;
	}
	if (want->proc_cgroup[0] != '\0' &&
	    (p->cgroup[0] == '\0' || fnmatch(want->proc_cgroup, p->cgroup, 0) != 0)) {
		*why = "The process runs in another cgroup than the agent's";
		return -1;
	}
	return 0;
}

const struct attest_method attest_by_process = {"process", check};
