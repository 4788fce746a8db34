/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A borrowed piece of somebody else's buffer: pointer and length, no
 * terminating NUL, no ownership.  Used by the parsers in common/ in every
 * process; valid only as long as the buffer it points into stays put.
 */
#ifndef AEGIS_COMMON_SPAN_H
#define AEGIS_COMMON_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *p;
	size_t len;
};

/* ASCII only, unlike tolower(3), whose answer depends on the locale. */
static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* True if s is exactly the string lit. */
static inline bool
span_eq(struct span s, const char *lit)
{
	size_t n = strlen(lit);

	return s.len == n && memcmp(s.p, lit, n) == 0;
}

/* True if a and b are the same bytes, ASCII letters in either case. */
static inline bool
span_same(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

/* True if s is the string lit, ASCII letters in either case. */
static inline bool
span_ieq(struct span s, const char *lit)
{
	return span_same(s, (struct span){lit, strlen(lit)});
}

#endif
