/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tool server lists: tools, and if it has them resources, templates and prompts;
 * and telling the judge. toolhostd. A server without its tools is of no use; the other
 * lists may fail and are empty then.
 */
#include <string.h>

#include "common/chan.h"
#include "common/json.h"
#include "common/loop.h"
#include "common/proc.h"
#include "toolhostd/call.h"
#include "toolhostd/report.h"
#include "toolhostd/server.h"

#define TIMEOUT_MS 30000
#define LIST_MAX (4u * 1024 * 1024)
#define PAGES_MAX 1000

static const struct {
	const char *method, *member, *key, *changed;
} lists[MCP_LISTS] = {
    [MCP_LIST_TOOLS] = {"tools/list", "tools", "name",
	"notifications/tools/list_changed"},
    [MCP_LIST_RESOURCES] = {"resources/list", "resources", "uri",
	"notifications/resources/list_changed"},
    [MCP_LIST_TEMPLATES] = {"resources/templates/list", "resourceTemplates",
	"uriTemplate", "notifications/resources/list_changed"},
    [MCP_LIST_PROMPTS] = {"prompts/list", "prompts", "name",
	"notifications/prompts/list_changed"},
};

static void
ask_page(struct server *s, const struct json_doc *d, uint32_t cursor)
{
	const uint8_t *p;
	struct buf params;
	size_t len;

	buf_init(&params);
	if (cursor != JSON_NONE && json_raw(d, cursor, &p, &len) == 0 &&
	    buf_printf(&params, "{\"cursor\":") == 0 && buf_put(&params, p, len) == 0 &&
	    buf_putc(&params, '}') == 0)
		mcp_ask(s, ASKED_LIST, lists[s->listing].method, &params, TIMEOUT_MS);
	else
		mcp_ask(s, ASKED_LIST, lists[s->listing].method, NULL, TIMEOUT_MS);
	buf_free(&params);
}

void
mcp_list_next(struct server *s)
{
	unsigned n;

	for (n = 0; n < MCP_LISTS; n++)
		if (s->stale & 1u << n) {
			s->stale &= ~(1u << n);
			s->listing = n;
			s->pages = 0;
			buf_reset(&s->page);
			ask_page(s, NULL, JSON_NONE);
			return;
		}
}

bool
mcp_list_changed(struct server *s, const char *method)
{
	bool any = false;
	unsigned n;

	for (n = 0; n < MCP_LISTS; n++)
		if (strcmp(method, lists[n].changed) == 0) {
			s->stale |= 1u << n;
			any = true;
		}
	return any;
}

/* {"resources":[..],...}: what the judge shows and routes by. */
static int
put_lists(const struct server *s, struct buf *out)
{
	unsigned n;

	for (n = MCP_LIST_RESOURCES; n < MCP_LISTS; n++)
		if (buf_printf(out, "%s\"%s\":[", n == MCP_LIST_RESOURCES ? "{" : ",",
			lists[n].member) == -1 ||
		    buf_put(out, s->lists[n].p, s->lists[n].len) == -1 ||
		    buf_putc(out, ']') == -1)
			return -1;
	return buf_putc(out, '}');
}

static void
report(const struct server *s)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(tool_features, m);
	struct buf text;

	if (judge == NULL)
		return;
	buf_init(&text);
	m.server = s->number;
	m.features = s->features;
	if (put_lists(s, &text) == 0) {
		if (text.len <= INLINE_JSON_MAX)
			m.lists = span_mem(text.p, text.len);
		else
			m.big = report_memfd(text.p, text.len);
		chan_note(judge, MSG_tool_features, &m);
	}
	buf_free(&text);
}

void
mcp_report_all(void)
{
	const struct server *s;

	TAILQ_FOREACH (s, &servers, entry)
		if (s->state == TOOL_RUNNING)
			report(s);
}

static void
done(struct server *s)
{
	struct buf *to = s->listing == MCP_LIST_TOOLS ? &s->tools : &s->lists[s->listing];
	struct buf old = *to;

	*to = s->page;
	s->page = old;
	buf_free(&s->page);
	if (s->listing == MCP_LIST_TOOLS) {
		mcp_is_running(s);
		if (s->state == TOOL_RUNNING && s->stale == 0)
			report(s);
	} else if (s->stale == 0) {
		report(s);
	}
}

/* 0, or -1 when the page cannot be used. */
static int
take_items(struct server *s, const struct json_doc *d, uint32_t items)
{
	struct json_iter it;
	const uint8_t *p;
	size_t len;

	if (json_type(d, items) != JT_ARRAY)
		return -1;
	json_iter_init(&it, d, items);
	while (json_iter_next(&it, d))
		if (json_type(d, json_get(d, it.value, lists[s->listing].key)) !=
			JT_STRING ||
		    json_raw(d, it.value, &p, &len) == -1 ||
		    s->page.len + len > LIST_MAX ||
		    (s->page.len > 0 && buf_putc(&s->page, ',') == -1) ||
		    buf_put(&s->page, p, len) == -1)
			return -1;
	return 0;
}

void
mcp_list_take(struct server *s, const struct json_doc *d, uint32_t result)
{
	uint32_t next = json_get(d, result, "nextCursor");

	if (take_items(s, d, json_get(d, result, lists[s->listing].member)) == -1) {
		/* one that has other things may have no tools */
		if (s->listing == MCP_LIST_TOOLS &&
		    (result != JSON_NONE || s->features == 0)) {
			server_fail(s, TOOL_FAILED,
			    result == JSON_NONE ? "it answered tools/list with an error"
						: "its list of tools cannot be used");
			return;
		}
		buf_reset(&s->page);
		done(s);
	} else if (json_type(d, next) == JT_STRING && ++s->pages < PAGES_MAX) {
		ask_page(s, d, next);
	} else {
		done(s);
	}
}
