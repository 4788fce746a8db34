/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tool servers have beside tools: resources, their templates, prompts. As with
 * tools, what servers say is bounded, parsed strictly, and passed on as data. Judge only.
 */
#ifndef AEGIS_JUDGE_MCP_OFFER_H
#define AEGIS_JUDGE_MCP_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/tools.h"

struct chan;
struct jsonw;

enum mcp_offer { MCP_OFFER_RESOURCES, MCP_OFFER_TEMPLATES, MCP_OFFER_PROMPTS };

/* Writes the objects that the context permits, from the `skip`th on, until `room` octets
 * are used. Returns how many were passed; *more: there are others. */
unsigned mcp_offer_write(struct jsonw *, const struct context_entry *, enum mcp_offer,
    unsigned skip, size_t room, bool *more);

/* Does a server that the context permits this method have the feature? One that was not
 * heard of yet may. */
bool mcp_offers(const struct context_entry *, uint32_t feature, const char *method);

/* Who has the prompt, the resource, or (by its text) the template; NULL: nobody. Of
 * several the first of the configuration that the context permits `method`. */
struct tool_server *mcp_prompt_route(
    const struct context_entry *, const char *method, struct span name);
struct tool_server *mcp_resource_route(
    const struct context_entry *, const char *method, struct span uri);

/* Handler: tool_features of toolhost. */
int mcp_tool_features(struct chan *, uint64_t reqid, void *msg);

#endif
