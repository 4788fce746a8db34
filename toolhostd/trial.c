/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test of a tool server; see trial.h. There is one at a time; the judge sees to that.
 */
#include "toolhostd/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chan.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "toolhostd/server.h"

#define PROBE_MS 10000
#define START_MS 25000
#define ATTEMPTS_MAX 16384
#define TOOLS_MAX 32768

static struct trial {
	enum { IDLE, PROBING, STARTING, OVER } step;
	struct chan *judge; /* NULL: gone */
	uint64_t reqid, began_ms, due_ms;
	struct server *server; /* of this step */
	struct server *of;
	struct buf attempts, tools;
	uint32_t start_ms;
	char message[200], level[257];
	bool failed;
} trial;

bool
trial_probes(const struct trial *t)
{
	return t->step == PROBING;
}

static void
next_step(void)
{
	uint64_t now = loop_now_ms();

	trial.step++;
	trial.began_ms = now;
	trial.due_ms = now + (trial.step == PROBING ? PROBE_MS : START_MS);
	trial.server = server_clone(trial.of, span_str(""));
	if (trial.server == NULL) {
		trial.step = OVER;
		trial.failed = true;
		return;
	}
	trial.server->trial = &trial;
	server_start(trial.server);
}

int
trial_begin(struct chan *judge, uint64_t reqid, void *msg)
{
	const struct msg_tool_try *m = msg;

	MSG_INIT(tool_tried, no);

	no.code = ADMIN_FAILED;
	no.message = span_str("another test is under way");
	if (trial.step != IDLE)
		return chan_answer(judge, reqid, MSG_tool_tried, &no);
	no.message = span_str("there is no such tool server");
	if ((trial.of = server_find(m->server)) == NULL)
		return chan_answer(judge, reqid, MSG_tool_tried, &no);
	trial.judge = judge;
	trial.reqid = reqid;
	next_step();
	return 0;
}

void
trial_judge_gone(struct chan *judge)
{
	if (trial.judge == judge)
		trial.judge = NULL;
}

void
trial_line(struct server *s, const uint8_t *line, size_t len)
{
	struct json_doc d;

	(void)s;
	json_init(&d);
	if (len <= ATTEMPTS_MAX && json_parse(&d, line, len, NULL) == JSON_OK &&
	    json_type(&d, json_root(&d)) == JT_ARRAY && trial.attempts.len == 0)
		(void)buf_put(&trial.attempts, line, len);
	json_free(&d);
}

/* The names of the tools that it listed. */
static void
take_names(const struct server *s)
{
	struct buf array;
	struct json_iter it;
	struct json_doc d;
	struct jsonw w;
	const uint8_t *p;
	uint32_t name;
	size_t len;

	buf_init(&array);
	json_init(&d);
	jsonw_init(&w, &trial.tools);
	jsonw_arr_open(&w);
	if (buf_putc(&array, '[') == 0 &&
	    buf_put(&array, s->tools.p, s->tools.len) == 0 &&
	    buf_putc(&array, ']') == 0 &&
	    json_parse(&d, array.p, array.len, NULL) == JSON_OK) {
		json_iter_init(&it, &d, json_root(&d));
		while (json_iter_next(&it, &d)) {
			name = json_get(&d, it.value, "name");
			if (json_raw(&d, name, &p, &len) == 0 &&
			    trial.tools.len + len < TOOLS_MAX - 2)
				jsonw_raw(&w, p, len);
		}
	}
	jsonw_arr_close(&w);
	json_free(&d);
	buf_free(&array);
}

void
trial_state(struct server *s, const char *why)
{
	if (s != trial.server || s->over)
		return;
	if (trial.step == STARTING && s->state == TOOL_RUNNING) {
		trial.start_ms = (uint32_t)(loop_now_ms() - trial.began_ms);
		take_names(s);
		s->over = true; /* ended on the next tick: it is in use right now */
	} else if (s->state == TOOL_UNHEALTHY || s->state == TOOL_FAILED) {
		/* a probe ends by itself once it has said all */
		if (trial.step == STARTING || trial.attempts.len == 0) {
			trial.failed = true;
			snprintf(trial.message, sizeof(trial.message), "%s", why);
		}
		s->over = true;
	}
}

static void
answer(void)
{
	MSG_INIT(tool_tried, m);

	m.code = trial.failed ? ADMIN_FAILED : ADMIN_OK;
	m.message = span_str(trial.message);
	m.level = span_str(trial.level);
	m.attempts = span_mem(trial.attempts.p, trial.attempts.len);
	m.tools = span_mem(trial.tools.p, trial.tools.len);
	m.start_ms = trial.start_ms;
	if (trial.judge != NULL)
		chan_answer(trial.judge, trial.reqid, MSG_tool_tried, &m);
	buf_free(&trial.attempts);
	buf_free(&trial.tools);
	memset(&trial, 0, sizeof(trial));
}

void
trial_tick(uint64_t now_ms)
{
	struct server *s = trial.server;

	if (trial.step == IDLE)
		return;
	if (s != NULL) {
		if (!s->over && now_ms >= trial.due_ms) {
			trial.failed = true;
			snprintf(
			    trial.message, sizeof(trial.message), "it does not answer");
			s->over = true;
		}
		if (s->room[0] != '\0')
			memcpy(trial.level, s->room, sizeof(trial.level));
		if (!s->over)
			return;
		if (s->instance != 0)
			server_end(s, "the test is over");
		if (s->spawning || s->instance != 0 || s->leaving != 0)
			return;
		/* said after its output ended: with which status */
		if (trial.failed && s->last_error[0] != '\0')
			snprintf(
			    trial.message, sizeof(trial.message), "%s", s->last_error);
		server_free(s);
		trial.server = NULL;
	}
	if (trial.step == PROBING && !trial.failed)
		next_step();
	else
		answer();
}
