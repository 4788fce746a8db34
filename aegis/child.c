/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and ending processes: the only fork and execve of the system.
 */
#include "aegis/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aegis/accuse.h"
#include "aegis/cgroup.h"
#include "aegis/confsend.h"
#include "aegis/numbers.h"
#include "aegis/openbao.h"
#include "aegis/policies.h"
#include "aegis/process.h"
#include "aegis/reload.h"
#include "aegis/sealed.h"
#include "aegis/spawn.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/sandbox.h"
#include "common/stats.h"

struct child_list children = TAILQ_HEAD_INITIALIZER(children);
static const struct config *config;
static uint32_t last_instance;

static int on_ready_note(struct chan *, uint64_t, void *);
static int on_serving_note(struct chan *, uint64_t, void *);

/* What a child may say to its master: by role, because only two may ask for processes,
 * one about them and for a reload, and one for the secret id. */
static const struct permit permit_plain[] = {
    {MSG_ready, CHAN_READY, PERMIT_ONCE, on_ready_note},
    {MSG_misbehaved, CHAN_READY, 0, accuse_peer},
    PERMIT_LAST,
};
static const struct permit permit_judge[] = {
    {MSG_ready, CHAN_READY, PERMIT_ONCE, on_ready_note},
    {MSG_misbehaved, CHAN_READY, 0, accuse_peer},
    {MSG_serving, CHAN_READY, PERMIT_ONCE, on_serving_note},
    {MSG_process_ask, CHAN_READY, 0, process_ask},
    {MSG_reload_want, CHAN_READY, 0, reload_want},
    {MSG_stats, CHAN_READY, 0, stats_asked},
    {MSG_policy_reload, CHAN_READY, 0, policies_asked},
    {MSG_seal_want, CHAN_READY, 0, sealed_want},
    PERMIT_LAST,
};
static const struct permit permit_dispatcher[] = {
    {MSG_ready, CHAN_READY, PERMIT_ONCE, on_ready_note},
    {MSG_misbehaved, CHAN_READY, 0, accuse_peer},
    {MSG_worker_spawn, CHAN_READY, 0, spawn_worker},
    {MSG_child_kill, CHAN_READY, 0, spawn_kill},
    PERMIT_LAST,
};
static const struct permit permit_toolhost[] = {
    {MSG_ready, CHAN_READY, PERMIT_ONCE, on_ready_note},
    {MSG_misbehaved, CHAN_READY, 0, accuse_peer},
    {MSG_tool_spawn, CHAN_READY, 0, spawn_tool},
    {MSG_child_kill, CHAN_READY, 0, spawn_kill},
    PERMIT_LAST,
};

static const struct permit permit_vault[] = {
    {MSG_ready, CHAN_READY, PERMIT_ONCE, on_ready_note},
    {MSG_misbehaved, CHAN_READY, 0, accuse_peer},
    {MSG_secret_id_want, CHAN_READY, 0, openbao_secret_id},
    {MSG_tool_old, CHAN_READY, 0, spawn_old},
    {MSG_key_joined, CHAN_READY, 0, sealed_key},
    {MSG_key_want, CHAN_READY, 0, sealed_lend},
    PERMIT_LAST,
};

static const struct permit *
permits_of(enum role role)
{
	if (role == ROLE_DISPATCH)
		return permit_dispatcher;
	if (role == ROLE_VAULT)
		return permit_vault;
	if (role == ROLE_JUDGE)
		return permit_judge;
	return role == ROLE_TOOLHOST ? permit_toolhost : permit_plain;
}

static const char *
program_of(enum role role)
{
	switch (role) {
	case ROLE_GATE:
		return "gated";
	case ROLE_API:
		return "gated-api";
	case ROLE_JUDGE:
		return "keymasterd-judge";
	case ROLE_VAULT:
		return "keymasterd-vault";
	case ROLE_DISPATCH:
		return "egressd-dispatcher";
	case ROLE_WORKER:
		return "egressd-worker";
	case ROLE_TOOLHOST:
		return "toolhostd";
	case ROLE_TOOLEXEC:
		return "toolexec";
	default:
		return NULL;
	}
}

void
child_setup(const struct config *c)
{
	config = c;
}

/* Runs in the child between fork and execve: async-signal-safe calls only. */
static void
become(const char *path, char *title, int control, const int stdio[2],
    const struct cgroup_way *way)
{
	char *argv[] = {title, NULL};
	char *envp[] = {NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), in, out;
	sigset_t none;

	cgroup_enter(way);
	in = stdio[0] >= 0 ? stdio[0] : null;
	out = stdio[1] >= 0 ? stdio[1] : 2;
	if (control == 3)
		(void)fcntl(3, F_SETFD, 0);
	/* in and out may be 3: move them away before 3 is overwritten */
	in = fcntl(in, F_DUPFD_CLOEXEC, 10);
	out = fcntl(out, F_DUPFD_CLOEXEC, 10);
	if (in == -1 || out == -1 || (control != 3 && dup2(control, 3) == -1) ||
	    dup2(in, 0) == -1 || dup2(out, 1) == -1)
		_exit(126);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(path, argv, envp);
	_exit(127);
}

static void
door_ready(struct chan *c, void *owner)
{
	struct child *child = owner;

	(void)c;
	if (child->role == ROLE_TOOLEXEC)
		cgroup_settle(child->instance, child->pid);
	if (confsend_child(child, config) == -1) {
		LOG_ERROR("child.configure", LS("child", role_name(child->role)));
		child_end(child, 0);
		return;
	}
	child->state = CHILD_CONFIGURED;
	master_on_configured(child);
}

static void
door_gone(struct chan *c, void *owner)
{
	struct child *child = owner;

	(void)c;
	child->door = NULL;
	child_end(child, 1000); /* without its control door it is no use */
}

struct child *
child_start(enum role role, const char *tenant, const char *name, unsigned index,
    const int stdio[2], const struct cgroup_limit *limit)
{
	static const int none[2] = {-1, -1};
	struct chan_conf conf = {.own_role = ROLE_MASTER,
	    .peer_role = role,
	    .permits = permits_of(role),
	    .on_ready = door_ready,
	    .on_gone = door_gone};
	struct child *child = calloc(1, sizeof(*child));
	const char *dir = secure_getenv("AEGIS_LIBEXEC");
	char path[1024], title[256];
	struct cgroup_way way, *into = NULL;
	int pair[2] = {-1, -1}, saved;

	if (stdio == NULL)
		stdio = none;
	if (child == NULL ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		goto fail;
	if (snprintf(path, sizeof(path), "%s/%s", dir != NULL ? dir : AEGIS_LIBEXECDIR,
		program_of(role)) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		goto fail;
	}
	if (role == ROLE_GATE)
		snprintf(title, sizeof(title), "%s %u", role_info(role)->title, index);
	else if (name[0] != '\0')
		snprintf(title, sizeof(title), "%s %s", role_info(role)->title, name);
	else
		snprintf(title, sizeof(title), "%s", role_info(role)->title);
	child->role = role;
	child->index = index;
	child->instance = ++last_instance;
	child->born_ms = loop_now_ms();
	snprintf(child->tenant, sizeof(child->tenant), "%s", tenant);
	snprintf(child->name, sizeof(child->name), "%s", name);
	numbers_started(role);
	if (limit != NULL) {
		cgroup_make(child->instance, limit, &way);
		into = &way;
	}
	child->pid = cgroup_fork(into);
	if (child->pid == 0)
		become(path, title, pair[1], stdio, into);
	saved = errno;
	if (into != NULL)
		cgroup_way_close(into);
	errno = saved;
	if (child->pid == -1) {
		cgroup_drop(child->instance);
		errno = saved;
		goto fail;
	}
	close(pair[1]);
	if (stdio[0] >= 0)
		close(stdio[0]);
	if (stdio[1] >= 0)
		close(stdio[1]);
	conf.peer_instance = child->instance;
	conf.owner = child;
	TAILQ_INSERT_TAIL(&children, child, entry);
	child->door = chan_new(loop_base(), pair[0], &conf);
	LOG_DEBUG("child.start", LS("role", role_name(role)), LS("name", name),
	    LU("instance", child->instance), LI("child_pid", child->pid));
	return child;
fail:
	saved = errno;
	if (pair[0] >= 0) {
		close(pair[0]);
		close(pair[1]);
	}
	if (stdio[0] >= 0)
		close(stdio[0]);
	if (stdio[1] >= 0)
		close(stdio[1]);
	free(child);
	errno = saved;
	return NULL;
}

void
child_end(struct child *child, unsigned grace_ms)
{
	uint64_t at = loop_now_ms() + grace_ms;

	if (child->state != CHILD_ENDING || at < child->kill_at_ms)
		child->kill_at_ms = at;
	if (child->state != CHILD_ENDING)
		kill(child->pid, grace_ms == 0 ? SIGKILL : SIGTERM);
	child->state = CHILD_ENDING;
}

void
child_tick(uint64_t now_ms)
{
	struct child *c;

	TAILQ_FOREACH (c, &children, entry)
		if (c->state == CHILD_ENDING && now_ms >= c->kill_at_ms)
			kill(c->pid, SIGKILL);
}

struct child *
child_find(uint32_t instance)
{
	struct child *c;

	TAILQ_FOREACH (c, &children, entry)
		if (c->instance == instance)
			return c;
	return NULL;
}

struct child *
child_find_pid(pid_t pid)
{
	struct child *c;

	TAILQ_FOREACH (c, &children, entry)
		if (c->pid == pid)
			return c;
	return NULL;
}

struct child *
child_of_role(enum role role)
{
	struct child *c;

	TAILQ_FOREACH (c, &children, entry)
		if (c->role == role &&
		    (c->state == CHILD_CONFIGURED || c->state == CHILD_READY))
			return c;
	return NULL;
}

void
child_reaped(struct child *child, int status)
{
	TAILQ_REMOVE(&children, child, entry);
	child->state = CHILD_ENDING;
	if (child->door != NULL) {
		chan_owner_set(child->door, child);
		child->kill_at_ms = UINT64_MAX;
		chan_drop(child->door, "the process ended");
	}
	master_on_exit(child, status);
	free(child);
}

static int
on_ready_note(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_ready *m = msg;
	struct child *child = chan_owner(c);

	(void)reqid;
	if (child->state == CHILD_CONFIGURED) {
		child->state = CHILD_READY;
		spawn_boxed(child, m->level);
		master_on_ready(child);
	}
	return 0;
}

static int
on_serving_note(struct chan *c, uint64_t reqid, void *msg)
{
	struct child *child = chan_owner(c);

	(void)reqid;
	(void)msg;
	child->serving = true;
	master_on_serving();
	return 0;
}
