/* SPDX-License-Identifier: Apache-2.0 */
/* See fields.h. gated. */
#include "gated/fields.h"

#include <string.h>

#include "common/utf8.h"

static const char *
keep(struct req *r, const struct http1_head *h, const struct field *want,
    const char *malformed)
{
	const struct http1_header *f = http1_find(h, want->name);

	if (f == NULL)
		return NULL;
	if (http1_count(h, want->name) != 1)
		return "a field that may stand once is repeated";
	/* what no message could carry */
	if (f->value.len > want->max ||
	    (f->value.len > 0 && memchr(f->value.p, '\0', f->value.len) != NULL) ||
	    !utf8_valid((const uint8_t *)f->value.p, f->value.len))
		return malformed;
	return req_keep(r, want->part, f->value) == 0 ? NULL : "no memory";
}

const char *
fields_keep(struct req *r, const struct http1_head *h, const struct field *fields,
    size_t n, const char *malformed)
{
	const char *why = NULL;
	size_t i;

	for (i = 0; i < n && why == NULL; i++)
		why = keep(r, h, &fields[i], malformed);
	return why;
}
