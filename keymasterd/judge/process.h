/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes at the other end of local connections. A gate brings the connection's
 * descriptor; who is there says the kernel, and the master reads the rest. Judge only.
 */
#ifndef AEGIS_JUDGE_PROCESS_H
#define AEGIS_JUDGE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/chan.h"
#include "keymasterd/judge/store.h"

struct process {
	uint64_t id;       /* random: only the gate that brought it can name it */
	struct chan *gate; /* NULL: gone while the master was asked */
	uint64_t reqid;
	uint32_t uid;
	bool asked; /* the master has not answered yet */
	bool has_hash;
	uint8_t sha256[32];
	char exe[1025], cgroup[1025]; /* "" when not known */
	TAILQ_ENTRY(process) link;
};

/* Handlers of permit.c. */
int process_seen(struct chan *, uint64_t reqid, void *msg);
int process_gone(struct chan *, uint64_t reqid, void *msg);
/* NULL: no such process, or 0. */
const struct process *process_by_id(uint64_t id);
/* Does this agent have to be a certain process? */
bool process_required(const struct store_agent *);
/* This gate's door is shut. */
void process_gate_gone(const struct chan *);

#endif
