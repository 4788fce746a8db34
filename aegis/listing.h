/* SPDX-License-Identifier: Apache-2.0 */
/* A list of JSON objects as a table for people, or as an array with --json. */
#ifndef AEGIS_LISTING_H
#define AEGIS_LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include "aegis/out.h"
#include "common/buf.h"

struct listing {
	struct table *table; /* NULL: JSON */
	struct buf json;
	bool failed; /* a row was no JSON object, or there was no memory */
};

/* 0, or -1 without memory. Either way to be ended by listing_end(). */
int listing_begin(struct listing *, bool json, const struct column *);
void listing_add(struct listing *, const void *json, size_t len);
/* Prints; `empty` instead of a table without rows. */
void listing_print(const struct listing *, const char *empty);
void listing_end(struct listing *);

#endif
