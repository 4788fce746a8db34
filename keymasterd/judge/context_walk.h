/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks over the arguments of a tool call and shows every value that holds a path, or a
 * URL: those whose argument has one of the usual names or one that the context adds, and,
 * at any depth, texts and names of members that look like one. The input is an agent's.
 * Judge only; one scratch area, as the judge decides on one thread.
 */
#ifndef AEGIS_JUDGE_CONTEXT_WALK_H
#define AEGIS_JUDGE_CONTEXT_WALK_H

#include "common/context.h"
#include "common/json.h"
#include "common/span.h"

/* A value, decoded; p NULL for one that is neither text nor a list of texts, or too long.
 * 0 to go on. name: of the argument or member, at most 63 octets of it. */
typedef int (*context_value_fn)(struct span value, const char *name, void *arg);

/* Whose names of arguments count beside the usual ones: the context's, and those of one
 * capability, or (cap NULL) of every one that covers the tool. */
struct context_scope {
	const struct context *c;
	const struct context_capability *cap;
	struct span tool;
};

/* How many values had an argument of their own (not below another), or -1 when fn stopped
 * the walk. */
int context_paths_each(const struct json_doc *, uint32_t args,
    const struct context_scope *, context_value_fn, void *arg);
int context_urls_each(const struct json_doc *, uint32_t args,
    const struct context_scope *, context_value_fn, void *arg);

#endif
