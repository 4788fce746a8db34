/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Characters, escapes and classes of patterns; see nfa.h. Judge, workers, command line,
 * on patterns of administrators.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/nfa_int.h"
#include "common/utf8.h"

int
nfa_fail(struct nfa_compiling *c, size_t at, const char *fmt, ...)
{
	va_list ap;

	if (!c->failed) {
		va_start(ap, fmt);
		vsnprintf(c->err, c->err_size, fmt, ap);
		va_end(ap);
		c->err_at = at;
	}
	c->failed = true;
	return -1;
}

int
nfa_too_large(struct nfa_compiling *c)
{
	return nfa_fail(c, c->pos,
	    "the pattern is too large: write smaller repetitions, or several patterns");
}

int
nfa_emit(struct nfa_compiling *c, enum nfa_op op, uint32_t ch, int32_t x, int32_t y)
{
	if (c->p->n == NFA_STATES_MAX)
		return nfa_too_large(c);
	c->p->code[c->p->n++] = (struct nfa_inst){op, ch, x, y};
	return 0;
}

static int
add_range(struct nfa_compiling *c, uint32_t lo, uint32_t hi)
{
	if (c->p->nranges == NFA_RANGES_MAX)
		return nfa_too_large(c);
	c->p->range[c->p->nranges++] = (struct nfa_range){lo, hi};
	return 0;
}

int
nfa_take_char(struct nfa_compiling *c, uint32_t *out)
{
	size_t n =
	    utf8_decode((const uint8_t *)c->in.p + c->pos, c->in.len - c->pos, out);

	if (n == 0 || *out < 0x20 || *out == 0x7f)
		return nfa_fail(c, c->pos, "a control character, or not UTF-8");
	c->pos += n;
	return 0;
}

static int
take_hex(struct nfa_compiling *c, unsigned digits, uint32_t *out)
{
	unsigned i;
	char ch;

	*out = 0;
	for (i = 0; i < digits; i++, c->pos++) {
		ch = nfa_peek(c);
		if (ch >= '0' && ch <= '9')
			*out = *out * 16 + (uint32_t)(ch - '0');
		else if ((ch >= 'a' && ch <= 'f') || (ch >= 'A' && ch <= 'F'))
			*out = *out * 16 + (uint32_t)((ch | 0x20) - 'a') + 10;
		else
			return nfa_fail(
			    c, c->pos, "expected %u hexadecimal digits", digits);
	}
	return 0;
}

int
nfa_add_named(struct nfa_compiling *c, char name)
{
	static const struct nfa_range digit[] = {{'0', '9'}},
				      word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'},
					  {'a', 'z'}},
				      space[] = {{'\t', '\r'}, {' ', ' '}};
	const struct nfa_range *r;
	uint32_t from = 0;
	size_t n, i;

	switch (name | 0x20) {
	case 'd':
		r = digit, n = 1;
		break;
	case 'w':
		r = word, n = 4;
		break;
	case 's':
		r = space, n = 2;
		break;
	default:
		return 1;
	}
	for (i = 0; i < n; i++) {
		if ((name & 0x20) != 0) {
			if (add_range(c, r[i].lo, r[i].hi) == -1)
				return -1;
			continue;
		}
		if (r[i].lo > from && add_range(c, from, r[i].lo - 1) == -1)
			return -1;
		from = r[i].hi + 1;
	}
	return (name & 0x20) == 0 ? add_range(c, from, UINT32_MAX) : 0;
}

int
nfa_take_escape(struct nfa_compiling *c, uint32_t *out)
{
	static const char letters[] = "tnrfv", values[] = "\t\n\r\f\v";
	size_t at = c->pos - 1;
	char ch = nfa_peek(c);
	const char *p;

	if (!nfa_more(c))
		return nfa_fail(c, at, "a backslash at the end");
	c->pos++;
	if ((p = strchr(letters, ch)) != NULL && ch != '\0') {
		*out = (uint32_t)(unsigned char)values[p - letters];
		return 0;
	}
	if (ch == 'x')
		return take_hex(c, 2, out);
	if (ch == 'u')
		return take_hex(c, 4, out);
	if (ch >= '0' && ch <= '9')
		return nfa_fail(c, at,
		    "references to groups are not possible, since matching takes linear "
		    "time");
	if ((unsigned char)ch <= 0x20 || (unsigned char)ch >= 0x7f ||
	    ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z'))
		return nfa_fail(c, at, "this escape has no meaning");
	*out = (uint32_t)(unsigned char)ch;
	return 0;
}

/* ---- [...] ---- */

/* One end of a range. 1: it was a class such as \d instead. */
static int
class_item(struct nfa_compiling *c, uint32_t *out)
{
	int r;

	if (nfa_peek(c) != '\\')
		return nfa_take_char(c, out);
	c->pos++;
	if (nfa_more(c) && (r = nfa_add_named(c, nfa_peek(c))) != 1) {
		c->pos++;
		return r == -1 ? -1 : 1;
	}
	return nfa_take_escape(c, out);
}

static int
class_range(struct nfa_compiling *c)
{
	size_t at = c->pos;
	uint32_t lo, hi;
	int r = class_item(c, &lo);

	if (r != 0)
		return r == -1 ? -1 : 0;
	hi = lo;
	if (nfa_peek(c) == '-' && c->pos + 1 < c->in.len && c->in.p[c->pos + 1] != ']') {
		c->pos++;
		if ((r = class_item(c, &hi)) != 0)
			return r == -1 ? -1 : nfa_fail(c, at, "a range ends in a class");
		if (hi < lo)
			return nfa_fail(c, at, "the range is in the wrong order");
	}
	return add_range(c, lo, hi);
}

int
nfa_bracket(struct nfa_compiling *c)
{
	size_t at = c->pos - 1;
	int32_t first = c->p->nranges;
	bool not = nfa_peek(c) == '^';

	c->pos += not ;
	if (nfa_peek(c) == ']')
		return nfa_fail(c, at, "an empty class: write \\] for a bracket");
	while (nfa_more(c) && nfa_peek(c) != ']')
		if (class_range(c) == -1)
			return -1;
	if (!nfa_more(c))
		return nfa_fail(c, at, "[ without ]");
	c->pos++;
	return nfa_emit(c, NFA_CLASS, not, first, c->p->nranges - first);
}
