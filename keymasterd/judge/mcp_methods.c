/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods of MCP, one function each: what the judge answers itself and what goes on
 * to a tool server. Judge only; params are an agent's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/jsonw.h"
#include "common/proto.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/mcp.h"
#include "keymasterd/judge/mcp_forward.h"
#include "keymasterd/judge/mcp_offer.h"
#include "keymasterd/judge/registry.h"

#define RESULT_ROOM 44000 /* of the 49,152 octets of an answer */
#define URI_MAX 2048

static struct buf result;

static void
finish(struct mcp *c, const struct jsonw *w)
{
	if (jsonw_done(w) != 0)
		mcp_error(c, 503, RPC_INTERNAL, "503", "The answer could not be written");
	else
		mcp_result(c, result.p, result.len);
}

static void
bad_params(struct mcp *c, const char *why)
{
	mcp_error(c, 200, RPC_BAD_PARAMS, "bad_params", why);
}

/* ---- initialize ---- */

static const char *
choose_version(const struct mcp *c)
{
	static const char *const known[] = {
	    MCP_VERSION_SESSION, "2025-06-18", "2025-03-26", "2024-11-05"};
	uint32_t asked = json_get(c->doc, c->in.params, "protocolVersion");
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (json_str_eq(c->doc, asked, known[i]))
			return known[i];
	return MCP_VERSION_SESSION;
}

void
mcp_put_capabilities(const struct mcp *c, struct jsonw *w)
{
	const struct context_entry *e = c->rules;

	jsonw_key(w, "capabilities");
	jsonw_obj_open(w);
	jsonw_key(w, "tools");
	jsonw_obj_open(w);
	jsonw_key_bool(w, "listChanged", true);
	jsonw_obj_close(w);
	if (mcp_offers(e, MCP_RESOURCES, "resources/read")) {
		jsonw_key(w, "resources");
		jsonw_obj_open(w);
		jsonw_key_bool(w, "listChanged", true);
		if (mcp_offers(e, MCP_SUBSCRIBE, "resources/subscribe"))
			jsonw_key_bool(w, "subscribe", true);
		jsonw_obj_close(w);
	}
	if (mcp_offers(e, MCP_PROMPTS, "prompts/get")) {
		jsonw_key(w, "prompts");
		jsonw_obj_open(w);
		jsonw_key_bool(w, "listChanged", true);
		jsonw_obj_close(w);
	}
	if (mcp_offers(e, MCP_COMPLETIONS, "completion/complete")) {
		jsonw_key(w, "completions");
		jsonw_raw(w, "{}", 2);
	}
	jsonw_key(w, "logging");
	jsonw_raw(w, "{}", 2);
	jsonw_obj_close(w);
}

void
mcp_put_extensions(struct jsonw *w)
{
	jsonw_key(w, "extensions");
	jsonw_obj_open(w);
	jsonw_key(w, "seal");
	jsonw_obj_open(w);
	jsonw_key_bool(w, "supported", true);
	jsonw_key_str(w, "version", "v1");
	jsonw_key_str(w, "attestation_endpoint", "/v1/seal/attest");
	jsonw_obj_close(w);
	jsonw_obj_close(w);
}

void
mcp_initialize(struct mcp *c)
{
	uint32_t can = json_get(c->doc, c->in.params, "capabilities");
	char header[80];
	struct jsonw w;

	if (json_type(c->doc, json_get(c->doc, c->in.params, "protocolVersion")) !=
	    JT_STRING) {
		bad_params(c, "protocolVersion is missing");
		return;
	}
	if ((c->s = mcp_session_new(c->agent, c->context, c->token_hash)) == NULL) {
		mcp_error(c, 503, RPC_INTERNAL, "503", "Out of memory");
		return;
	}
	c->s->sampling =
	    json_type(c->doc, json_get(c->doc, can, "sampling")) == JT_OBJECT;
	c->s->elicitation =
	    json_type(c->doc, json_get(c->doc, can, "elicitation")) == JT_OBJECT;
	c->d.row.session = span_str(c->s->id);
	buf_reset(&result);
	jsonw_init(&w, &result);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "protocolVersion", choose_version(c));
	mcp_put_capabilities(c, &w);
	jsonw_key(&w, "serverInfo");
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "name", "aegis");
	jsonw_key_str(&w, "version", PACKAGE_VERSION);
	jsonw_obj_close(&w);
	mcp_put_extensions(&w);
	jsonw_obj_close(&w);
	snprintf(header, sizeof(header), "Mcp-Session-Id: %s\r\n", c->s->id);
	c->d.headers = header;
	finish(c, &w);
	c->d.headers = NULL;
}

static void
do_ping(struct mcp *c)
{
	mcp_result(c, "{}", 2);
}

/* ---- lists ---- */

/* The cursor of a page is how many came before. 0, or -1: the request was answered. */
static int
read_cursor(struct mcp *c, unsigned *skip)
{
	uint32_t cursor = json_get(c->doc, c->in.params, "cursor");
	char text[16] = "0", *end;
	unsigned long n;

	if (cursor != JSON_NONE &&
	    json_str_copy(c->doc, cursor, text, sizeof(text), NULL) != 0)
		text[0] = '\0';
	n = strtoul(text, &end, 10);
	if (end == text || *end != '\0' || n > 1u << 20) {
		bad_params(c, "Unknown cursor");
		return -1;
	}
	*skip = (unsigned)n;
	return 0;
}

static void
list_open(struct jsonw *w, const char *member)
{
	buf_reset(&result);
	jsonw_init(w, &result);
	jsonw_obj_open(w);
	jsonw_key(w, member);
	jsonw_arr_open(w);
}

static void
list_close(struct mcp *c, struct jsonw *w, unsigned next, bool more)
{
	char text[16];

	jsonw_arr_close(w);
	snprintf(text, sizeof(text), "%u", next);
	if (more)
		jsonw_key_str(w, "nextCursor", text);
	jsonw_obj_close(w);
	finish(c, w);
}

static void
do_tools_list(struct mcp *c)
{
	unsigned skip, next;
	struct jsonw w;
	bool more;

	if (read_cursor(c, &skip) != 0)
		return;
	list_open(&w, "tools");
	next = tools_write(&w, c->rules->rules, NULL, skip, RESULT_ROOM, &more);
	list_close(c, &w, next, more);
}

static void
list_offer(struct mcp *c, enum mcp_offer what, const char *member)
{
	unsigned skip, next;
	struct jsonw w;
	bool more;

	if (read_cursor(c, &skip) != 0)
		return;
	list_open(&w, member);
	next = mcp_offer_write(&w, c->rules, what, skip, RESULT_ROOM, &more);
	list_close(c, &w, next, more);
}

static void
do_resources_list(struct mcp *c)
{
	list_offer(c, MCP_OFFER_RESOURCES, "resources");
}

static void
do_templates_list(struct mcp *c)
{
	list_offer(c, MCP_OFFER_TEMPLATES, "resourceTemplates");
}

static void
do_prompts_list(struct mcp *c)
{
	list_offer(c, MCP_OFFER_PROMPTS, "prompts");
}

/* ---- calls ---- */

static void
do_tools_call(struct mcp *c)
{
	uint32_t name = json_get(c->doc, c->in.params, "name"),
		 args = json_get(c->doc, c->in.params, "arguments");
	uint64_t max_response;
	struct tool_server *t;
	struct span tool;
	size_t len;

	if (json_type(c->doc, name) != JT_STRING ||
	    (args != JSON_NONE && json_type(c->doc, args) != JT_OBJECT)) {
		bad_params(
		    c, "params must hold the tool's name, and arguments as an object");
		return;
	}
	if (json_get(c->doc, c->in.params, "task") != JSON_NONE) {
		bad_params(c, "tasks are not offered");
		return;
	}
	if (json_str_copy(c->doc, name, c->tool, sizeof(c->tool), &len) != 0) {
		bad_params(c, "Unknown tool");
		return;
	}
	tool = span_mem(c->tool, len);
	if (!mcp_judge(c, tool, args, &max_response))
		return;
	if ((t = tool_route(tool)) == NULL)
		bad_params(c, "Unknown tool");
	else
		mcp_forward(c, t, max_response);
}

/* Judges a method of a server, and passes it on. */
static void
pass_on(struct mcp *c, struct tool_server *t, const char *method)
{
	uint64_t max_response;

	mcp_policy_name(c->tool, t, method);
	if (mcp_judge(c, span_str(c->tool), c->in.params, &max_response))
		mcp_forward(c, t, max_response);
}

/* A text among the params. 0, or -1: the request was answered. */
static int
read_text(
    struct mcp *c, uint32_t object, const char *name, char *out, size_t size, size_t *len)
{
	char why[64];

	if (json_str_copy(c->doc, json_get(c->doc, object, name), out, size, len) == 0)
		return 0;
	snprintf(why, sizeof(why), "%s must be a text, not too long", name);
	bad_params(c, why);
	return -1;
}

/* The server of the resource that params.uri names; NULL: the request was answered. */
static struct tool_server *
resource_server(struct mcp *c, const char *method, char uri[URI_MAX + 1], size_t *len)
{
	struct tool_server *t;
	char name[CONTEXT_TOOL_MAX + 1];

	if (read_text(c, c->in.params, "uri", uri, URI_MAX + 1, len) != 0)
		return NULL;
	if ((t = mcp_resource_route(c->rules, method, span_mem(uri, *len))) != NULL)
		return t;
	/* the same whether it does not exist or the context does not permit it */
	snprintf(name, sizeof(name), "mcp.*.%s", method);
	c->d.row.detail = span_str(name);
	mcp_error(c, 200, RPC_NO_RESOURCE, "no_resource", "Resource not found");
	c->d.row.detail = (struct span){NULL, 0};
	return NULL;
}

static void
do_resources_read(struct mcp *c)
{
	char uri[URI_MAX + 1];
	size_t len;
	struct tool_server *t = resource_server(c, "resources/read", uri, &len);

	if (t != NULL)
		pass_on(c, t, "resources/read");
}

static void
do_subscribe(struct mcp *c)
{
	char uri[URI_MAX + 1];
	size_t len;
	struct tool_server *t = resource_server(c, "resources/subscribe", uri, &len);

	if (t == NULL)
		return;
	if (mcp_subscribe(c->s, t->number, span_mem(uri, len)) == -1)
		mcp_error(c, 200, RPC_REFUSED, "too_many", "Too many subscriptions");
	else
		pass_on(c, t, "resources/subscribe");
}

static void
do_unsubscribe(struct mcp *c)
{
	char uri[URI_MAX + 1];
	size_t len;
	struct tool_server *t = resource_server(c, "resources/subscribe", uri, &len);

	if (t == NULL)
		return;
	mcp_unsubscribe(c->s, t->number, span_mem(uri, len));
	if (mcp_subscribed(t->number, span_mem(uri, len)))
		mcp_result(c, "{}", 2); /* others still are */
	else
		pass_on(c, t, "resources/subscribe");
}

static void
do_prompts_get(struct mcp *c)
{
	char name[CONTEXT_TOOL_MAX + 1];
	struct tool_server *t;
	size_t len;

	if (read_text(c, c->in.params, "name", name, sizeof(name), &len) != 0)
		return;
	t = mcp_prompt_route(c->rules, "prompts/get", span_mem(name, len));
	if (t == NULL)
		bad_params(c, "Unknown prompt");
	else
		pass_on(c, t, "prompts/get");
}

static void
do_complete(struct mcp *c)
{
	static const char method[] = "completion/complete";
	uint32_t ref = json_get(c->doc, c->in.params, "ref"),
		 type = json_get(c->doc, ref, "type");
	bool prompt = json_str_eq(c->doc, type, "ref/prompt");
	struct tool_server *t;
	char text[URI_MAX + 1];
	size_t len;

	if (!prompt && !json_str_eq(c->doc, type, "ref/resource")) {
		bad_params(c, "ref must be a prompt or a resource");
		return;
	}
	if (read_text(c, ref, prompt ? "name" : "uri", text, sizeof(text), &len) != 0)
		return;
	t = prompt ? mcp_prompt_route(c->rules, method, span_mem(text, len))
		   : mcp_resource_route(c->rules, method, span_mem(text, len));
	if (t == NULL)
		bad_params(c, prompt ? "Unknown prompt" : "Unknown resource");
	else
		pass_on(c, t, method);
}

static void
do_set_level(struct mcp *c)
{
	static const char *const names[] = {"debug", "info", "notice", "warning", "error",
	    "critical", "alert", "emergency"};
	uint32_t level = json_get(c->doc, c->in.params, "level");
	uint8_t n;

	for (n = 0; n < MCP_EMERGENCY; n++)
		if (json_str_eq(c->doc, level, names[n])) {
			c->s->level = n + 1;
			mcp_result(c, "{}", 2);
			return;
		}
	bad_params(c, "Unknown level");
}

/* When: in sessions, in requests that stand alone. */
enum { SESSION = 1, ALONE = 2 };

static const struct {
	const char *method;
	void (*fn)(struct mcp *);
	unsigned when;
} methods[] = {
    {"tools/call", do_tools_call, SESSION | ALONE},
    {"tools/list", do_tools_list, SESSION | ALONE},
    {"ping", do_ping, SESSION},
    {"resources/read", do_resources_read, SESSION | ALONE},
    {"resources/list", do_resources_list, SESSION | ALONE},
    {"resources/templates/list", do_templates_list, SESSION | ALONE},
    {"resources/subscribe", do_subscribe, SESSION},
    {"resources/unsubscribe", do_unsubscribe, SESSION},
    {"prompts/get", do_prompts_get, SESSION | ALONE},
    {"prompts/list", do_prompts_list, SESSION | ALONE},
    {"completion/complete", do_complete, SESSION | ALONE},
    {"logging/setLevel", do_set_level, SESSION},
    {"server/discover", mcp_2026_discover, ALONE},
};

void
mcp_dispatch(struct mcp *c)
{
	unsigned now = c->modern ? ALONE : SESSION;
	size_t i;

	if (!mcp_pace(c))
		return;
	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if ((methods[i].when & now) &&
		    strcmp(c->in.method, methods[i].method) == 0) {
			methods[i].fn(c);
			return;
		}
	mcp_error(c, 200, RPC_NO_METHOD, "unknown_method", "Method not found");
}
