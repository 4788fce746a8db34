/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toolhostd: supervises tool servers and speaks MCP with them. Holds no secret; trusts
 * neither gate nor tool servers.
 */
#include <event2/event.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/sandbox.h"
#include "common/secret.h"
#include "toolhostd/call.h"
#include "toolhostd/permit.h"
#include "toolhostd/report.h"
#include "toolhostd/server.h"
#include "toolhostd/trial.h"

#define TICK_MS 50

static const struct proc_conf_row conf_rows[] = {
    {MSG_conf_tool, server_add},
    {0, NULL},
};

static void
judge_ready(struct chan *c, void *owner)
{
	(void)c;
	(void)owner;
	report_all();
	mcp_report_all();
}

static void
judge_gone(struct chan *c, void *owner)
{
	(void)owner;
	trial_judge_gone(c);
}

static void
gate_gone(struct chan *c, void *owner)
{
	(void)owner;
	call_gate_gone(c);
}

static const struct proc_peer_row peers[] = {
    {ROLE_GATE, permit_toolhost_gate, NULL, NULL, gate_gone},
    {ROLE_JUDGE, permit_toolhost_judge, NULL, judge_ready, judge_gone},
    {ROLE_NONE, NULL, NULL, NULL, NULL},
};

static int
on_child_exited(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_child_exited *m = msg;

	(void)c;
	(void)reqid;
	server_exited(m->instance, (int)m->status);
	return 0;
}

static int
on_child_boxed(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_child_boxed *m = msg;

	(void)c;
	(void)reqid;
	server_boxed(m->instance, m->level);
	return 0;
}

static int
on_tool_old(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_tool_old *m = msg;

	(void)c;
	(void)reqid;
	server_replace(m->instance);
	return 0;
}

static const struct permit master_permits[] = {
    {MSG_tool_old, CHAN_READY, 0, on_tool_old},
    {MSG_child_exited, CHAN_READY, 0, on_child_exited},
    {MSG_child_boxed, CHAN_READY, 0, on_child_boxed},
    PERMIT_LAST,
};

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	server_tick(loop_now_ms());
}

static void
on_stop(uint32_t drain_ms)
{
	(void)drain_ms;
	server_stop_all();
}

int
main(int argc, char **argv)
{
	static const struct timeval tick = {.tv_usec = TICK_MS * 1000};
	static const struct proc_serve serve = {
	    .peers = peers, .on_stop = on_stop, .master_permits = master_permits};
	struct event *e;

	proc_begin(ROLE_TOOLHOST, argc, argv);
	proc_configure(conf_rows);
	/* the grant key's memory: not to be had any more once we are boxed */
	if (secret_init(SECRET_ARENA_DEFAULT) == -1 || call_setup() == -1)
		fatalx("out of memory");
	proc_enter(NULL);
	e = event_new(loop_base(), -1, EV_PERSIST, on_tick, NULL);
	if (e == NULL || event_add(e, &tick) == -1)
		fatalx("no timer");
	proc_serve(&serve);
	return 0;
}
