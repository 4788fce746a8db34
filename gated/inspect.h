/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for credentials in what an agent sends, while it streams through: constant
 * memory, time linear in the octets. Sees through one or two layers of JSON escapes and
 * percent-encoding, and through gzip and deflate. gated; the octets are agents'.
 */
#ifndef AEGIS_GATED_INSPECT_H
#define AEGIS_GATED_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define INSPECT_FOUND_MAX 4

struct inspect_found {
	const char *name; /* a constant, such as "GitHub token" */
	uint32_t length;
	bool sure; /* such a thing is a credential; else it only looks like one */
};

enum inspect_coding { INSPECT_PLAIN, INSPECT_GZIP, INSPECT_DEFLATE };

struct inspect;

/* NULL without memory. */
struct inspect *inspect_new(enum inspect_coding);
void inspect_free(struct inspect *);
/*
 * The next octets of the body. 0, or -1 when they cannot be read: broken compression, or
 * one that unfolds without measure.
 */
int inspect_feed(struct inspect *, const void *, size_t);
/* The body is over. 0, or -1 as above. */
int inspect_end(struct inspect *);
/* A text that stands on its own, such as a request target or a header field. */
void inspect_text(struct inspect *, struct span);
/*
 * How many octets of the body may go on: those that cannot be a part of something whose
 * end has not been seen. All of them after inspect_end().
 */
uint64_t inspect_clean(const struct inspect *);
/* A sure finding? */
bool inspect_hit(const struct inspect *);
/* The first findings, INSPECT_FOUND_MAX at most. */
unsigned inspect_found(
    const struct inspect *, struct inspect_found out[INSPECT_FOUND_MAX]);
/* "name (n characters), ..." of the findings, cut to cap with NUL. Never shows what was
 * found. */
void inspect_words(const struct inspect *, bool sure, char *out, size_t cap);

/* Content-Encoding to coding; -1 for one that cannot be looked into. */
int inspect_coding(struct span value, enum inspect_coding *);

#endif
