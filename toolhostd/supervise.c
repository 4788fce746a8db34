/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting, watching and ending tool servers. The master does the forking; a server that
 * does not last is started again after 0.1, 0.2, 0.4 ... at most 30 seconds.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "toolhostd/call.h"
#include "toolhostd/report.h"
#include "toolhostd/server.h"

#define SPAWN_TIMEOUT_MS 10000
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 30000
#define STEADY_MS 60000

static bool stopping;

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
	if (s->state != state)
		LOG_INFO("tool.state", LS("server", s->name),
		    LS("state", state_names[state]), LS("why", why));
	s->state = state;
	report_catalogue(s, why);
}

static void
end_process(struct server *s)
{
	MSG_INIT(child_kill, m);

	m.instance = s->instance;
	if (s->instance != 0 && proc_master() != NULL)
		chan_note(proc_master(), MSG_child_kill, &m);
	s->instance = 0;
	mcp_close(s);
	s->control_id = 0;
	s->asked = ASKED_NOTHING;
}

static void
plan_retry(struct server *s)
{
	uint64_t wait;

	if (s->running_since_ms != 0 && loop_now_ms() - s->running_since_ms > STEADY_MS)
		s->failures = 0;
	s->running_since_ms = 0;
	wait =
	    s->failures >= 9 ? BACKOFF_MAX_MS : (uint64_t)BACKOFF_MIN_MS << s->failures;
	if (wait > BACKOFF_MAX_MS)
		wait = BACKOFF_MAX_MS;
	s->failures++;
	s->retry_at_ms = loop_now_ms() + wait;
}

void
server_fail(struct server *s, enum tool_state state, const char *why)
{
	LOG_WARN("tool.failed", LS("server", s->name), LS("why", why));
	end_process(s);
	plan_retry(s);
	server_state_set(s, state, why);
	call_fail_all(
	    s, OUTCOME_TOOL_DOWN, 502, "the tool server failed; it is being restarted");
}

static void
on_spawned(struct chan *master, enum chan_status status, void *msg, void *arg)
{
	struct msg_spawned *m = msg;
	struct server *s = arg;

	(void)master;
	s->spawning = false;
	if (status != CHAN_OK || m->code != 0 || m->stdin_fd < 0 || m->stdout_fd < 0) {
		server_fail(s, TOOL_FAILED, "no process could be started");
		return;
	}
	s->instance = m->instance;
	if (mcp_open(s, m->stdin_fd, m->stdout_fd) == -1) {
		m->stdin_fd = m->stdout_fd = -1;
		server_fail(s, TOOL_FAILED, "out of memory");
		return;
	}
	m->stdin_fd = m->stdout_fd = -1;
	mcp_begin(s);
}

void
server_start(struct server *s)
{
	MSG_INIT(tool_spawn, m);

	if (s->spawning || s->instance != 0 || stopping)
		return;
	m.server = s->number;
	s->spawning = true;
	server_state_set(s, TOOL_STARTING, "");
	if (chan_ask(proc_master(), MSG_tool_spawn, &m, SPAWN_TIMEOUT_MS, on_spawned,
		s) == 0) {
		s->spawning = false;
		server_fail(s, TOOL_FAILED, "the master does not answer");
	}
}

void
server_exited(struct server *s, int status)
{
	LOG_WARN("tool.exit", LS("server", s->name),
	    LI("status", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status)));
	server_fail(s, TOOL_UNHEALTHY, "it ended");
}

void
server_tick(uint64_t now_ms)
{
	struct server *s;

	TAILQ_FOREACH (s, &servers, entry) {
		call_tick(s, now_ms);
		mcp_tick(s, now_ms);
		if (!s->spawning && s->instance == 0 && now_ms >= s->retry_at_ms &&
		    (s->state == TOOL_UNHEALTHY || s->state == TOOL_FAILED ||
			(s->state == TOOL_STOPPED && s->at_start)))
			server_start(s);
	}
}

void
server_stop_all(void)
{
	struct server *s;

	stopping = true;
	TAILQ_FOREACH (s, &servers, entry) {
		call_fail_all(s, OUTCOME_TOOL_DOWN, 503, "Aegis is shutting down");
		end_process(s);
		s->state = TOOL_STOPPED;
	}
}
