/* SPDX-License-Identifier: Apache-2.0 */
/* What the judge answers to HTTP itself: which paths, and in which words. Judge only. */
#ifndef AEGIS_JUDGE_API_H
#define AEGIS_JUDGE_API_H

#include <stdint.h>

#include "common/msg.h"
#include "common/span.h"
#include "keymasterd/judge/decide.h"

/* Ends the question with an error that both kinds of client understand. */
void api_refuse(struct decide *, unsigned code, const char *message);

/* The value of `name` in a query, percent-decoded into out. -1: absent or malformed. */
int api_query_get(struct span query, const char *name, char *out, size_t size);

#endif
