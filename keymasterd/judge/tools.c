/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of tools: conf_tool from the master, tool_catalogue from toolhost. Judge
 * only. What tool servers say is bounded and parsed strictly; only names that the
 * configuration gives to a server are taken from it.
 */
#include "keymasterd/judge/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/proto.h"
#include "keymasterd/judge/context_eval.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/mcp_stream.h"
#include "keymasterd/judge/session.h"

#define CATALOGUE_MAX (4u << 20)
#define TOOLS_MAX 4096

struct tool_server_list tool_servers = TAILQ_HEAD_INITIALIZER(tool_servers);

const char *
tool_state_name(uint8_t state)
{
	static const char *const names[] = {
	    "unknown", "stopped", "starting", "running", "unhealthy", "failed"};

	return state < sizeof names / sizeof names[0] ? names[state] : names[0];
}

static int
read_capabilities(struct tool_server *t, struct span s)
{
	const char *p = s.p, *end = s.p + s.len, *q;
	size_t n = 1;

	for (size_t i = 0; i < s.len; i++)
		n += s.p[i] == ' ';
	if ((t->patterns = calloc(n, sizeof *t->patterns)) == NULL)
		return -1;
	for (; p < end; p = q + (q < end)) {
		for (q = p; q < end && *q != ' '; q++)
			;
		if (q > p &&
		    context_pattern_init(
			&t->patterns[t->npatterns++], span_mem(p, (size_t)(q - p))) != 0)
			return -1;
	}
	return 0;
}

int
seal_conf_tool(void *msg)
{
	struct msg_conf_tool *m = msg;
	struct tool_server *t = calloc(1, sizeof *t);

	if (t == NULL)
		return -1;
	t->number = m->server;
	t->timeout_ms = m->call_timeout_ms;
	t->per_execution = m->max_instances > 0;
	t->state = TOOL_STOPPED;
	json_init(&t->doc);
	json_init(&t->lists);
	if (span_copy(m->name, t->name, sizeof t->name) != 0 ||
	    read_capabilities(t, m->capabilities) != 0) {
		LOG_ERROR("tool.configuration", LSN("server", m->name.p, m->name.len),
		    LS("error", "capabilities must be names of tools or prefix.*"));
		free(t->patterns);
		free(t);
		return -1;
	}
	TAILQ_INSERT_TAIL(&tool_servers, t, link);
	return 0;
}

struct tool_server *
tool_route(struct span tool)
{
	struct tool_server *t, *best = NULL;
	size_t longest = 0;

	TAILQ_FOREACH (t, &tool_servers, link)
		for (size_t i = 0; i < t->npatterns; i++) {
			const struct context_pattern *p = &t->patterns[i];

			if (!context_pattern_match(p, tool))
				continue;
			if (p->kind == CONTEXT_EXACT)
				return t;
			if (best == NULL ||
			    (p->kind == CONTEXT_PREFIX && p->len > longest)) {
				best = t;
				longest = p->kind == CONTEXT_PREFIX ? p->len : 0;
			}
		}
	return best;
}

void
tool_servers_gone(void)
{
	struct tool_server *t;

	TAILQ_FOREACH (t, &tool_servers, link) {
		t->state = TOOL_STOPPED;
		t->pid = t->instances = 0;
		(void)span_copy(
		    span_str("the tool host is gone"), t->message, sizeof t->message);
	}
}

struct tool_server *
tool_server_named(struct span name)
{
	struct tool_server *t;

	TAILQ_FOREACH (t, &tool_servers, link)
		if (span_eq(name, t->name))
			return t;
	return NULL;
}

static struct tool_server *
server_by_number(uint32_t number)
{
	struct tool_server *t;

	TAILQ_FOREACH (t, &tool_servers, link)
		if (t->number == number)
			return t;
	return NULL;
}

/* Copies the array out of the message or its memfd. NULL when it is none. */
static char *
copy_tools(const struct msg_tool_catalogue *m, size_t *len)
{
	struct stat st;
	char *text;

	if (m->big < 0) {
		*len = m->tools.len;
		if ((text = malloc(*len + 1)) != NULL && *len > 0)
			memcpy(text, m->tools.p, *len);
		return text;
	}
	if (fstat(m->big, &st) != 0 || st.st_size <= 0 ||
	    st.st_size > (off_t)CATALOGUE_MAX)
		return NULL;
	*len = (size_t)st.st_size;
	if ((text = malloc(*len + 1)) != NULL &&
	    pread(m->big, text, *len, 0) != (ssize_t)*len) {
		free(text);
		return NULL;
	}
	return text;
}

/* Notes which tools of the array the server may offer. 0 or -1. */
static int
index_tools(struct tool_server *t)
{
	uint32_t root = json_root(&t->doc), count = json_count(&t->doc, root);
	struct map names = {NULL, 0, 0};
	struct tool *tool;
	struct json_iter it;
	size_t len;
	int ret = -1;

	free(t->tools);
	t->ntools = 0;
	t->tools = calloc(count + 1, sizeof *t->tools);
	if (t->tools == NULL || count > TOOLS_MAX)
		goto out;
	json_iter_init(&it, &t->doc, root);
	while (json_iter_next(&it, &t->doc)) {
		tool = &t->tools[t->ntools];
		if (json_str_copy(&t->doc, json_get(&t->doc, it.value, "name"),
			tool->name, sizeof tool->name, &len) != 0 ||
		    tool_route(span_mem(tool->name, len)) != t ||
		    map_get(&names, tool->name, len) != NULL)
			continue;
		tool->node = it.value;
		if (map_put(&names, tool->name, len, tool) != 0)
			goto out;
		t->ntools++;
	}
	ret = 0;
out:
	map_clear(&names);
	return ret;
}

/* Starts and ends of tool servers, under the names that SEAL's documents give them. */
static void
event_row(const struct tool_server *t, const struct msg_tool_catalogue *m)
{
	static const char *const events[] = {[TOOL_STOPPED] = "ServerStopped",
	    [TOOL_RUNNING] = "ServerStarted",
	    [TOOL_UNHEALTHY] = "ServerUnhealthy",
	    [TOOL_FAILED] = "ServerUnhealthy"};
	struct ledger_row row = {.kind = LEDGER_SYSTEM, .server = span_str(t->name)};
	char detail[320];
	size_t n = 0;

	if (m->event >= sizeof events / sizeof events[0] || events[m->event] == NULL)
		return;
	row.event = span_str(events[m->event]);
	if (m->message.len > 0)
		row.reason = m->message;
	if (m->execution.len > 0)
		n = (size_t)snprintf(detail, sizeof detail, "execution %.*s",
		    (int)m->execution.len, m->execution.p);
	if (m->event == TOOL_RUNNING)
		(void)snprintf(detail + n, sizeof detail - n, "%s%.*s", n > 0 ? ", " : "",
		    (int)m->level.len, m->level.p);
	else
		detail[n] = '\0';
	if (detail[0] != '\0')
		row.detail = span_str(detail);
	(void)ledger_append(&row, NULL);
}

void
tool_call_begun(const char *server)
{
	struct tool_server *t = tool_server_named(span_str(server));

	if (t != NULL)
		t->in_flight++;
}

void
tool_call_done(const char *server, unsigned outcome)
{
	struct tool_server *t = tool_server_named(span_str(server));

	if (t == NULL)
		return;
	t->calls++;
	t->failed += outcome != OUTCOME_OK;
}

void
tool_call_over(const char *server)
{
	struct tool_server *t = tool_server_named(span_str(server));

	if (t != NULL && t->in_flight > 0)
		t->in_flight--;
}

int
tool_tunnel(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_tunnel_record *m = msg;
	struct ledger_row row = {.kind = LEDGER_SYSTEM,
	    .server = m->server,
	    .domain = m->host,
	    .event = span_str(m->opened ? "tool.connected" : "tool.host_refused")};
	char detail[80];

	(void)c;
	(void)reqid;
	if (m->code.len > 0)
		row.code = m->code;
	if (m->detail.len > 0)
		row.reason = m->detail;
	if (m->execution.len > 0) {
		(void)snprintf(detail, sizeof detail, "execution %.*s",
		    (int)m->execution.len, m->execution.p);
		row.detail = span_str(detail);
	}
	(void)ledger_append_budget(&row,
	    m->opened ? LEDGER_CAUSE_TUNNELED : LEDGER_CAUSE_TUNNEL,
	    role_name(ROLE_TOOLEXEC), m->instance);
	return 0;
}

int
tool_catalogue(struct chan *c, uint64_t reqid, void *msg)
{
	static const struct json_limits limits = {
	    .size = CATALOGUE_MAX, .nodes = 1u << 18};
	struct msg_tool_catalogue *m = msg;
	struct tool_server *t = server_by_number(m->server);
	bool same;
	char *text;
	size_t len;

	(void)c;
	(void)reqid;
	if (t == NULL)
		return -1;
	t->state = m->state;
	t->pid = m->pid;
	t->instances = m->instances;
	t->restarts = m->restarts;
	t->since_ms = m->since_ms;
	(void)span_copy(m->message, t->message, sizeof t->message);
	(void)span_copy(m->last_error, t->last_error, sizeof t->last_error);
	if (m->level.len > 0)
		(void)span_copy(m->level, t->level, sizeof t->level);
	if (m->event != 0)
		event_row(t, m);
	if (m->big < 0 && m->tools.len == 0)
		return 0; /* a change of state only */
	if ((text = copy_tools(m, &len)) == NULL) {
		LOG_WARN(
		    "tool.catalogue", LS("server", t->name), LS("error", "too large"));
		return 0;
	}
	same = t->text != NULL && t->doc.len == len && memcmp(t->text, text, len) == 0;
	free(t->text);
	t->text = text;
	if (json_parse(&t->doc, text, len, &limits) != JSON_OK ||
	    json_type(&t->doc, json_root(&t->doc)) != JT_ARRAY || index_tools(t) != 0) {
		LOG_WARN("tool.catalogue", LS("server", t->name),
		    LS("error", "not a list of tools"));
		json_free(&t->doc);
		free(t->text);
		t->text = NULL;
		t->ntools = 0;
	}
	if (!same)
		mcp_list_changed(t, "tools");
	return 0;
}

static void
write_member(struct jsonw *w, const struct json_doc *d, uint32_t tool, const char *name,
    enum json_type type)
{
	uint32_t node = json_get(d, tool, name);
	const uint8_t *p;
	size_t len;

	if (json_type(d, node) != type || json_raw(d, node, &p, &len) != 0)
		return;
	jsonw_key(w, name);
	jsonw_raw(w, p, len);
}

static bool
permitted(const struct tool_server *t, const struct context *c, const struct session *s,
    struct span name)
{
	return tool_route(name) == t && context_names_tool(c, name) &&
	    (s == NULL || session_may_call(s, name));
}

struct walk {
	struct jsonw *w;
	unsigned passed, skip;
	size_t room;
	bool full;
};

/* Writes a tool, or takes it back when the room is used up. */
static void
write_tool(struct walk *k, struct span name, const struct json_doc *d, uint32_t tool)
{
	struct jsonw before = *k->w;
	size_t len = k->w->out->len;

	if (k->full)
		return;
	if (k->passed < k->skip) {
		k->passed++;
		return;
	}
	jsonw_obj_open(k->w);
	jsonw_key(k->w, "name");
	jsonw_strn(k->w, name.p, name.len);
	if (d != NULL) {
		write_member(k->w, d, tool, "title", JT_STRING);
		write_member(k->w, d, tool, "description", JT_STRING);
		write_member(k->w, d, tool, "annotations", JT_OBJECT);
		write_member(k->w, d, tool, "outputSchema", JT_OBJECT);
		write_member(k->w, d, tool, "icons", JT_ARRAY);
		write_member(k->w, d, tool, "_meta", JT_OBJECT);
	}
	if (d != NULL && json_type(d, json_get(d, tool, "inputSchema")) == JT_OBJECT) {
		write_member(k->w, d, tool, "inputSchema", JT_OBJECT);
	} else {
		jsonw_key(k->w, "inputSchema");
		jsonw_raw(k->w, "{\"type\":\"object\"}", 17);
	}
	jsonw_obj_close(k->w);
	if (k->w->out->len > k->room) {
		*k->w = before;
		k->w->out->len = len;
		/* one that fits nowhere is left out, else its page would never end */
		if (k->passed == k->skip)
			k->passed++;
		else
			k->full = true;
		return;
	}
	k->passed++;
}

unsigned
tools_write(struct jsonw *w, const struct context *c, const struct session *s,
    unsigned skip, size_t room, bool *more)
{
	struct walk k = {.w = w, .skip = skip, .room = room};
	struct tool_server *t;
	struct span name;

	TAILQ_FOREACH (t, &tool_servers, link) {
		for (size_t i = 0; i < t->ntools; i++) {
			name = span_str(t->tools[i].name);
			if (permitted(t, c, s, name))
				write_tool(&k, name, &t->doc, t->tools[i].node);
		}
		/* not started yet: the names that the configuration has */
		for (size_t i = 0; t->text == NULL && i < t->npatterns; i++) {
			name = span_mem(t->patterns[i].text, t->patterns[i].len);
			if (t->patterns[i].kind == CONTEXT_EXACT &&
			    permitted(t, c, s, name))
				write_tool(&k, name, NULL, JSON_NONE);
		}
	}
	*more = k.full;
	return k.passed;
}
