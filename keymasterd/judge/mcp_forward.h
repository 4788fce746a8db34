/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes on to a tool server: policy, the row, the grant over the message's octets,
 * and the calls under way, which an agent can cancel and in which a server can ask back.
 * Judge only.
 */
#ifndef AEGIS_JUDGE_MCP_FORWARD_H
#define AEGIS_JUDGE_MCP_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "keymasterd/judge/mcp.h"
#include "keymasterd/judge/tools.h"

/*
 * Judges "name" with these arguments under the client's context. True: allowed, and
 * c->tool, the row and the limit are set; false: the request was answered.
 */
bool mcp_judge(struct mcp *, struct span name, uint32_t args, uint64_t *max_response);
/* Not more requests in a second than may be: else false, and it was answered. */
bool mcp_pace(struct mcp *);
/* The name that policy knows a method of a server by: mcp.SERVER.METHOD with dots. */
void mcp_policy_name(
    char out[CONTEXT_TOOL_MAX + 1], const struct tool_server *, const char *method);
/* May the context do this at all, whatever the arguments? */
bool mcp_may(
    const struct context_entry *, const struct tool_server *, const char *method);
/* Grants the message to the server. */
void mcp_forward(struct mcp *, struct tool_server *, uint64_t max_response);

/* The agent does not want the answer to the request with this id any more. */
void mcp_cancel(struct mcp *, struct span id);
/* The agent answers a question of a server. */
void mcp_respond(struct mcp *);
/* A session ends: what it has under way goes on without it. */
void mcp_forget_session(const struct mcp_session *);
/* A flight has ended (flight.c). */
void mcp_call_over(const uint8_t request_id[16]);

/* Handler: client_ask of toolhost. */
int mcp_client_ask(struct chan *, uint64_t reqid, void *msg);

#endif
