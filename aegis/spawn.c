/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers for the dispatcher, tool servers for toolhost: only what the configuration or a
 * credential's name allows, each bound to what it was started for.
 */
#include "aegis/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aegis/cgroup.h"
#include "aegis/child.h"
#include "aegis/config.h"
#include "aegis/sealed.h"
#include "common/log.h"
#include "common/proto.h"

#define TOOL_GRACE_MS 5000
#define TOOL_HELPERS \
	2 /* processes beside the server's: the pump and the first one, and a relay */
#define TOOL_UID_BASE 61100u /* and the server's number */
#define TOOL_UID_DYNAMIC 61200u
#define TOOL_UID_END 63200u

static const struct config *config;

void
spawn_setup(const struct config *c)
{
	config = c;
}

static int
answer(
    struct chan *c, uint64_t reqid, const struct child *child, int err, int in, int out)
{
	MSG_INIT(spawned, m);

	m.code = (uint32_t)err;
	m.message = span_str(err == 0 ? "" : strerror(err));
	m.instance = child == NULL ? 0 : child->instance;
	m.pid = child == NULL ? 0 : (uint32_t)child->pid;
	m.stdin_fd = in;
	m.stdout_fd = out;
	chan_answer(c, reqid, MSG_spawned, &m);
	return 0;
}

/* A name that goes into a process title and a path-free binding. */
static int
name_ok(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == '/')
			return 0;
	return s.len > 0;
}

/* Children there are of a kind, those that are ending too. */
static unsigned
count(enum role role)
{
	const struct child *c;
	unsigned n = 0;

	TAILQ_FOREACH (c, &children, entry)
		n += c->role == role;
	return n;
}

int
spawn_worker(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_worker_spawn *m = msg;
	const struct child *asker = chan_owner(c);
	char tenant[65], name[161];
	struct child *child;

	if (!name_ok(m->tenant) || !name_ok(m->credential) ||
	    span_copy(m->tenant, tenant, sizeof(tenant)) == -1 ||
	    span_copy(m->credential, name, sizeof(name)) == -1)
		return -1;
	if (sealed_now())
		return answer(c, reqid, NULL, EACCES, -1, -1);
	/* the dispatcher keeps to it by itself; this is for one that was taken over */
	if (count(ROLE_WORKER) >= 2 * config->max_workers)
		return answer(c, reqid, NULL, EAGAIN, -1, -1);
	child = child_start(ROLE_WORKER, tenant, name, 0, NULL, NULL);
	if (child == NULL)
		return answer(c, reqid, NULL, errno, -1, -1);
	child->asked_by = asker->instance;
	return answer(c, reqid, child, 0, -1, -1);
}

/*
 * As root: whom the server runs as. The one for all has a fixed number, since files that
 * it makes are to be its own after a restart; others take one that nobody runs as.
 */
static unsigned
tool_uid(unsigned server, bool fixed)
{
	unsigned uid = TOOL_UID_BASE + server;
	const struct child *c;

	if (geteuid() != 0)
		return 0;
	if (fixed)
		return uid;
	for (uid = TOOL_UID_DYNAMIC; uid < TOOL_UID_END; uid++) {
		TAILQ_FOREACH (c, &children, entry)
			if (c->role == ROLE_TOOLEXEC && c->uid == uid)
				break;
		if (c == NULL)
			return uid;
	}
	return 0; /* which toolexec refuses */
}

/* A server, the one that takes its place and one that is ending, for each session, and a
 * test. */
static unsigned
most_tools(void)
{
	unsigned n = 2;
	size_t i;

	for (i = 0; i < config->ntools; i++)
		n += 3 *
		    (config->tools[i].per_session ? config->tools[i].max_instances : 1);
	return n;
}

static struct child *
start_tool(const struct msg_tool_spawn *m, const int stdio[2])
{
	const struct config_tool *t = &config->tools[m->server];
	const struct cgroup_limit limit = {t->memory_mb,
	    t->processes + TOOL_HELPERS + (t->network == TOOL_NETWORK_NAMED),
	    t->cpu_millicores};
	struct child *child;
	unsigned uid;

	uid = tool_uid(m->server, m->execution.len == 0 && !m->probe);
	child =
	    child_start(ROLE_TOOLEXEC, config->tenant, t->name, m->server, stdio, &limit);
	if (child == NULL)
		return NULL;
	child->uid = uid;
	child->probe = m->probe == 1;
	(void)span_copy(m->execution, child->execution, sizeof(child->execution));
	return child;
}

int
spawn_tool(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_tool_spawn *m = msg;
	const struct child *asker = chan_owner(c);
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err;
	struct child *child = NULL;

	if (m->server >= config->ntools ||
	    (m->execution.len > 0 && !name_ok(m->execution)))
		return -1;
	if (sealed_now())
		return answer(c, reqid, NULL, EACCES, -1, -1);
	if (count(ROLE_TOOLEXEC) >= most_tools())
		return answer(c, reqid, NULL, EAGAIN, -1, -1);
	if (pipe2(in, O_CLOEXEC) == -1 || pipe2(out, O_CLOEXEC) == -1) {
		err = errno;
		if (in[0] >= 0) {
			close(in[0]);
			close(in[1]);
		}
		return answer(c, reqid, NULL, err, -1, -1);
	}
	child = start_tool(m, (const int[2]){in[0], out[1]});
	if (child == NULL) {
		err = errno;
		close(in[1]);
		close(out[0]);
		return answer(c, reqid, NULL, err, -1, -1);
	}
	child->asked_by = asker->instance;
	return answer(c, reqid, child, 0, in[1], out[0]);
}

int
spawn_kill(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_child_kill *m = msg;
	const struct child *asker = chan_owner(c);
	struct child *child = child_find(m->instance);

	(void)reqid;
	if (child == NULL)
		return 0; /* gone already */
	if (child->asked_by != asker->instance)
		return -1;
	child_end(child, m->grace_ms < TOOL_GRACE_MS ? m->grace_ms : TOOL_GRACE_MS);
	return 0;
}

int
spawn_old(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_tool_old *m = msg;
	const struct child *child = child_find(m->instance);
	struct child *asker;
	MSG_INIT(tool_old, note);

	(void)c;
	(void)reqid;
	if (child == NULL || child->role != ROLE_TOOLEXEC)
		return 0; /* gone already */
	asker = child_find(child->asked_by);
	note.instance = child->instance;
	if (asker != NULL && asker->door != NULL)
		chan_note(asker->door, MSG_tool_old, &note);
	return 0;
}

static void
tell_vault(const struct child *child)
{
	const struct child *vault = child_of_role(ROLE_VAULT);
	MSG_INIT(tool_ended, m);

	m.instance = child->instance;
	if (vault != NULL && vault->door != NULL) /* else it is told who lives */
		chan_note(vault->door, MSG_tool_ended, &m);
}

void
spawn_boxed(const struct child *child, struct span level)
{
	struct child *asker = child_find(child->asked_by);
	MSG_INIT(child_boxed, m);

	if (child->role != ROLE_TOOLEXEC || asker == NULL || asker->door == NULL)
		return;
	m.instance = child->instance;
	m.level = level;
	chan_note(asker->door, MSG_child_boxed, &m);
}

void
spawn_exited(const struct child *child, int status)
{
	struct child *asker = child_find(child->asked_by);
	MSG_INIT(child_exited, m);

	if (child->role == ROLE_TOOLEXEC) {
		cgroup_drop(child->instance);
		tell_vault(child);
	}
	if (asker == NULL || asker->door == NULL)
		return;
	m.instance = child->instance;
	m.status = (uint32_t)status;
	chan_note(asker->door, MSG_child_exited, &m);
}
