/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request target of the gate; see target.h.  Used by gated and judge on
 * what agents wrote.
 */
#include <string.h>

#include "common/http1_class.h"
#include "common/target.h"
#include "common/utf8.h"

/*
 * One byte of a path with escapes decoded once; p < end.  Moves *p past it.
 * The byte, or a negative enum target_err.
 */
static int
next_byte(const char **p, const char *end)
{
	const char *s = *p;

	if (*s != '%') {
		*p = s + 1;
		return (unsigned char)*s;
	}
	if (end - s < 3 || !http1_is(s[1], HTTP1_C_HEX) || !http1_is(s[2], HTTP1_C_HEX))
		return TARGET_ERR_ESCAPE;
	*p = s + 3;
	return (int)(http1_hex(s[1]) << 4 | http1_hex(s[2]));
}

/* p follows a decoded percent sign: would decoding again find an escape? */
static bool
is_double_escape(const char *p, const char *end)
{
	for (int i = 0; i < 2; i++) {
		int c = p < end ? next_byte(&p, end) : -1;

		if (c < 0 || !http1_is((char)c, HTTP1_C_HEX))
			return false;
	}
	return true;
}

/* p is at an escape of a byte from 0x80 on: take the whole character. */
static int
take_utf8(const char **pp, const char *end)
{
	const char *p = *pp;
	uint8_t bytes[4];
	uint32_t cp;
	size_t n = 0, len;

	while (n < sizeof(bytes) && p < end && *p == '%') {
		int c = next_byte(&p, end);

		if (c < 0)
			break; /* reported when the scan gets there */
		bytes[n++] = (uint8_t)c;
	}
	len = utf8_decode(bytes, n, &cp);
	if (len == 0 || cp < 0xa0) /* U+0080 to U+009F are controls */
		return TARGET_ERR_AMBIGUOUS;
	*pp += 3 * len;
	return 0;
}

/* Is this the raw byte or escape of a character that may stand in a path? */
static int
check_byte(const char *s, int c, const char *after, const char *end)
{
	if (c <= 0)
		return c < 0 ? c : TARGET_ERR_NUL;
	if (*s != '%') {
		if (c == '\\')
			return TARGET_ERR_AMBIGUOUS;
		return http1_is((char)c, HTTP1_C_TARGET) ? 0 : TARGET_ERR_FORM;
	}
	if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
		return TARGET_ERR_AMBIGUOUS;
	return c == '%' && is_double_escape(after, end) ? TARGET_ERR_AMBIGUOUS : 0;
}

/*
 * Walk over a path, escapes decoded.  A segment is a traversal if nothing but
 * one or two dots is left of it without spaces and without what follows ; ? #,
 * since there are servers that cut at each of these.
 */
static int
check_path(const char *p, const char *end)
{
	unsigned dots = 0;
	bool other = false, cut = false;
	int r;

	if (p == end || *p != '/')
		return TARGET_ERR_FORM;
	while (p < end) {
		const char *s = p;
		int c = next_byte(&p, end);

		if ((r = check_byte(s, c, p, end)) < 0)
			return r;
		if (c >= 0x80) {
			p = s;
			if ((r = take_utf8(&p, end)) < 0)
				return r;
			other = other || !cut;
		} else if (c == '/') {
			if (!other && (dots == 1 || dots == 2))
				return TARGET_ERR_TRAVERSAL;
			dots = 0;
			other = cut = false;
		} else if (c == ';' || c == '?' || c == '#') {
			cut = true;
		} else if (!cut && c == '.') {
			dots++;
		} else if (!cut && c != ' ') {
			other = true;
		}
	}
	return !other && (dots == 1 || dots == 2) ? TARGET_ERR_TRAVERSAL : 0;
}

/* A query decides nothing, but has to be one: RFC 3986 3.4. */
static int
check_query(const char *p, const char *end)
{
	while (p < end) {
		const char *s = p;

		if (next_byte(&p, end) < 0)
			return TARGET_ERR_ESCAPE;
		if (!http1_is(*s, HTTP1_C_TARGET))
			return *s == '\0' ? TARGET_ERR_NUL : TARGET_ERR_FORM;
	}
	return 0;
}

int
target_parse_upstream(const char *s, size_t len, struct target *out)
{
	const char *end = s + len, *mark;
	int r;

	memset(out, 0, sizeof(*out));
	mark = len > 0 ? memchr(s, '?', len) : NULL;
	out->path = (struct span){s, (size_t)((mark != NULL ? mark : end) - s)};
	if ((r = check_path(s, s + out->path.len)) < 0)
		return r;
	if (mark == NULL)
		return 0;
	out->has_query = true;
	out->query = (struct span){mark + 1, (size_t)(end - mark - 1)};
	return check_query(mark + 1, end);
}

int
target_parse(const char *s, size_t len, struct target *out)
{
	const char *p, *end;
	int r;

	if ((r = target_parse_upstream(s, len, out)) < 0)
		return r;
	end = s + out->path.len;
	out->service.p = p = s + 1;
	while (p < end && *p != '/') {
		if (!http1_is(*p, HTTP1_C_NAME) || *p == '.')
			return TARGET_ERR_SERVICE;
		p++;
	}
	out->service.len = (size_t)(p - out->service.p);
	if (out->service.len == 0)
		return TARGET_ERR_NO_SERVICE;
	if (out->service.len > TARGET_SERVICE_MAX)
		return TARGET_ERR_SERVICE;
	out->path = p < end ? (struct span){p, (size_t)(end - p)} : (struct span){"/", 1};
	return 0;
}

ssize_t
target_upstream(const struct target *t, char *out, size_t cap)
{
	size_t n = t->path.len;

	if (n > cap || (t->has_query && t->query.len >= cap - n))
		return -1;
	memcpy(out, t->path.p, n);
	if (t->has_query) {
		out[n++] = '?';
		memcpy(out + n, t->query.p, t->query.len);
		n += t->query.len;
	}
	return (ssize_t)n;
}

ssize_t
target_path_decode(struct span path, char *out, size_t cap)
{
	const char *p = path.p, *end = p + path.len;
	size_t n = 0;

	while (p < end) {
		int c = next_byte(&p, end);

		if (c < 0 || n == cap)
			return -1;
		out[n++] = (char)c;
	}
	return (ssize_t)n;
}

/* Without what careless servers leave out; the same octets when there is none of that.
 * What comes of a beginning of the path is a beginning of what comes of it. */
static size_t
plain_path(struct span decoded, char *out)
{
	bool cut = false;
	size_t n = 0;

	for (size_t i = 0; i < decoded.len; i++) {
		char c = decoded.p[i];

		if (c == '/')
			cut = false;
		else if (c == ';')
			cut = true;
		if (cut || (c == '/' && n > 0 && out[n - 1] == '/'))
			continue;
		out[n++] = c;
	}
	return n;
}

static void
add_reading(struct target_readings *r, const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->as[i].len == len && memcmp(r->as[i].p, p, len) == 0)
			return;
	r->as[r->n++] = span_mem(p, len);
}

static size_t
length_before(const char *p, size_t len, char mark)
{
	const char *at = len > 0 ? memchr(p, mark, len) : NULL;

	return at != NULL ? (size_t)(at - p) : len;
}

int
target_read(struct span path, struct target_readings *r)
{
	static const char marks[2] = {'?', '#'};
	ssize_t n = target_path_decode(path, r->decoded, sizeof(r->decoded));
	size_t len, plain, cut, i;

	r->n = 0;
	if (n < 0)
		return -1;
	len = (size_t)n;
	plain = plain_path(span_mem(r->decoded, len), r->plain);
	add_reading(r, r->decoded, len);
	add_reading(r, r->plain, plain);
	for (i = 0; i < sizeof(marks); i++) {
		cut = length_before(r->decoded, len, marks[i]);
		if (cut == len)
			continue;
		add_reading(r, r->decoded, cut);
		add_reading(r, r->plain, plain_path(span_mem(r->decoded, cut), r->plain));
		add_reading(r, r->plain, length_before(r->plain, plain, marks[i]));
	}
	return 0;
}

const char *
target_strerror(int err)
{
	switch (err) {
	case TARGET_ERR_FORM:
		return "malformed request target";
	case TARGET_ERR_TRAVERSAL:
		return "path traversal";
	case TARGET_ERR_NUL:
		return "NUL byte in path";
	case TARGET_ERR_AMBIGUOUS:
		return "ambiguous encoding in path";
	case TARGET_ERR_ESCAPE:
		return "malformed percent escape";
	case TARGET_ERR_NO_SERVICE:
		return "missing service name";
	case TARGET_ERR_SERVICE:
		return "malformed service name";
	default:
		return "no error";
	}
}
