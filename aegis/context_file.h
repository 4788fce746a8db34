/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with SecurityContexts, YAML or JSON, one or a list of them: compiled as the judge
 * would, so that an error has its line and column. Command line and master.
 */
#ifndef AEGIS_CONTEXT_FILE_H
#define AEGIS_CONTEXT_FILE_H

#include <stddef.h>

#include "common/span.h"

struct problems;
struct yaml_node;

#define CONTEXT_JSON_MAX 49152 /* of one context: what a message takes */

/* One good context, its JSON text, and where it begins. Not 0: stop. */
typedef int (*context_file_fn)(
    struct span json, const char *name, unsigned line, unsigned column, void *arg);

/* Reads the text of a file; JSON when the path ends in ".json" or the text is, else YAML.
 * What is wrong goes to the problems, under their file. 0, or what fn returned. */
int context_file_read(const char *path, const char *text, size_t len, struct problems *,
    context_file_fn, void *arg);

/* The same for a node of a file that was parsed before: a context or a list of them. */
int context_file_node(struct yaml_node *, struct problems *, context_file_fn, void *arg);

#endif
