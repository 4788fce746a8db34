/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the lists in a SecurityContext, for context.c. Judge only. */
#ifndef AEGIS_COMMON_CONTEXT_ENTRY_H
#define AEGIS_COMMON_CONTEXT_ENTRY_H

#include "common/context.h"

/* Checks an entry and writes it as it is kept. NULL, or why it is refused. */
typedef const char *(*context_entry_fn)(struct span, char *out, size_t size);

const char *context_entry_path(struct span, char *out, size_t size);
const char *context_entry_command(struct span, char *out, size_t size);
const char *context_entry_word(struct span, char *out, size_t size);
const char *context_entry_text_argument(struct span, char *out, size_t size);

/* "x", ".x", "*.x", "x.", an address. NULL, or why not; host is set when it is NULL. */
const char *context_entry_domain(struct span, struct context_domain *);

/* A copy as a C string; NULL without memory. */
char *context_dup(struct span);

#endif
