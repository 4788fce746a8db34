/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads one JSON-RPC message of an MCP client (JSON-RPC 2.0; MCP, "Base Protocol"), and
 * the header fields around it. Judge only; every octet is an agent's.
 */
#ifndef AEGIS_JUDGE_MCP_READ_H
#define AEGIS_JUDGE_MCP_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/json.h"
#include "common/span.h"

#define MCP_ID_MAX 250     /* octets of an id as it stands */
#define MCP_METHOD_MAX 128 /* octets of a method's name */
#define MCP_BODY_MAX (16u << 20)

#define RPC_PARSE (-32700)
#define RPC_INVALID (-32600)

enum mcp_kind { MCP_REQUEST = 1, MCP_NOTIFICATION, MCP_RESPONSE };

struct mcp_msg {
	enum mcp_kind kind;
	struct span id; /* as it stands; empty in a notification */
	char method[MCP_METHOD_MAX + 1];
	uint32_t params; /* an object, or JSON_NONE */
	uint32_t meta;   /* params._meta, an object, or JSON_NONE */
};

/*
 * Parses the octets into d, which points into them. 0, or RPC_PARSE or RPC_INVALID with a
 * text in *why. out->id is set as far as it is known. A batch is RPC_INVALID: the newest
 * versions of MCP have none, and one message is one decision.
 */
int mcp_read(
    struct json_doc *d, const void *p, size_t len, struct mcp_msg *out, const char **why);

/* Does the Accept field (RFC 9110 12.5.1) name the type, or a range over it? Weights are
 * looked at for q=0 only. An absent field accepts nothing here. */
bool mcp_accepts(struct span accept, const char *type);
/* application/json, with or without parameters. */
bool mcp_is_json(struct span content_type);
/*
 * May a browser's page of this origin talk to us? Loopback names and addresses, and the
 * names of the list (space separated), at any port. An absent Origin may: it is no
 * browser.
 */
bool mcp_origin_ok(struct span origin, struct span names);
/* Host: the same names; addresses too, since nobody can make a name of his lead to one.
 */
bool mcp_host_ok(struct span host, struct span names);

#endif
