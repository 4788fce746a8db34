/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCP 2026-07-28: no initialize and no session; each request says its version and what
 * the client can, and repeats in header fields what those on the way look at. Judge only.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/b64.h"
#include "common/proto.h"
#include "keymasterd/judge/mcp.h"

#define KEY(name) "io.modelcontextprotocol/" name
#define NAME_MAX_OCTETS 2304

static struct buf result;

static int
mismatch(struct mcp *c, const char *why)
{
	mcp_error(c, 400, RPC_HEADER, "header", why);
	return -1;
}

/* Mcp-Name as text: what is not plain ASCII comes as =?base64?...?=. Its length or -1. */
static ssize_t
decode_name(struct span s, char out[NAME_MAX_OCTETS])
{
	static const char front[] = "=?base64?";
	size_t n = sizeof(front) - 1;

	if (s.len >= n + 2 && memcmp(s.p, front, n) == 0 &&
	    memcmp(s.p + s.len - 2, "?=", 2) == 0)
		return b64_decode(B64_STD, s.p + n, s.len - n - 2, out, NAME_MAX_OCTETS);
	if (s.len > NAME_MAX_OCTETS)
		return -1;
	if (s.len > 0)
		memcpy(out, s.p, s.len);
	return (ssize_t)s.len;
}

static int
check_name(struct mcp *c)
{
	const char *member = strcmp(c->in.method, "resources/read") == 0 ? "uri"
	    : strcmp(c->in.method, "tools/call") == 0 ||
		strcmp(c->in.method, "prompts/get") == 0
	    ? "name"
	    : NULL;
	char said[NAME_MAX_OCTETS], meant[NAME_MAX_OCTETS];
	size_t meant_len;
	ssize_t said_len;

	if (member == NULL ||
	    json_str_copy(c->doc, json_get(c->doc, c->in.params, member), meant,
		sizeof(meant), &meant_len) == -1)
		return 0; /* the method itself finds fault with it */
	said_len = decode_name(c->m->rpc_name, said);
	if (said_len < 0 || (size_t)said_len != meant_len ||
	    memcmp(said, meant, meant_len) != 0)
		return mismatch(c, "Mcp-Name is not what the message names");
	return 0;
}

/* Without a level no log is wanted. */
static uint8_t
read_level(const struct mcp *c)
{
	static const char *const names[] = {"debug", "info", "notice", "warning", "error",
	    "critical", "alert", "emergency"};
	uint32_t level = json_get(c->doc, c->in.meta, KEY("logLevel"));
	uint8_t n;

	for (n = 0; n < MCP_EMERGENCY; n++)
		if (json_str_eq(c->doc, level, names[n]))
			return n + 1;
	return MCP_SILENT;
}

int
mcp_2026_check(struct mcp *c)
{
	uint32_t version = json_get(c->doc, c->in.meta, KEY("protocolVersion")),
		 can = json_get(c->doc, c->in.meta, KEY("clientCapabilities"));

	if (json_type(c->doc, version) != JT_STRING ||
	    json_type(c->doc, can) != JT_OBJECT) {
		mcp_error(c, 400, RPC_BAD_PARAMS, "bad_params",
		    "params._meta must hold " KEY("protocolVersion") " and " KEY(
			"clientCapabilities"));
		return -1;
	}
	if (!json_str_eq(c->doc, version, MCP_VERSION_2026))
		return mismatch(c, "MCP-Protocol-Version is not what the message says");
	if (!span_eq(c->m->rpc_method, c->in.method))
		return mismatch(c, "Mcp-Method is not what the message says");
	if (check_name(c) != 0)
		return -1;
	c->level = read_level(c);
	return 0;
}

void
mcp_2026_discover(struct mcp *c)
{
	struct jsonw w;

	buf_reset(&result);
	jsonw_init(&w, &result);
	jsonw_obj_open(&w);
	jsonw_key(&w, "supportedVersions");
	jsonw_arr_open(&w);
	jsonw_str(&w, MCP_VERSION_2026);
	jsonw_str(&w, MCP_VERSION_SESSION);
	jsonw_str(&w, "2025-06-18");
	jsonw_str(&w, "2025-03-26");
	jsonw_str(&w, "2024-11-05");
	jsonw_arr_close(&w);
	mcp_put_capabilities(c, &w);
	mcp_put_extensions(&w);
	jsonw_key(&w, "_meta");
	jsonw_obj_open(&w);
	jsonw_key(&w, KEY("serverInfo"));
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "name", "aegis");
	jsonw_key_str(&w, "version", PACKAGE_VERSION);
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0)
		mcp_error(c, 503, RPC_INTERNAL, "503", "The answer could not be written");
	else
		mcp_result(c, result.p, result.len);
}
