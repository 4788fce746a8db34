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

/* A span over a C string; NULL gives an empty one. */
static inline struct span
span_str(const char *s)
{
	return (struct span){s, s == NULL ? 0 : strlen(s)};
}

/* A span over @len octets of any kind. */
static inline struct span
span_mem(const void *p, size_t len)
{
	return (struct span){p, len};
}

/* Copies into a buffer of @size and ends it with NUL; 0, or -1 when it does not fit. */
static inline int
span_copy(struct span s, char *dst, size_t size)
{
	if (s.len >= size)
		return -1;
	if (s.len > 0)
		memcpy(dst, s.p, s.len);
	dst[s.len] = '\0';
	return 0;
}

/* Copies it to *at, which then points behind the copy, and makes it a span over that. */
static inline void
span_move(struct span *s, char **at)
{
	if (s->len > 0)
		memcpy(*at, s->p, s->len);
	s->p = *at;
	*at += s->len;
}

/* Without the blanks and tabs around it. */
static inline struct span
span_trim(struct span s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

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

	return s.len == n && (n == 0 || memcmp(s.p, lit, n) == 0);
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
