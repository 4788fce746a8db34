/* SPDX-License-Identifier: Apache-2.0 */
/* The three tools: a request through the gate, what is there, and how it is. Any thread.
 */
#ifndef AEGIS_BRIDGE_TOOLS_H
#define AEGIS_BRIDGE_TOOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/json.h"

/* The array of tools/list. */
extern const char tools_list[];

/*
 * Calls a tool with its arguments (JSON_NONE: none). The text of the result goes to out;
 * *failed says that it is an error. 0; 1 when there is no such tool; -1 out of memory.
 */
int tools_call(const char *token, const struct json_doc *, const char *name,
    uint32_t args, struct buf *out, bool *failed);

#endif
