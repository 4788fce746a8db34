/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tool servers of the configuration.
 */
#include <stdlib.h>

#include "common/msg.h"
#include "toolhostd/server.h"

struct server_list servers = TAILQ_HEAD_INITIALIZER(servers);

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
	s->at_start = m->at_start != 0;
	s->state = TOOL_STOPPED;
	s->in = s->out = -1;
	buf_init(&s->to_send);
	buf_init(&s->received);
	buf_init(&s->tools);
	TAILQ_INIT(&s->calls);
	TAILQ_INSERT_TAIL(&servers, s, entry);
	return 0;
}

struct server *
server_find(uint32_t number)
{
	struct server *s;

	TAILQ_FOREACH (s, &servers, entry)
		if (s->number == number)
			return s;
	return NULL;
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
