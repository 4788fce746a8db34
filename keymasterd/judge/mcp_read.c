/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of MCP clients' messages and header fields. Judge only; pure functions. */
#include "keymasterd/judge/mcp_read.h"

#include <string.h>

#include "common/host.h"

static bool
good_id(const struct json_doc *d, uint32_t id, struct span *out)
{
	const uint8_t *p;
	size_t len;
	int64_t n;

	if (json_type(d, id) != JT_STRING && json_int64(d, id, &n) == -1)
		return false;
	if (json_raw(d, id, &p, &len) == -1 || len > MCP_ID_MAX)
		return false;
	*out = span_mem(p, len);
	return true;
}

static int
invalid(const char **why, const char *text)
{
	*why = text;
	return RPC_INVALID;
}

int
mcp_read(
    struct json_doc *d, const void *p, size_t len, struct mcp_msg *out, const char **why)
{
	static const struct json_limits limits = {
	    .size = MCP_BODY_MAX, .nodes = 1u << 20};
	uint32_t root, id, method, result, error;
	enum json_err e;

	*out = (struct mcp_msg){.params = JSON_NONE, .meta = JSON_NONE};
	if ((e = json_parse(d, p, len, &limits)) != JSON_OK) {
		*why = json_strerror(e);
		return RPC_PARSE;
	}
	root = json_root(d);
	if (json_type(d, root) == JT_ARRAY)
		return invalid(why, "a batch: send one message a request");
	if (json_type(d, root) != JT_OBJECT)
		return invalid(why, "not a JSON-RPC message");
	id = json_get(d, root, "id");
	method = json_get(d, root, "method");
	result = json_get(d, root, "result");
	error = json_get(d, root, "error");
	if (id != JSON_NONE && !good_id(d, id, &out->id))
		return invalid(
		    why, "the id must be a string or an integer, at most 250 octets");
	if (!json_str_eq(d, json_get(d, root, "jsonrpc"), "2.0"))
		return invalid(why, "jsonrpc must be \"2.0\"");
	if (method == JSON_NONE) {
		out->kind = MCP_RESPONSE;
		if (id == JSON_NONE || (result == JSON_NONE) == (error == JSON_NONE))
			return invalid(why, "neither a request nor a response");
		return 0;
	}
	out->kind = id == JSON_NONE ? MCP_NOTIFICATION : MCP_REQUEST;
	out->params = json_get(d, root, "params");
	if (result != JSON_NONE || error != JSON_NONE)
		return invalid(why, "a request with a result");
	if (json_str_copy(d, method, out->method, sizeof(out->method), NULL) == -1 ||
	    out->method[0] == '\0')
		return invalid(why, "method must be a text of at most 128 octets");
	if (out->params != JSON_NONE && json_type(d, out->params) != JT_OBJECT)
		return invalid(why, "params must be an object");
	out->meta = json_get(d, out->params, "_meta");
	if (out->meta != JSON_NONE && json_type(d, out->meta) != JT_OBJECT)
		return invalid(why, "_meta must be an object");
	return 0;
}

/* ---- header fields ---- */

static struct span
trim(struct span s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = span_mem(s.p + 1, s.len - 1);
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Cuts the part before `sep` off *rest. */
static struct span
cut(struct span *rest, char sep)
{
	const char *at = memchr(rest->p, sep, rest->len);
	struct span part = *rest;

	if (at == NULL) {
		*rest = span_mem(rest->p + rest->len, 0);
		return trim(part);
	}
	part.len = (size_t)(at - rest->p);
	*rest = span_mem(at + 1, rest->len - part.len - 1);
	return trim(part);
}

/* q=0, q=0.0 and so on. */
static bool
weight_zero(struct span parameter)
{
	size_t i;

	if (parameter.len < 3 || !span_ieq(span_mem(parameter.p, 2), "q="))
		return false;
	for (i = 2; i < parameter.len; i++)
		if (parameter.p[i] != '0' && parameter.p[i] != '.')
			return false;
	return true;
}

bool
mcp_accepts(struct span accept, const char *type)
{
	size_t main_len = (size_t)(strchr(type, '/') - type) + 1;
	struct span range, part;
	bool good, zero;

	while (accept.len > 0) {
		part = cut(&accept, ',');
		range = part.len > 0 ? cut(&part, ';') : part;
		good = span_ieq(range, type) || span_eq(range, "*/*") ||
		    (range.len == main_len + 1 && range.p[main_len] == '*' &&
			span_same(span_mem(range.p, main_len), span_mem(type, main_len)));
		for (zero = false; part.len > 0;)
			zero |= weight_zero(cut(&part, ';'));
		if (good && !zero)
			return true;
	}
	return false;
}

bool
mcp_is_json(struct span type)
{
	return type.len > 0 && span_ieq(cut(&type, ';'), "application/json");
}

/* Is it localhost, or one of the names? */
static bool
named(const char *host, struct span names)
{
	if (strcmp(host, "localhost") == 0)
		return true;
	while (names.len > 0)
		if (span_ieq(cut(&names, ' '), host))
			return true;
	return false;
}

bool
mcp_host_ok(struct span host, struct span names)
{
	char text[HOST_MAX];
	uint16_t port;
	int kind = host_normalise(host.p, host.len, text, &port);

	return kind > 0 && (kind != HOST_NAME || named(text, names));
}

bool
mcp_origin_ok(struct span origin, struct span names)
{
	char text[HOST_MAX];
	size_t skip;
	uint16_t port;
	int kind;

	if (origin.len == 0)
		return true;
	skip = origin.len > 7 && span_ieq(span_mem(origin.p, 7), "http://") ? 7
	    : origin.len > 8 && span_ieq(span_mem(origin.p, 8), "https://") ? 8
									    : 0;
	if (skip == 0)
		return false;
	kind = host_normalise(origin.p + skip, origin.len - skip, text, &port);
	if (kind <= 0)
		return false;
	if (kind == HOST_NAME)
		return named(text, names);
	return (kind == HOST_IPV4 && strncmp(text, "127.", 4) == 0) ||
	    strcmp(text, "[::1]") == 0;
}
