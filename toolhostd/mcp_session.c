/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Model Context Protocol with one tool server: initialize, health, and sorting what
 * comes back. toolhostd; what comes back is hostile.
 */
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "toolhostd/call.h"
#include "toolhostd/report.h"
#include "toolhostd/server.h"
#include "toolhostd/upcall.h"

#define START_TIMEOUT_MS 30000
#define PROTOCOL "2025-11-25"

static struct json_doc doc;

void
mcp_ask(struct server *s, int what, const char *method, const struct buf *params,
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
		"{\"protocolVersion\":\"" PROTOCOL
		"\",\"capabilities\":{\"sampling\":{},\"elicitation\":{}},"
		"\"clientInfo\":{\"name\":\"aegis\",\"version\":\"" PACKAGE_VERSION
		"\"}}") == 0)
		mcp_ask(s, ASKED_INITIALIZE, "initialize", &params, START_TIMEOUT_MS);
	buf_free(&params);
}

void
mcp_is_running(struct server *s)
{
	s->next_health_ms = loop_now_ms() + s->health_interval_ms;
	if (s->state != TOOL_RUNNING)
		s->running_since_ms = loop_now_ms();
	server_state_set(s, TOOL_RUNNING, "");
	call_send_waiting(s);
}

/* What the server can beside tools (capabilities of its answer to initialize). */
static void
take_features(struct server *s, uint32_t capabilities)
{
	uint32_t resources = json_get(&doc, capabilities, "resources");
	bool subscribe = false;

	s->features = 0;
	if (resources != JSON_NONE)
		s->features |= MCP_RESOURCES;
	(void)json_bool(&doc, json_get(&doc, resources, "subscribe"), &subscribe);
	if (subscribe)
		s->features |= MCP_SUBSCRIBE;
	if (json_get(&doc, capabilities, "prompts") != JSON_NONE)
		s->features |= MCP_PROMPTS;
	if (json_get(&doc, capabilities, "completions") != JSON_NONE)
		s->features |= MCP_COMPLETIONS;
	if (json_get(&doc, capabilities, "logging") != JSON_NONE)
		s->features |= MCP_LOGGING;
	s->stale = 1u << MCP_LIST_TOOLS;
	if (s->features & MCP_RESOURCES)
		s->stale |= 1u << MCP_LIST_RESOURCES | 1u << MCP_LIST_TEMPLATES;
	if (s->features & MCP_PROMPTS)
		s->stale |= 1u << MCP_LIST_PROMPTS;
	s->level = s->level_wanted = 0;
}

/* Sets the level of the server's log when a call wants more of it. */
static void
ask_level(struct server *s)
{
	static const char *const names[] = {"", "debug", "info", "notice", "warning",
	    "error", "critical", "alert", "emergency"};
	struct buf params;

	buf_init(&params);
	s->level = s->level_wanted;
	if (buf_printf(&params, "{\"level\":\"%s\"}", names[s->level]) == 0)
		mcp_ask(
		    s, ASKED_LEVEL, "logging/setLevel", &params, s->health_timeout_ms);
	buf_free(&params);
}

/* What else there is to ask, when nothing is under way. */
static void
ask_next(struct server *s)
{
	if (s->instance == 0 || s->control_id != 0)
		return;
	if (s->stale != 0)
		mcp_list_next(s);
	else if (s->level_wanted != s->level)
		ask_level(s);
}

void
mcp_level_want(struct server *s, uint8_t level)
{
	if (!(s->features & MCP_LOGGING) || level > MCP_EMERGENCY ||
	    (s->level_wanted != 0 && s->level_wanted <= level))
		return;
	s->level_wanted = level;
	ask_next(s);
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
	if (result == JSON_NONE && asked == ASKED_INITIALIZE) {
		server_fail(s, TOOL_FAILED, "it answered with an error");
		return;
	}
	switch (asked) {
	case ASKED_INITIALIZE:
		if (mcp_send(s, initialized, sizeof(initialized) - 1) == -1) {
			server_fail(s, TOOL_UNHEALTHY, "it does not read its input");
			return;
		}
		take_features(s, json_get(&doc, result, "capabilities"));
		break;
	case ASKED_LIST:
		mcp_list_take(s, &doc, result);
		break;
	default: /* any answer to a health question is a sign of life */
		break;
	}
	ask_next(s);
}

static void
answer_ping(struct server *s, uint32_t id)
{
	const uint8_t *p;
	struct buf line;
	size_t len;

	if (json_raw(&doc, id, &p, &len) == -1)
		return;
	buf_init(&line);
	if (buf_printf(&line, "{\"jsonrpc\":\"2.0\",\"id\":") == 0 &&
	    buf_put(&line, p, len) == 0 && buf_printf(&line, ",\"result\":{}}") == 0)
		(void)mcp_send(s, line.p, line.len);
	buf_free(&line);
}

/* Progress of a call: goes to its agent under the token that agent chose. */
static void
pass_progress(struct server *s, uint32_t token)
{
	const uint8_t *p;
	struct buf line;
	struct call *c;
	int64_t number;
	size_t len;

	if (json_int64(&doc, token, &number) == -1 || number <= 0 ||
	    (c = call_find(s, (uint64_t)number)) == NULL || !c->mcp ||
	    c->token[0] == '\0' || json_raw(&doc, token, &p, &len) == -1)
		return;
	buf_init(&line);
	if (buf_put(&line, doc.base, (size_t)(p - doc.base)) == 0 &&
	    buf_put(&line, c->token, strlen(c->token)) == 0 &&
	    buf_put(&line, p + len, (size_t)(doc.base + doc.len - p) - len) == 0) {
		mcp_one_line(&line);
		(void)call_event(c, &line, false);
	}
	buf_free(&line);
}

/* Nothing says whose log it is: it goes to the agent of a call that is alone. */
static void
pass_log(struct server *s, uint32_t level)
{
	static const char *const names[] = {"debug", "info", "notice", "warning", "error",
	    "critical", "alert", "emergency"};
	struct call *c = call_sole(s);
	struct buf line;
	uint8_t n;

	for (n = 0; n < MCP_EMERGENCY && !json_str_eq(&doc, level, names[n]); n++)
		;
	if (c == NULL || n == MCP_EMERGENCY || n + 1 < c->log_level)
		return;
	buf_init(&line);
	if (buf_put(&line, doc.base, doc.len) == 0) {
		mcp_one_line(&line);
		(void)call_event(c, &line, false);
	}
	buf_free(&line);
}

static void
tell_updated(struct server *s, uint32_t uri)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	char text[2049];
	MSG_INIT(resource_updated, m);

	if (judge == NULL || json_str_copy(&doc, uri, text, sizeof(text), NULL) == -1)
		return;
	m.server = s->number;
	m.uri = span_str(text);
	chan_note(judge, MSG_resource_updated, &m);
}

/* A request or notification of the server. */
static void
take_method(struct server *s, uint32_t root, uint32_t id)
{
	uint32_t name = json_get(&doc, root, "method"),
		 params = json_get(&doc, root, "params");
	char method[65];

	if (json_str_copy(&doc, name, method, sizeof(method), NULL) == -1)
		return;
	if (id != JSON_NONE) {
		if (strcmp(method, "ping") == 0)
			answer_ping(s, id);
		else
			upcall_take(s, &doc);
	} else if (strcmp(method, "notifications/progress") == 0) {
		pass_progress(s, json_get(&doc, params, "progressToken"));
	} else if (strcmp(method, "notifications/message") == 0) {
		pass_log(s, json_get(&doc, params, "level"));
	} else if (strcmp(method, "notifications/cancelled") == 0) {
		upcall_cancelled(s, &doc);
	} else if (strcmp(method, "notifications/resources/updated") == 0) {
		tell_updated(s, json_get(&doc, params, "uri"));
	} else if (mcp_list_changed(s, method) && s->state == TOOL_RUNNING) {
		ask_next(s);
	}
}

/* Where the members of a result begin, if more may be put there; else 0. */
static size_t
result_begin(uint32_t result)
{
	const uint8_t *p;
	size_t len;

	if (json_type(&doc, result) != JT_OBJECT || json_count(&doc, result) == 0 ||
	    json_get(&doc, result, "resultType") != JSON_NONE ||
	    json_get(&doc, result, "ttlMs") != JSON_NONE ||
	    json_get(&doc, result, "cacheScope") != JSON_NONE ||
	    json_raw(&doc, result, &p, &len) == -1)
		return 0;
	return (size_t)(p - doc.base) + 1;
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
		(void)mcp_useless(s, "tool.garbage", len);
		return;
	}
	root = json_root(&doc);
	id = json_get(&doc, root, "id");
	method = json_get(&doc, root, "method");
	if (method != JSON_NONE) {
		if (mcp_useless(s, NULL, len))
			take_method(s, root, id);
		return;
	}
	if (json_int64(&doc, id, &number) == -1 || number <= 0) {
		(void)mcp_useless(s, "tool.garbage", len);
		return;
	}
	if ((uint64_t)number == s->control_id) {
		take_control(s, root);
		return;
	}
	c = call_find(s, (uint64_t)number);
	if (c == NULL) {
		(void)mcp_useless(s, "tool.late", len);
		return;
	}
	if (json_get(&doc, root, "result") == JSON_NONE &&
	    json_get(&doc, root, "error") == JSON_NONE) {
		call_fail(c, OUTCOME_TOOL_BROKEN, 502, "the tool's answer has no result");
		return;
	}
	(void)json_raw(&doc, id, &id_at, &id_len);
	call_answer(c, line, len, (size_t)(id_at - line), id_len,
	    result_begin(json_get(&doc, root, "result")));
}

void
mcp_line_skipped(struct server *s, const struct mcp_skim *line)
{
	bool ended = !s->skim.on;
	struct call *c;

	if (line->id != 0 && line->id == s->control_id && !line->method) {
		server_fail(s, TOOL_UNHEALTHY, "its answer is too long");
		return;
	}
	c = line->id != 0 && !line->method ? call_find(s, line->id) : NULL;
	if (c != NULL && line->len > c->max_response)
		call_fail(c, OUTCOME_TOO_LARGE, 403,
		    "the tool's answer is larger than allowed");
	else if (c != NULL && ended) /* it came in before a call that may have more */
		call_fail(c, OUTCOME_TOOL_BROKEN, 502, "the tool's answer was lost");
	else if (ended)
		(void)mcp_useless(s, "tool.too_long", (size_t)line->len);
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
		mcp_ask(s, ASKED_HEALTH, s->health_method, NULL, s->health_timeout_ms);
	}
}
