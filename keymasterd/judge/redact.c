/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See redact.h. Judge only; the text is an agent's. The gate refuses such requests where
 * inspection is on, but the row is written before, and a captured gate would not.
 */
#include "keymasterd/judge/redact.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/inspect_match.h"

#define PATH_MAX_KEPT 8192 /* as in proxy_authorize */
#define SHORTEST 15        /* no credential has fewer octets */
#define STEP (INSPECT_WORD_MAX / 2)

static const char mark[] = "[redacted]";

static void
on_found(void *arg, const char *name, size_t len, bool sure)
{
	(void)name;
	(void)len;
	*(bool *)arg = *(bool *)arg || sure;
}

/* Words longer than can be looked at go in pieces, each half of one also the next's. */
static bool
holds_key(const char *p, size_t n)
{
	bool hit = false;
	size_t at = 0, piece;

	do {
		piece = n - at < INSPECT_WORD_MAX ? n - at : INSPECT_WORD_MAX;
		inspect_match(p + at, piece, BEFORE_NOTHING, on_found, &hit);
		at += STEP;
	} while (!hit && at + STEP < n);
	return hit;
}

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0'
	    : c >= 'a' && c <= 'f'  ? c - 'a' + 10
	    : c >= 'A' && c <= 'F'  ? c - 'A' + 10
				    : -1;
}

static size_t
decode(struct span s, char out[PATH_MAX_KEPT])
{
	size_t i, n = 0;

	for (i = 0; i < s.len && n < PATH_MAX_KEPT; i++)
		if (s.p[i] == '%' && i + 2 < s.len && digit(s.p[i + 1]) >= 0 &&
		    digit(s.p[i + 2]) >= 0) {
			out[n++] = (char)(digit(s.p[i + 1]) << 4 | digit(s.p[i + 2]));
			i += 2;
		} else {
			out[n++] = s.p[i];
		}
	return n;
}

static bool
tells(struct span s)
{
	static char plain[PATH_MAX_KEPT];

	if (s.len < SHORTEST)
		return false;
	return holds_key(s.p, s.len) ||
	    (memchr(s.p, '%', s.len) != NULL && holds_key(plain, decode(s, plain)));
}

struct span
redact_path(struct span path)
{
	static char out[PATH_MAX_KEPT];
	struct span part;
	size_t at, end, n = 0;
	bool one = false;

	if (!tells(path))
		return path;
	for (at = 0; at < path.len; at = end) {
		for (end = at + 1; end < path.len && path.p[end] != '/'; end++)
			;
		part = span_mem(path.p + at, end - at);
		if (part.len > 1 && tells(span_mem(part.p + 1, part.len - 1))) {
			one = true;
			part = span_str(mark);
			if (n < sizeof(out))
				out[n++] = '/';
		}
		if (part.len > sizeof(out) - n)
			break;
		memcpy(out + n, part.p, part.len);
		n += part.len;
	}
	/* over several parts, such as a URL with a password */
	return one ? span_mem(out, n) : span_str(mark);
}
