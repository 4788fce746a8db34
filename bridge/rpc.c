/* SPDX-License-Identifier: Apache-2.0 */
/* See rpc.h. JSON-RPC 2.0 as MCP narrows it: ids are texts or integers, no batches. */
#include "bridge/rpc.h"

#include <string.h>

#include "bridge/tools.h"
#include "common/json.h"
#include "common/jsonw.h"

#define VERSION_NEWEST "2025-11-25"

enum { /* JSON-RPC 2.0, section 5.1 */
	RPC_PARSE = -32700,
	RPC_REQUEST = -32600,
	RPC_METHOD = -32601,
	RPC_PARAMS = -32602
};

static const char *const versions[] = {
    VERSION_NEWEST, "2025-06-18", "2025-03-26", "2024-11-05"};

struct call {
	const char *token;
	struct json_doc doc;
	struct span id; /* the lexeme as it came; p NULL: a notification */
	uint32_t params;
	struct jsonw w;
	struct buf *out;
};

static void
open_answer(struct call *c)
{
	jsonw_init(&c->w, c->out);
	jsonw_obj_open(&c->w);
	jsonw_key_str(&c->w, "jsonrpc", "2.0");
	jsonw_key(&c->w, "id");
	if (c->id.p != NULL)
		jsonw_raw(&c->w, c->id.p, c->id.len);
	else
		jsonw_null(&c->w);
}

static void
put_error(struct call *c, int code, const char *message)
{
	open_answer(c);
	jsonw_key(&c->w, "error");
	jsonw_obj_open(&c->w);
	jsonw_key_int(&c->w, "code", code);
	jsonw_key_str(&c->w, "message", message);
	jsonw_obj_close(&c->w);
}

static void
open_result(struct call *c)
{
	open_answer(c);
	jsonw_key(&c->w, "result");
	jsonw_obj_open(&c->w);
}

static void
do_initialize(struct call *c)
{
	uint32_t wanted = json_get(&c->doc, c->params, "protocolVersion");
	const char *version = VERSION_NEWEST;

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (json_str_eq(&c->doc, wanted, versions[i]))
			version = versions[i];
	open_result(c);
	jsonw_key_str(&c->w, "protocolVersion", version);
	jsonw_key(&c->w, "capabilities");
	jsonw_raw(&c->w, "{\"tools\":{}}", 12);
	jsonw_key(&c->w, "serverInfo");
	jsonw_obj_open(&c->w);
	jsonw_key_str(&c->w, "name", "aegis");
	jsonw_key_str(&c->w, "version", PACKAGE_VERSION);
	jsonw_obj_close(&c->w);
	jsonw_key_str(&c->w, "instructions",
	    "Call APIs with aegis_proxy_request; credentials are injected on the way. "
	    "aegis_list_services says which services there are.");
	jsonw_obj_close(&c->w);
}

static int
do_call(struct call *c)
{
	uint32_t args = json_get(&c->doc, c->params, "arguments");
	bool failed = false;
	struct buf text;
	char name[64];
	int r;

	buf_init(&text);
	if (json_str_copy(&c->doc, json_get(&c->doc, c->params, "name"), name,
		sizeof(name), NULL) == -1 ||
	    (args != JSON_NONE && json_type(&c->doc, args) != JT_OBJECT)) {
		put_error(
		    c, RPC_PARAMS, "name is one of tools/list, arguments an object");
		return 0;
	}
	r = tools_call(c->token, &c->doc, name, args, &text, &failed);
	if (r == 1) {
		put_error(c, RPC_PARAMS, "There is no tool of this name");
	} else if (r == 0) {
		open_result(c);
		jsonw_key(&c->w, "content");
		jsonw_arr_open(&c->w);
		jsonw_obj_open(&c->w);
		jsonw_key_str(&c->w, "type", "text");
		jsonw_key(&c->w, "text");
		jsonw_strn(&c->w, text.p, text.len);
		jsonw_obj_close(&c->w);
		jsonw_arr_close(&c->w);
		if (failed)
			jsonw_key_bool(&c->w, "isError", true);
		jsonw_obj_close(&c->w);
	}
	buf_free(&text);
	return r == -1 ? -1 : 0;
}

static int
do_method(struct call *c, uint32_t method, bool *began)
{
	const struct json_doc *d = &c->doc;

	if (json_str_eq(d, method, "initialize")) {
		do_initialize(c);
		*began = true;
	} else if (json_str_eq(d, method, "ping")) {
		open_result(c);
		jsonw_obj_close(&c->w);
	} else if (json_str_eq(d, method, "tools/list")) {
		open_result(c);
		jsonw_key(&c->w, "tools");
		jsonw_raw(&c->w, tools_list, strlen(tools_list));
		jsonw_obj_close(&c->w);
	} else if (json_str_eq(d, method, "tools/call")) {
		return do_call(c);
	} else {
		put_error(c, RPC_METHOD, "This method is not known here");
	}
	return 0;
}

int
rpc_answer(const char *token, struct span message, struct buf *out, bool *began)
{
	static const struct json_limits limits = {.size = RPC_MESSAGE_MAX};
	struct call c = {.token = token, .out = out};
	uint32_t id, method;
	const uint8_t *p;
	size_t len;
	int r = 0;

	*began = false;
	buf_reset(out);
	json_init(&c.doc);
	if (json_parse(&c.doc, message.p, message.len, &limits) != JSON_OK) {
		put_error(&c, RPC_PARSE, "This is not JSON");
		goto out;
	}
	id = json_get(&c.doc, 0, "id");
	method = json_get(&c.doc, 0, "method");
	c.params = json_get(&c.doc, 0, "params");
	if ((json_type(&c.doc, id) == JT_STRING || json_type(&c.doc, id) == JT_NUMBER) &&
	    json_raw(&c.doc, id, &p, &len) == 0)
		c.id = span_mem(p, len);
	if (json_type(&c.doc, 0) == JT_OBJECT && method == JSON_NONE &&
	    (json_get(&c.doc, 0, "result") != JSON_NONE ||
		json_get(&c.doc, 0, "error") != JSON_NONE))
		goto out_silent; /* an answer; we asked nothing */
	if (!json_str_eq(&c.doc, json_get(&c.doc, 0, "jsonrpc"), "2.0") ||
	    json_type(&c.doc, method) != JT_STRING ||
	    (id != JSON_NONE && c.id.p == NULL) ||
	    (c.params != JSON_NONE && json_type(&c.doc, c.params) != JT_OBJECT)) {
		put_error(&c, RPC_REQUEST, "This is not a request of JSON-RPC 2.0");
		goto out;
	}
	if (c.id.p == NULL)
		goto out_silent;
	r = do_method(&c, method, began);
out:
	jsonw_obj_close(&c.w);
	if (jsonw_done(&c.w) != 0)
		r = -1;
out_silent:
	json_free(&c.doc);
	return r;
}

bool
rpc_takes_time(struct span message)
{
	struct json_doc d;
	bool call;

	json_init(&d);
	call = json_parse(&d, message.p, message.len, NULL) == JSON_OK &&
	    json_str_eq(&d, json_get(&d, 0, "method"), "tools/call");
	json_free(&d);
	return call;
}
