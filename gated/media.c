/* SPDX-License-Identifier: Apache-2.0 */
/* Media types of requests. gated. */
#include "gated/media.h"

bool
media_is_json(const struct http1_head *h)
{
	static const char json[] = "application/json";
	const struct http1_header *f = http1_find(h, "content-type");
	size_t n = sizeof(json) - 1;

	if (f == NULL)
		return h->body == HTTP1_BODY_NONE ||
		    (h->body == HTTP1_BODY_LENGTH && h->content_length == 0);
	if (http1_count(h, "content-type") != 1 || f->value.len < n ||
	    !span_ieq((struct span){f->value.p, n}, json))
		return false;
	while (n < f->value.len && (f->value.p[n] == ' ' || f->value.p[n] == '\t'))
		n++;
	return n == f->value.len || f->value.p[n] == ';';
}
