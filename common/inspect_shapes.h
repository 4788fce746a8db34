/* SPDX-License-Identifier: Apache-2.0 */
/* What credentials look like whose makers gave them a prefix. gated and judge. */
#ifndef AEGIS_INSPECT_SHAPES_H
#define AEGIS_INSPECT_SHAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum set { ALNUM, ALNUM_DASH, UPPER_DIGIT, HEX_LOWER, BASE64, ALNUM_DOT_DASH };

/* prefix, then `min` to `max` octets of `set` (more: it is something else, max 0: no
 * end). */
struct shape {
	const char *prefix;
	const char *name;
	uint16_t min, max;
	enum set set;
	bool sure;
	bool digit; /* must have one, or it is a word with dashes */
};

/* By the first octet of the prefix, all of one together. */
extern const struct shape inspect_shapes[];
extern const size_t inspect_nshapes;

#endif
