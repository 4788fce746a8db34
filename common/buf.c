/* SPDX-License-Identifier: Apache-2.0 */
/* Growable byte buffer; see buf.h. Runs in every process, holds whatever its user puts
 * in. */
#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_MIN 256

void
buf_init(struct buf *b)
{
	b->p = NULL;
	b->len = b->cap = 0;
}

void
buf_free(struct buf *b)
{
	free(b->p);
	buf_init(b);
}

void
buf_wipe_free(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_free(b);
}

int
buf_grow(struct buf *b, size_t extra)
{
	size_t need, cap;
	uint8_t *p;

	if (__builtin_add_overflow(b->len, extra, &need) || need > PTRDIFF_MAX)
		return -1;
	if (need <= b->cap)
		return 0;
	cap = b->cap < BUF_MIN / 2 ? BUF_MIN : b->cap * 2; /* cap <= PTRDIFF_MAX */
	if (cap < need)
		cap = need;
	/* not realloc(): it would leave a copy of the old bytes in the heap */
	if ((p = malloc(cap)) == NULL)
		return -1;
	if (b->p != NULL) {
		memcpy(p, b->p, b->len);
		explicit_bzero(b->p, b->len);
		free(b->p);
	}
	b->p = p;
	b->cap = cap;
	return 0;
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, m;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || buf_reserve(b, (size_t)n + 1) != 0) /* + 1: vsnprintf's NUL */
		return -1;
	va_start(ap, fmt);
	m = vsnprintf((char *)b->p + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	if (m != n)
		return -1;
	b->len += (size_t)n;
	return 0;
}
