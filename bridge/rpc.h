/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCP as the bridge speaks it: one JSON-RPC message in, at most one out. Three tools, no
 * state: who is asking is the token, and the gate decides. Any thread.
 */
#ifndef AEGIS_BRIDGE_RPC_H
#define AEGIS_BRIDGE_RPC_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/span.h"

#define RPC_MESSAGE_MAX (1024u * 1024)

/*
 * Answers message for the agent with this token ("" for none) into out, which stays empty
 * when nothing is to be said. began is set by an initialize. 0, or -1: out of memory.
 */
int rpc_answer(const char *token, struct span message, struct buf *out, bool *began);

/* Is it a message that waits for other machines? Those may overtake each other. */
bool rpc_takes_time(struct span message);

#endif
