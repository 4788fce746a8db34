/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields that a request brings to the judge. gated; they are agents'. */
#ifndef AEGIS_GATED_FIELDS_H
#define AEGIS_GATED_FIELDS_H

#include "common/http1.h"
#include "gated/req.h"

struct field {
	const char *name; /* lower case */
	size_t max;       /* octets */
	struct part *part;
};

/*
 * Keeps a copy of each field that is there in r. NULL, or why the request is refused:
 * `malformed` for one that is too long or no UTF-8 text.
 */
const char *fields_keep(struct req *r, const struct http1_head *, const struct field *,
    size_t n, const char *malformed);

#endif
