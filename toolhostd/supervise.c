/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting, watching and ending tool servers. The master does the forking; a server that
 * does not last is started again after 0.1, 0.2, 0.4 ... at most 30 seconds, and at most
 * one second when it had answered calls.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "toolhostd/call.h"
#include "toolhostd/report.h"
#include "toolhostd/server.h"
#include "toolhostd/trial.h"

#define SPAWN_TIMEOUT_MS 10000
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 30000
#define BACKOFF_SERVED_MS 1000 /* of one that answered calls before it failed */
#define STEADY_MS 60000
#define STOP_GRACE_MS 5000 /* between SIGTERM and SIGKILL */
#define FAIL_GRACE_MS 250  /* of one that has shown that it does not obey */
#define STOP_SLACK_MS 500

static bool stopping;
static uint64_t stop_at_ms;

static const char *const state_names[] = {
    [TOOL_STOPPED] = "stopped",
    [TOOL_STARTING] = "starting",
    [TOOL_RUNNING] = "running",
    [TOOL_UNHEALTHY] = "unhealthy",
    [TOOL_FAILED] = "failed",
};

void
server_state_set(struct server *s, enum tool_state state, const char *why)
{
	bool news = s->state != state;

	if (news) {
		LOG_INFO("tool.state", LS("server", s->name),
		    LS("execution", s->execution), LS("state", state_names[state]),
		    LS("why", why));
		s->since_ms = loop_unix_ms();
	}
	s->state = state;
	snprintf(s->why, sizeof(s->why), "%s", why);
	if (s->trial != NULL)
		trial_state(s, why);
	else
		report_catalogue(s, why, news ? state : 0);
}

static void
end_process(struct server *s, uint32_t grace_ms)
{
	MSG_INIT(child_kill, m);

	m.instance = s->instance;
	m.grace_ms = grace_ms;
	if (s->instance != 0) {
		s->leaving = s->instance;
		if (proc_master() != NULL)
			chan_note(proc_master(), MSG_child_kill, &m);
	}
	s->instance = 0;
	s->pid = 0;
	mcp_close(s);
	s->control_id = 0;
	s->asked = ASKED_NOTHING;
}

static void
plan_retry(struct server *s)
{
	uint64_t wait, most;

	if (s->running_since_ms != 0 && loop_now_ms() - s->running_since_ms > STEADY_MS)
		s->failures = 0;
	s->running_since_ms = 0;
	wait =
	    s->failures >= 9 ? BACKOFF_MAX_MS : (uint64_t)BACKOFF_MIN_MS << s->failures;
	most = s->served ? BACKOFF_SERVED_MS : BACKOFF_MAX_MS;
	if (wait > most)
		wait = most;
	s->served = false;
	s->failures++;
	s->retry_at_ms = loop_now_ms() + wait;
}

void
server_fail(struct server *s, enum tool_state state, const char *why)
{
	if (s->trial == NULL)
		LOG_WARN("tool.failed", LS("server", s->name),
		    LS("execution", s->execution), LS("why", why));
	end_process(s, FAIL_GRACE_MS);
	plan_retry(s);
	snprintf(s->last_error, sizeof(s->last_error), "%s", why);
	server_state_set(s, state, why);
	call_fail_all(
	    s, OUTCOME_TOOL_DOWN, 502, "the tool server failed; it is being restarted");
}

void
server_end(struct server *s, const char *why)
{
	s->over = true;
	if (s->successor != NULL)
		server_end(s->successor, why);
	end_process(s, STOP_GRACE_MS);
	server_state_set(s, TOOL_STOPPED, why);
	call_fail_all(s, OUTCOME_TOOL_DOWN, 503, "the tool server was stopped");
}

static void
on_spawned(struct chan *master, enum chan_status status, void *msg, void *arg)
{
	struct msg_spawned *m = msg;
	struct server *s = arg;
	int in, out;

	(void)master;
	s->spawning = false;
	if (status != CHAN_OK || m->code != 0 || m->stdin_fd < 0 || m->stdout_fd < 0) {
		server_fail(s, TOOL_FAILED, "no process could be started");
		return;
	}
	s->instance = m->instance;
	s->pid = m->pid;
	s->starts++;
	in = m->stdin_fd;
	out = m->stdout_fd;
	m->stdin_fd = m->stdout_fd = -1;
	if (mcp_open(s, in, out) == -1)
		server_fail(s, TOOL_FAILED, "out of memory");
	else if (s->over || stopping) /* while we waited */
		end_process(s, FAIL_GRACE_MS);
	else if (s->trial == NULL || !trial_probes(s->trial))
		mcp_begin(s);
}

void
server_start(struct server *s)
{
	MSG_INIT(tool_spawn, m);

	/* two of them at once would be one user, and write the same files */
	if (s->spawning || s->instance != 0 || s->leaving != 0 || s->over || stopping ||
	    s->successor != NULL)
		return;
	m.server = s->number;
	m.execution = span_str(s->execution);
	m.probe = s->trial == NULL ? 0 : trial_probes(s->trial) ? 1 : 2;
	s->spawning = true;
	server_state_set(s, TOOL_STARTING, "");
	if (chan_ask(proc_master(), MSG_tool_spawn, &m, SPAWN_TIMEOUT_MS, on_spawned,
		s) == 0) {
		s->spawning = false;
		server_fail(s, TOOL_FAILED, "the master does not answer");
	}
}

void
server_boxed(uint32_t instance, struct span level)
{
	struct server *s = server_find_instance(instance);

	if (s == NULL)
		return;
	(void)span_copy(level, s->room, sizeof(s->room));
	if (s->trial == NULL)
		report_catalogue(s, s->why, 0);
}

static void
tell_exit(struct server *s, int status)
{
	char how[64];

	if (WIFEXITED(status) && WEXITSTATUS(status) <= 128)
		snprintf(
		    how, sizeof(how), "it ended with status %d", WEXITSTATUS(status));
	else
		snprintf(how, sizeof(how), "it was killed by signal %d",
		    WIFEXITED(status) ? WEXITSTATUS(status) - 128 : WTERMSIG(status));
	if (!stopping && !s->over)
		LOG_WARN("tool.exit", LS("server", s->name),
		    LS("execution", s->execution), LS("how", how));
	if (s->instance != 0) { /* we had not heard of it yet */
		server_fail(s, TOOL_UNHEALTHY, how);
		s->leaving = 0;
	} else if (s->state == TOOL_UNHEALTHY || s->state == TOOL_FAILED) {
		/* its output ended first: now we know why */
		snprintf(s->last_error, sizeof(s->last_error), "%.80s; %s", s->why, how);
		if (s->trial == NULL)
			report_catalogue(s, s->why, 0);
	}
}

void
server_exited(uint32_t instance, int status)
{
	struct server *s;

	TAILQ_FOREACH (s, &servers, entry)
		if (s->instance == instance || s->leaving == instance) {
			s->leaving = s->leaving == instance ? 0 : s->leaving;
			tell_exit(s, status);
			return;
		}
}

int
server_execution_end(struct chan *judge, uint64_t reqid, void *msg)
{
	const struct msg_execution_end *m = msg;
	struct server *s;

	(void)judge;
	(void)reqid;
	TAILQ_FOREACH (s, &servers, entry)
		if (s->of != NULL && s->trial == NULL && !s->over &&
		    s->predecessor == NULL && m->execution.len > 0 &&
		    span_eq(m->execution, s->execution))
			server_end(s, "its session is over");
	return 0;
}

/* A process of one session: ends when idle; started again by the next call only. */
static void
tick_instance(struct server *s, uint64_t now_ms)
{
	if (s->ncalls > 0 || s->predecessor != NULL)
		s->used_ms = now_ms;
	else if (!s->over && now_ms - s->used_ms >= s->instance_idle_ms)
		server_end(s, "its session did not use it");
	if (s->over && !s->spawning && s->instance == 0 && s->leaving == 0)
		server_free(s);
}

static void
tick_restart(struct server *s, uint64_t now_ms)
{
	bool wanted = s->state == TOOL_UNHEALTHY || s->state == TOOL_FAILED ||
	    (s->state == TOOL_STOPPED && (s->at_start || s->ncalls > 0));

	if (s->of != NULL)
		wanted &= s->ncalls > 0;
	if (wanted && s->max_instances == 0 && now_ms >= s->retry_at_ms)
		server_start(s);
}

void
server_tick(uint64_t now_ms)
{
	struct server *s, *next;
	bool left = false;

	for (s = TAILQ_FIRST(&servers); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		left |= s->instance != 0 || s->leaving != 0 || s->spawning;
		call_tick(s, now_ms);
		mcp_tick(s, now_ms);
		if (stopping)
			continue;
		if (s->trial == NULL)
			tick_restart(s, now_ms);
		if (s->of != NULL && s->trial == NULL)
			tick_instance(s, now_ms);
	}
	if (!stopping)
		replace_tick(now_ms);
	trial_tick(now_ms);
	if (stopping && (!left || now_ms >= stop_at_ms))
		loop_stop();
}

void
server_stop_all(void)
{
	struct server *s;

	stopping = true;
	stop_at_ms = loop_now_ms() + STOP_GRACE_MS + STOP_SLACK_MS;
	TAILQ_FOREACH (s, &servers, entry) {
		call_fail_all(s, OUTCOME_TOOL_DOWN, 503, "Aegis is shutting down");
		end_process(s, STOP_GRACE_MS);
		if (s->state != TOOL_STOPPED)
			server_state_set(s, TOOL_STOPPED, "Aegis is shutting down");
	}
}
