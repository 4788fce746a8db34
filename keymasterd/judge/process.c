/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of processes; see process.h. Judge only. A gate that was taken over can bring
 * connections that it has, and no others: what is said of them is not its word.
 */
#include "keymasterd/judge/process.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/msg.h"
#include "common/proc.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/registry.h"

#define MASTER_MS 3000
#define EACH_MAX 4096 /* of one gate */

static TAILQ_HEAD(, process) processes = TAILQ_HEAD_INITIALIZER(processes);
static struct map by_id;

bool
process_required(const struct store_agent *a)
{
	return a->proc_uid >= 0 || a->proc_exe[0] != '\0' || a->proc_sha256[0] != '\0' ||
	    a->proc_cgroup[0] != '\0';
}

const struct process *
process_by_id(uint64_t id)
{
	const struct process *p = id == 0 ? NULL : map_get(&by_id, &id, sizeof id);

	return p != NULL && !p->asked ? p : NULL;
}

static void
drop(struct process *p)
{
	map_del(&by_id, &p->id, sizeof p->id);
	TAILQ_REMOVE(&processes, p, link);
	free(p);
}

static int
answer(struct chan *gate, uint64_t reqid, uint64_t id)
{
	MSG_INIT(process_known, m);

	m.process = id;
	return chan_answer(gate, reqid, MSG_process_known, &m);
}

static void
on_facts(struct chan *master, enum chan_status status, void *msg, void *arg)
{
	const struct msg_process_facts *m = msg;
	struct process *p = arg;

	(void)master;
	p->asked = false;
	if (p->gate == NULL) {
		drop(p);
		return;
	}
	if (status == CHAN_OK && m->code == 0) {
		(void)span_copy(m->exe, p->exe, sizeof p->exe);
		(void)span_copy(m->cgroup, p->cgroup, sizeof p->cgroup);
		p->has_hash = m->has_hash == 1;
		memcpy(p->sha256, m->sha256, sizeof p->sha256);
	}
	(void)answer(p->gate, p->reqid, p->id);
}

/* What any agent requires that is not in the socket itself. */
static void
wanted(bool *proc, bool *hash)
{
	const struct agent *a;

	*proc = *hash = false;
	TAILQ_FOREACH (a, &agents, link) {
		*hash |= a->row.proc_sha256[0] != '\0';
		*proc |= a->row.proc_exe[0] != '\0' || a->row.proc_cgroup[0] != '\0' ||
		    a->row.proc_sha256[0] != '\0';
	}
}

static struct process *
new_process(struct chan *gate, uint32_t uid)
{
	struct process *p;
	unsigned n = 0;

	TAILQ_FOREACH (p, &processes, link)
		n += p->gate == gate;
	if (n >= EACH_MAX || (p = calloc(1, sizeof *p)) == NULL)
		return NULL;
	p->gate = gate;
	p->uid = uid;
	do
		judge_random(&p->id, sizeof p->id);
	while (p->id == 0);
	if (map_put(&by_id, &p->id, sizeof p->id, p) != 0) {
		free(p);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&processes, p, link);
	return p;
}

int
process_seen(struct chan *gate, uint64_t reqid, void *msg)
{
	struct msg_process_seen *m = msg;
	struct ucred cred = {0};
	socklen_t len = sizeof cred;
	struct process *p;
	bool proc, hash;
	MSG_INIT(process_ask, q);

	/* of anything but a local connection the kernel names no process */
	if (getsockopt(m->conn, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 ||
	    cred.pid <= 0 || (p = new_process(gate, cred.uid)) == NULL)
		return answer(gate, reqid, 0);
	wanted(&proc, &hash);
	if (!proc)
		return answer(gate, reqid, p->id);
	p->reqid = reqid;
	q.conn = m->conn;
	q.hash = hash;
	m->conn = -1;
	p->asked =
	    chan_ask(proc_master(), MSG_process_ask, &q, MASTER_MS, on_facts, p) != 0;
	return p->asked ? 0 : answer(gate, reqid, p->id);
}

int
process_gone(struct chan *gate, uint64_t reqid, void *msg)
{
	const struct msg_process_gone *m = msg;
	struct process *p = map_get(&by_id, &m->process, sizeof m->process);

	(void)reqid;
	if (p != NULL && p->gate == gate && !p->asked)
		drop(p);
	return 0;
}

void
process_gate_gone(const struct chan *gate)
{
	struct process *p, *next;

	for (p = TAILQ_FIRST(&processes); p != NULL; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->gate != gate)
			continue;
		if (p->asked)
			p->gate = NULL;
		else
			drop(p);
	}
}
