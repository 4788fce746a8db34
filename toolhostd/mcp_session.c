/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Model Context Protocol with one tool server: initialize, the list of tools, health,
 * and sorting what comes back.
 */
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/loop.h"
#include "toolhostd/call.h"
#include "toolhostd/report.h"
#include "toolhostd/server.h"

#define START_TIMEOUT_MS 30000
#define TOOLS_MAX (4u * 1024 * 1024)
#define PROTOCOL "2025-06-18"

static struct json_doc doc;

/* Asks one of our own questions; only one is under way at a time. */
static void
ask(struct server *s, int what, const char *method, const struct buf *params,
    uint32_t timeout_ms)
{
	struct buf line;

	buf_init(&line);
	s->control_id = ++s->last_id;
	s->control_due_ms = loop_now_ms() + timeout_ms;
	s->asked = what;
	if (buf_printf(&line, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\"",
		(unsigned long long)s->control_id, method) == -1 ||
	    (params != NULL &&
		(buf_put(&line, ",\"params\":", 10) == -1 ||
		    buf_put(&line, params->p, params->len) == -1)) ||
	    buf_putc(&line, '}') == -1 || mcp_send(s, line.p, line.len) == -1)
		server_fail(s, TOOL_UNHEALTHY, "it does not read its input");
	buf_free(&line);
}

void
mcp_begin(struct server *s)
{
	struct buf params;

	buf_init(&params);
	if (buf_printf(&params,
		"{\"protocolVersion\":\"" PROTOCOL "\",\"capabilities\":{},"
		"\"clientInfo\":{\"name\":\"aegis\",\"version\":\"" PACKAGE_VERSION
		"\"}}") == 0)
		ask(s, ASKED_INITIALIZE, "initialize", &params, START_TIMEOUT_MS);
	buf_free(&params);
}

static void
ask_tools(struct server *s, const struct json_doc *d, uint32_t cursor)
{
	const uint8_t *p;
	struct buf params;
	size_t len;

	buf_init(&params);
	if (cursor != JSON_NONE && json_raw(d, cursor, &p, &len) == 0 &&
	    buf_printf(&params, "{\"cursor\":") == 0 && buf_put(&params, p, len) == 0 &&
	    buf_putc(&params, '}') == 0)
		ask(s, ASKED_TOOLS, "tools/list", &params, START_TIMEOUT_MS);
	else
		ask(s, ASKED_TOOLS, "tools/list", NULL, START_TIMEOUT_MS);
	buf_free(&params);
}

static void
is_running(struct server *s)
{
	s->control_id = 0;
	s->asked = ASKED_NOTHING;
	s->next_health_ms = loop_now_ms() + s->health_interval_ms;
	if (s->state != TOOL_RUNNING)
		s->running_since_ms = loop_now_ms();
	server_state_set(s, TOOL_RUNNING, "");
	call_send_waiting(s);
}

/* One page of tools; asks for the next or is done. */
static void
take_tools(struct server *s, uint32_t result)
{
	uint32_t tools = json_get(&doc, result, "tools"), next;
	struct json_iter it;
	const uint8_t *p;
	size_t len;

	if (json_type(&doc, tools) != JT_ARRAY) {
		server_fail(s, TOOL_FAILED, "its answer to tools/list has no tools");
		return;
	}
	json_iter_init(&it, &doc, tools);
	while (json_iter_next(&it, &doc)) {
		if (json_type(&doc, json_get(&doc, it.value, "name")) != JT_STRING ||
		    json_raw(&doc, it.value, &p, &len) == -1 ||
		    s->tools.len + len > TOOLS_MAX ||
		    (s->tools.len > 0 && buf_putc(&s->tools, ',') == -1) ||
		    buf_put(&s->tools, p, len) == -1) {
			server_fail(s, TOOL_FAILED, "its list of tools cannot be used");
			return;
		}
	}
	next = json_get(&doc, result, "nextCursor");
	if (json_type(&doc, next) == JT_STRING)
		ask_tools(s, &doc, next);
	else
		is_running(s);
}

static void
take_control(struct server *s, uint32_t root)
{
	static const char initialized[] =
	    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
	uint32_t result = json_get(&doc, root, "result");
	int asked = s->asked;

	s->control_id = 0;
	s->asked = ASKED_NOTHING;
	if (result == JSON_NONE && asked != ASKED_HEALTH) {
		server_fail(s, TOOL_FAILED, "it answered with an error");
		return;
	}
	switch (asked) {
	case ASKED_INITIALIZE:
		if (mcp_send(s, initialized, sizeof(initialized) - 1) == -1) {
			server_fail(s, TOOL_UNHEALTHY, "it does not read its input");
			return;
		}
		buf_reset(&s->tools);
		ask_tools(s, NULL, JSON_NONE);
		break;
	case ASKED_TOOLS:
		take_tools(s, result);
		break;
	default: /* any answer to a health question is a sign of life */
		break;
	}
}

/* A question of the server to its client: only ping has an answer here. */
static void
answer_server(struct server *s, uint32_t id, int is_ping)
{
	const uint8_t *p;
	struct buf line;
	size_t len;

	if (json_raw(&doc, id, &p, &len) == -1)
		return;
	buf_init(&line);
	if (buf_printf(&line, "{\"jsonrpc\":\"2.0\",\"id\":") == 0 &&
	    buf_put(&line, p, len) == 0 &&
	    buf_printf(&line, "%s",
		is_ping
		    ? ",\"result\":{}}"
		    : ",\"error\":{\"code\":-32601,\"message\":\"not offered\"}}") == 0)
		(void)mcp_send(s, line.p, line.len);
	buf_free(&line);
}

void
mcp_line(struct server *s, const uint8_t *line, size_t len)
{
	const struct json_limits limits = {.size = s->max_output, .nodes = 1u << 20};
	uint32_t root, id, method;
	const uint8_t *id_at;
	struct call *c;
	int64_t number;
	size_t id_len;

	if (len == 0)
		return;
	if (json_parse(&doc, line, len, &limits) != JSON_OK ||
	    json_type(&doc, json_root(&doc)) != JT_OBJECT) {
		LOG_WARN("tool.garbage", LS("server", s->name), LU("bytes", len));
		return;
	}
	root = json_root(&doc);
	id = json_get(&doc, root, "id");
	method = json_get(&doc, root, "method");
	if (method != JSON_NONE) {
		if (id != JSON_NONE)
			answer_server(s, id, json_str_eq(&doc, method, "ping"));
		else if (json_str_eq(&doc, method, "notifications/tools/list_changed") &&
		    s->state == TOOL_RUNNING && s->control_id == 0) {
			buf_reset(&s->tools);
			ask_tools(s, NULL, JSON_NONE);
		}
		return;
	}
	if (json_int64(&doc, id, &number) == -1 || number <= 0) {
		LOG_WARN("tool.garbage", LS("server", s->name), LU("bytes", len));
		return;
	}
	if ((uint64_t)number == s->control_id) {
		take_control(s, root);
		return;
	}
	c = call_find(s, (uint64_t)number);
	if (c == NULL) {
		LOG_INFO("tool.late", LS("server", s->name), LI("id", number));
		return;
	}
	if (json_get(&doc, root, "result") == JSON_NONE &&
	    json_get(&doc, root, "error") == JSON_NONE) {
		call_fail(c, OUTCOME_TOOL_BROKEN, 502, "the tool's answer has no result");
		return;
	}
	(void)json_raw(&doc, id, &id_at, &id_len);
	call_answer(c, line, len, (size_t)(id_at - line), id_len);
}

void
mcp_tick(struct server *s, uint64_t now_ms)
{
	if (s->control_id != 0 && now_ms >= s->control_due_ms) {
		server_fail(s, s->state == TOOL_STARTING ? TOOL_FAILED : TOOL_UNHEALTHY,
		    s->asked == ASKED_HEALTH ? "it failed its health check"
					     : "it does not answer");
		return;
	}
	if (s->state == TOOL_RUNNING && s->control_id == 0 && s->health_interval_ms > 0 &&
	    now_ms >= s->next_health_ms) {
		s->next_health_ms = now_ms + s->health_interval_ms;
		ask(s, ASKED_HEALTH, s->health_method, NULL, s->health_timeout_ms);
	}
}
