/* SPDX-License-Identifier: Apache-2.0 */
/* Resources and prompts of tool servers. Judge only. */
#include "keymasterd/judge/mcp_offer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/jsonw.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/proto.h"
#include "keymasterd/judge/mcp_forward.h"
#include "keymasterd/judge/mcp_stream.h"

#define LISTS_MAX (12u << 20)

static const struct {
	const char *member, *key, *method;
	uint32_t feature;
} offers[] = {
    [MCP_OFFER_RESOURCES] = {"resources", "uri", "resources/read", MCP_RESOURCES},
    [MCP_OFFER_TEMPLATES] = {"resourceTemplates", "uriTemplate", "resources/read",
	MCP_RESOURCES},
    [MCP_OFFER_PROMPTS] = {"prompts", "name", "prompts/get", MCP_PROMPTS},
};

static uint32_t
list_of(const struct tool_server *t, enum mcp_offer what)
{
	return json_get(&t->lists, json_root(&t->lists), offers[what].member);
}

/* The member of the list whose key is this text, or JSON_NONE. */
static uint32_t
find(const struct tool_server *t, enum mcp_offer what, struct span key)
{
	uint32_t list = list_of(t, what);
	char text[2049];
	struct json_iter it;
	size_t len;

	if (json_type(&t->lists, list) != JT_ARRAY)
		return JSON_NONE;
	json_iter_init(&it, &t->lists, list);
	while (json_iter_next(&it, &t->lists))
		if (json_str_copy(&t->lists,
			json_get(&t->lists, it.value, offers[what].key), text,
			sizeof(text), &len) == 0 &&
		    len == key.len && memcmp(text, key.p, len) == 0)
			return it.value;
	return JSON_NONE;
}

/* Has an earlier server the same prompt or resource? Then that one serves it. */
static bool
shadowed(const struct tool_server *t, const struct context_entry *e, enum mcp_offer what,
    struct span key)
{
	struct tool_server *u;

	TAILQ_FOREACH (u, &tool_servers, link) {
		if (u == t)
			return false;
		if (mcp_may(e, u, offers[what].method) && find(u, what, key) != JSON_NONE)
			return true;
	}
	return false;
}

unsigned
mcp_offer_write(struct jsonw *w, const struct context_entry *e, enum mcp_offer what,
    unsigned skip, size_t room, bool *more)
{
	struct tool_server *t;
	struct json_iter it;
	unsigned passed = 0;
	const uint8_t *p;
	char key[2049];
	size_t len, key_len;

	*more = false;
	TAILQ_FOREACH (t, &tool_servers, link) {
		if (json_type(&t->lists, list_of(t, what)) != JT_ARRAY ||
		    !mcp_may(e, t, offers[what].method))
			continue;
		json_iter_init(&it, &t->lists, list_of(t, what));
		while (json_iter_next(&it, &t->lists)) {
			if (json_str_copy(&t->lists,
				json_get(&t->lists, it.value, offers[what].key), key,
				sizeof(key), &key_len) == -1 ||
			    json_raw(&t->lists, it.value, &p, &len) == -1 ||
			    shadowed(t, e, what, span_mem(key, key_len)))
				continue;
			if (passed < skip ||
			    len > room) { /* one that fits nowhere is left out */
				passed++;
				continue;
			}
			if (w->out->len + len > room) {
				*more = true;
				return passed;
			}
			jsonw_raw(w, p, len);
			passed++;
		}
	}
	return passed;
}

bool
mcp_offers(const struct context_entry *e, uint32_t feature, const char *method)
{
	const struct tool_server *t;

	TAILQ_FOREACH (t, &tool_servers, link)
		if ((!t->features_known || (t->features & feature)) &&
		    mcp_may(e, t, method))
			return true;
	return false;
}

struct tool_server *
mcp_prompt_route(const struct context_entry *e, const char *method, struct span name)
{
	struct tool_server *t;

	TAILQ_FOREACH (t, &tool_servers, link)
		if (find(t, MCP_OFFER_PROMPTS, name) != JSON_NONE &&
		    mcp_may(e, t, method))
			return t;
	return NULL;
}

/* Length of the longest template's fixed beginning that the URI has, or -1. */
static int
template_fit(const struct tool_server *t, struct span uri)
{
	uint32_t list = list_of(t, MCP_OFFER_TEMPLATES);
	char text[2049], *brace;
	struct json_iter it;
	int best = -1;
	size_t n;

	if (json_type(&t->lists, list) != JT_ARRAY)
		return -1;
	json_iter_init(&it, &t->lists, list);
	while (json_iter_next(&it, &t->lists)) {
		if (json_str_copy(&t->lists, json_get(&t->lists, it.value, "uriTemplate"),
			text, sizeof(text), &n) == -1)
			continue;
		if ((brace = strchr(text, '{')) != NULL)
			n = (size_t)(brace - text);
		if (n <= uri.len && memcmp(text, uri.p, n) == 0 && (int)n > best)
			best = (int)n;
	}
	return best;
}

struct tool_server *
mcp_resource_route(const struct context_entry *e, const char *method, struct span uri)
{
	struct tool_server *t, *best = NULL, *only = NULL;
	int fit, longest = -1;
	unsigned n = 0;

	TAILQ_FOREACH (t, &tool_servers, link) {
		if (!mcp_may(e, t, method))
			continue;
		if (find(t, MCP_OFFER_RESOURCES, uri) != JSON_NONE ||
		    find(t, MCP_OFFER_TEMPLATES, uri) != JSON_NONE)
			return t;
		if ((fit = template_fit(t, uri)) > longest) {
			longest = fit;
			best = t;
		}
		if (t->features & MCP_RESOURCES) {
			only = t;
			n++;
		}
	}
	/* resources need not be listed; where there is one server it can only be its */
	return best != NULL ? best : n == 1 ? only : NULL;
}

/* Copies the lists out of the message or its memfd. NULL: too large, or no memory. */
static char *
copy_lists(const struct msg_tool_features *m, size_t *len)
{
	struct stat st;
	char *text;

	*len = m->lists.len;
	if (m->big >= 0) {
		if (fstat(m->big, &st) != 0 || st.st_size <= 0 ||
		    st.st_size > (off_t)LISTS_MAX)
			return NULL;
		*len = (size_t)st.st_size;
	}
	if ((text = malloc(*len + 1)) == NULL)
		return NULL;
	if (m->big < 0) {
		if (*len > 0)
			memcpy(text, m->lists.p, *len);
	} else if (pread(m->big, text, *len, 0) != (ssize_t)*len) {
		free(text);
		return NULL;
	}
	return text;
}

int
mcp_tool_features(struct chan *c, uint64_t reqid, void *msg)
{
	static const struct json_limits limits = {.size = LISTS_MAX, .nodes = 1u << 19};
	const struct msg_tool_features *m = msg;
	struct tool_server *t;
	char *text;
	size_t len;
	bool same;

	(void)c;
	(void)reqid;
	TAILQ_FOREACH (t, &tool_servers, link)
		if (t->number == m->server)
			break;
	if (t == NULL)
		return -1;
	t->features = m->features;
	t->features_known = true;
	if ((text = copy_lists(m, &len)) == NULL) {
		LOG_WARN(
		    "tool.features", LS("server", t->name), LS("error", "too large"));
		return 0;
	}
	same = t->lists_text != NULL && t->lists.len == len &&
	    memcmp(t->lists_text, text, len) == 0;
	free(t->lists_text);
	t->lists_text = text;
	if (json_parse(&t->lists, text, len, &limits) != JSON_OK) {
		LOG_WARN(
		    "tool.features", LS("server", t->name), LS("error", "not lists"));
		json_free(&t->lists);
	}
	if (!same && (t->features & MCP_RESOURCES))
		mcp_list_changed(t, "resources");
	if (!same && (t->features & MCP_PROMPTS))
		mcp_list_changed(t, "prompts");
	return 0;
}
