/* SPDX-License-Identifier: Apache-2.0 */
/* The start line of a head that was refused. gated; written by anybody. */
#include "gated/http_guess.h"

#include "common/http1.h"
#include "common/http1_class.h"

#define TARGET_MAX 1024

void
http_guess(const char *p, size_t len, struct http_guess *g)
{
	size_t i = 0, start;

	*g = (struct http_guess){{"", 0}, {"", 0}};
	while (i < len && i <= HTTP1_MAX_METHOD && http1_is(p[i], HTTP1_C_TOKEN))
		i++;
	if (i == 0 || i > HTTP1_MAX_METHOD || i == len || p[i] != ' ')
		return;
	g->method = (struct span){p, i};
	start = ++i;
	while (i < len && i - start < TARGET_MAX && http1_is(p[i], HTTP1_C_TARGET))
		i++;
	g->target = (struct span){p + start, i - start};
}
