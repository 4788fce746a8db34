/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Escapes and member names of parsed JSON: decoding, comparing, sorting. Runs inside the
 * parser of json.c; everything after json_unescape() works on lexemes it has accepted.
 */
#include "common/json.h"

#include <string.h>

#include "common/utf8.h"

#define INSERTION_MAX 12 /* up to here insertion sort is the faster one */

/* Nonzero when one of 8 bytes is a quote, a backslash, below 0x20 or above 0x7f. */
static uint64_t
special(uint64_t w)
{
	const uint64_t lo = 0x0101010101010101ULL, hi = 0x8080808080808080ULL;
	uint64_t quote = w ^ (lo * '"'), slash = w ^ (lo * '\\');

	return (((w - lo * 0x20) | (quote - lo) | (slash - lo)) | w) & hi;
}

const uint8_t *
json_skip_plain(const uint8_t *p, const uint8_t *end)
{
	uint64_t w;

	for (; end - p >= 8; p += 8) {
		memcpy(&w, p, 8);
		if (special(w) != 0)
			break;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

static int
hex4(const uint8_t *p, uint32_t *v)
{
	uint32_t i, c;

	*v = 0;
	for (i = 0; i < 4; i++) {
		c = p[i];
		if (c >= '0' && c <= '9')
			c -= '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			c = (c | 0x20) - 'a' + 10;
		else
			return -1;
		*v = *v << 4 | c;
	}
	return 0;
}

int
json_unescape(const uint8_t *p, size_t n, uint32_t *cp)
{
	uint32_t low;

	if (n < 2)
		return JSON_E_EOF;
	switch (p[1]) {
	case '"':
	case '\\':
	case '/':
		*cp = p[1];
		return 2;
	case 'b':
		*cp = '\b';
		return 2;
	case 'f':
		*cp = '\f';
		return 2;
	case 'n':
		*cp = '\n';
		return 2;
	case 'r':
		*cp = '\r';
		return 2;
	case 't':
		*cp = '\t';
		return 2;
	case 'u':
		break;
	default:
		return JSON_E_ESCAPE;
	}
	if (n < 6 || hex4(p + 2, cp) != 0)
		return JSON_E_ESCAPE;
	if (*cp == 0)
		return JSON_E_NUL;
	if (*cp < 0xd800 || *cp > 0xdfff)
		return 6;
	if (*cp >= 0xdc00 || n < 12 || p[6] != '\\' || p[7] != 'u' ||
	    hex4(p + 8, &low) != 0 || low < 0xdc00 || low > 0xdfff)
		return JSON_E_SURROGATE;
	*cp = 0x10000 + ((*cp - 0xd800) << 10) + (low - 0xdc00);
	return 12;
}

/* Reads a string lexeme as decoded bytes, one at a time. */
struct cursor {
	const uint8_t *p, *end;
	uint8_t out[4];
	uint8_t have, given;
};

static void
cursor_init(struct cursor *c, const struct json_doc *d, uint32_t node)
{
	c->p = d->base + d->nodes[node].start + 1;
	c->end = c->p + d->nodes[node].len - 2;
	c->have = c->given = 0;
}

/* The next byte, -1 at the end. */
static int
cursor_next(struct cursor *c)
{
	uint32_t cp;
	int used;

	if (c->given < c->have)
		return c->out[c->given++];
	if (c->p == c->end)
		return -1;
	if (*c->p != '\\')
		return *c->p++;
	used = json_unescape(c->p, (size_t)(c->end - c->p), &cp);
	if (used < 0) /* cannot be: the parser has accepted it */
		return -1;
	c->p += used;
	c->have = (uint8_t)utf8_encode(cp, c->out);
	c->given = 1;
	return c->out[0];
}

/*
 * UTF-16 puts the surrogates of U+10000 and above (lead bytes F0-F4) before U+E000-U+FFFF
 * (EE, EF). Where two strings first differ in a lead byte this map gives that order; all
 * other bytes keep theirs.
 */
static int
utf16_weight(int c)
{
	if (c >= 0xf0)
		return c - 2;
	return c >= 0xee ? c + 5 : c;
}

int
json_name_cmp(const struct json_doc *d, uint32_t a, uint32_t b, bool utf16)
{
	const struct json_node *na = &d->nodes[a], *nb = &d->nodes[b];
	struct cursor ca, cb;
	uint32_t n;
	int x, y;

	if (!utf16 && ((na->flags | nb->flags) & JSON_F_ESC) == 0) {
		n = na->len < nb->len ? na->len : nb->len;
		x = memcmp(d->base + na->start + 1, d->base + nb->start + 1, n - 2);
		return x != 0 ? x : (na->len > nb->len) - (na->len < nb->len);
	}
	cursor_init(&ca, d, a);
	cursor_init(&cb, d, b);
	do {
		x = cursor_next(&ca);
		y = cursor_next(&cb);
	} while (x == y && x >= 0);
	if (utf16) {
		x = utf16_weight(x);
		y = utf16_weight(y);
	}
	return (x > y) - (x < y);
}

static void
sift_down(const struct json_doc *d, uint32_t *o, uint32_t i, uint32_t n, bool utf16)
{
	uint32_t moved = o[i], kid;

	for (; (kid = 2 * i + 1) < n; i = kid) {
		if (kid + 1 < n && json_name_cmp(d, o[kid], o[kid + 1], utf16) < 0)
			kid++;
		if (json_name_cmp(d, moved, o[kid], utf16) >= 0)
			break;
		o[i] = o[kid];
	}
	o[i] = moved;
}

void
json_name_sort(const struct json_doc *d, uint32_t *o, uint32_t n, bool utf16)
{
	uint32_t i, j, x;

	if (n <= INSERTION_MAX) {
		for (i = 1; i < n; i++) {
			x = o[i];
			for (j = i; j > 0 && json_name_cmp(d, o[j - 1], x, utf16) > 0;
			     j--)
				o[j] = o[j - 1];
			o[j] = x;
		}
		return;
	}
	/* heapsort: no extra memory and no bad case for an attacker to find */
	for (i = n / 2; i > 0; i--)
		sift_down(d, o, i - 1, n, utf16);
	for (i = n - 1; i > 0; i--) {
		x = o[0];
		o[0] = o[i];
		o[i] = x;
		sift_down(d, o, 0, i, utf16);
	}
}
