/* SPDX-License-Identifier: Apache-2.0 */
/* The streams that MCP clients open with GET: what the judge itself has to tell them. */
#ifndef AEGIS_JUDGE_MCP_STREAM_H
#define AEGIS_JUDGE_MCP_STREAM_H

#include <stdint.h>

#include "keymasterd/judge/mcp.h"
#include "keymasterd/judge/tools.h"

/* Answers the request with a stream; one that the session has already is closed. */
void mcp_stream_grant(struct mcp *);
/* Closes the session's stream, if it has one. */
void mcp_stream_close(struct mcp_session *);
/* This gate's door is shut. */
void mcp_stream_gate_gone(const struct chan *);
/* A list of the server has changed: "tools", "resources" or "prompts". */
void mcp_list_changed(const struct tool_server *, const char *what);

/* Handlers: mcp_gone of a gate, resource_updated of toolhost. */
int mcp_stream_gone(struct chan *, uint64_t reqid, void *msg);
int mcp_resource_updated(struct chan *, uint64_t reqid, void *msg);

#endif
