/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tool servers of the configuration, and their processes for single sessions.
 */
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "common/msg.h"
#include "toolhostd/server.h"

struct server_list servers = TAILQ_HEAD_INITIALIZER(servers);

static void
begin(struct server *s)
{
	s->state = TOOL_STOPPED;
	s->since_ms = loop_unix_ms();
	s->in = s->out = -1;
	buf_init(&s->to_send);
	buf_init(&s->received);
	buf_init(&s->tools);
	TAILQ_INIT(&s->calls);
	TAILQ_INSERT_TAIL(&servers, s, entry);
}

int
server_add(void *msg)
{
	const struct msg_conf_tool *m = msg;
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL || span_copy(m->name, s->name, sizeof(s->name)) == -1 ||
	    span_copy(m->health_method, s->health_method, sizeof(s->health_method)) ==
		-1) {
		free(s);
		return -1;
	}
	s->number = m->server;
	s->health_interval_ms = m->health_interval_ms;
	s->health_timeout_ms = m->health_timeout_ms;
	s->call_timeout_ms = m->call_timeout_ms;
	s->max_output = m->max_output_bytes;
	s->at_start = m->at_start != 0 && m->max_instances == 0;
	s->max_instances = m->max_instances;
	s->instance_idle_ms = m->instance_idle_ms;
	begin(s);
	return 0;
}

struct server *
server_clone(struct server *of, struct span execution)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL || span_copy(execution, s->execution, sizeof(s->execution)) == -1) {
		free(s);
		return NULL;
	}
	memcpy(s->name, of->name, sizeof(s->name));
	memcpy(s->health_method, of->health_method, sizeof(s->health_method));
	s->number = of->number;
	s->health_interval_ms = of->health_interval_ms;
	s->health_timeout_ms = of->health_timeout_ms;
	s->call_timeout_ms = of->call_timeout_ms;
	s->max_output = of->max_output;
	s->instance_idle_ms = of->instance_idle_ms;
	s->of = of;
	s->used_ms = loop_now_ms();
	begin(s);
	return s;
}

void
server_free(struct server *s)
{
	replace_forget(s);
	TAILQ_REMOVE(&servers, s, entry);
	mcp_close(s);
	buf_free(&s->tools);
	free(s);
}

struct server *
server_find(uint32_t number)
{
	struct server *s;

	TAILQ_FOREACH (s, &servers, entry)
		if (s->number == number && s->of == NULL)
			return s;
	return NULL;
}

struct server *
server_for(uint32_t number, struct span execution, bool *full)
{
	struct server *of = server_find(number), *s;
	unsigned n = 0;

	*full = false;
	if (of == NULL || of->max_instances == 0)
		return of == NULL || execution.len > 0 ? NULL : of;
	if (execution.len == 0)
		return NULL;
	TAILQ_FOREACH (s, &servers, entry) {
		if (s->of != of || s->trial != NULL || s->predecessor != NULL)
			continue;
		if (!s->over && span_eq(execution, s->execution))
			return s;
		n++;
	}
	*full = n >= of->max_instances;
	return *full ? NULL : server_clone(of, execution);
}

struct server *
server_find_instance(uint32_t instance)
{
	struct server *s;

	TAILQ_FOREACH (s, &servers, entry)
		if (s->instance == instance && instance != 0)
			return s;
	return NULL;
}

void
server_sum_up(const struct server *of, struct server_sum *sum)
{
	/* one that runs makes the server run; else the most hopeful word about any */
	static const int rank[] = {[TOOL_STOPPED] = 0,
	    [TOOL_FAILED] = 1,
	    [TOOL_UNHEALTHY] = 2,
	    [TOOL_STARTING] = 3,
	    [TOOL_RUNNING] = 4};
	const struct server *s;

	*sum = (struct server_sum){.state = of->state, .shown = of};
	TAILQ_FOREACH (s, &servers, entry) {
		if ((s != of && s->of != of) || s->trial != NULL)
			continue;
		sum->processes += s->instance != 0;
		sum->restarts += s->starts > 1 ? s->starts - 1 : 0;
		if (rank[s->state] > rank[sum->state]) {
			sum->state = s->state;
			sum->shown = s;
		}
	}
}
