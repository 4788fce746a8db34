/* SPDX-License-Identifier: Apache-2.0 */
/* The cursor over lines of the ledger; see line_cursor.h. Judge and command line. */
#include "common/line_cursor.h"

#include <string.h>

#define LEN(literal) (sizeof(literal) - 1)
#define TAIL (LEN(LINE_HASH) + LINE_HEX + 2) /* of a row without evidence */

void
line_expect(struct line_cursor *c, const char *literal, size_t len)
{
	if (c->bad || (size_t)(c->end - c->p) < len || memcmp(c->p, literal, len) != 0)
		c->bad = true;
	else
		c->p += len;
}

bool
line_try(struct line_cursor *c, const char *literal)
{
	size_t len = strlen(literal);

	if (c->bad || (size_t)(c->end - c->p) < len || memcmp(c->p, literal, len) != 0)
		return false;
	c->p += len;
	return true;
}

uint64_t
line_number(struct line_cursor *c)
{
	uint64_t v = 0;
	const char *start = c->p;

	while (!c->bad && c->p < c->end && *c->p >= '0' && *c->p <= '9') {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*c->p - '0'), &v))
			c->bad = true;
		c->p++;
	}
	if (c->p == start || *start == '0')
		c->bad = true;
	return v;
}

/* The value of a lower-case digit, 16 and up for everything else. */
static unsigned
digit(char c)
{
	unsigned d = (unsigned)(uint8_t)c - '0', a = (unsigned)(uint8_t)c - 'a';

	return d < 10 ? d : a < 6 ? a + 10 : 16;
}

void
line_hash(struct line_cursor *c, uint8_t out[32])
{
	unsigned seen = 0, hi, lo, i;

	if (c->bad || c->end - c->p < LINE_HEX) {
		c->bad = true;
		return;
	}
	for (i = 0; i < 32; i++) {
		hi = digit(c->p[2 * i]);
		lo = digit(c->p[2 * i + 1]);
		seen |= hi | lo;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	c->bad = seen > 15;
	c->p += LINE_HEX;
}

struct span
line_text(struct line_cursor *c)
{
	const char *quote = c->bad ? NULL : memchr(c->p, '"', (size_t)(c->end - c->p));
	struct span s = {c->p, quote != NULL ? (size_t)(quote - c->p) : 0};

	if (s.len == 0 || memchr(s.p, '\\', s.len) != NULL ||
	    memchr(s.p, '\0', s.len) != NULL) {
		c->bad = true;
		return (struct span){NULL, 0};
	}
	c->p = quote;
	return s;
}

void
line_copy(struct line_cursor *c, char *out, size_t size)
{
	if (span_copy(line_text(c), out, size) == -1)
		c->bad = true;
}

bool
line_done(const struct line_cursor *c)
{
	return !c->bad && c->p == c->end;
}

const char *
line_row_end(const struct line_cursor *c)
{
	size_t len = (size_t)(c->end - c->p);
	const char *hash;

	if (c->bad || len < TAIL)
		return NULL;
	/* of a row without evidence, so of most; what an agent signed may have such
	 * octets, too, but ends with two braces */
	hash = c->end - TAIL;
	if (c->end[-2] != '"' || memcmp(hash, LINE_HASH, LEN(LINE_HASH)) != 0)
		hash = memmem(c->p, len, LINE_HASH, LEN(LINE_HASH));
	return hash == NULL || hash == c->p || (size_t)(c->end - hash) < TAIL ? NULL
									      : hash;
}
