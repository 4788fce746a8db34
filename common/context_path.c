/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths in SecurityContexts and in calls. Judge and master; the calls' are hostile. Texts
 * come from the JSON reader, so they are valid UTF-8 without NUL.
 */
#include "common/context_path.h"

#include <stdint.h>
#include <string.h>

#include "common/utf8.h"

/* What compatibility normalisation (NFKC, Unicode 15) makes of characters that it turns
 * into something with a meaning in paths. */
static const struct {
	uint32_t cp;
	const char *as;
} compat[] = {
    {0x2024, "."},
    {0x2025, ".."},
    {0x2026, "..."},
    {0x2100, "a/c"},
    {0x2101, "a/s"},
    {0x2105, "c/o"},
    {0x2106, "c/u"},
    {0x2a74, "::="},
    {0xfe13, ":"},
    {0xfe19, "..."},
    {0xfe30, ".."},
    {0xfe52, "."},
    {0xfe55, ":"},
    {0xfe68, "\\"},
    {0xfe69, "$"},
    {0xfe6a, "%"},
    {0xff04, "$"},
    {0xff05, "%"},
    {0xff0e, "."},
    {0xff0f, "/"},
    {0xff1a, ":"},
    {0xff3c, "\\"},
    {0xff5e, "~"},
};

/* One character at p and what it may become; "" when it stays as it is. */
static const char *
next_char(struct span s, size_t i, size_t *len)
{
	uint32_t cp;

	*len = 1;
	if ((unsigned char)s.p[i] < 0x80)
		return "";
	*len = utf8_decode((const uint8_t *)s.p + i, s.len - i, &cp);
	if (*len == 0) {
		*len = 1;
		return "";
	}
	for (size_t k = 0; k < sizeof compat / sizeof compat[0]; k++)
		if (compat[k].cp == cp)
			return compat[k].as;
	return "";
}

/* White space of Unicode, the byte order mark, and control characters. */
static bool
is_blank(uint32_t cp)
{
	return cp <= 0x20 || cp == 0x7f || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
	    (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 ||
	    cp == 0x202f || cp == 0x205f || cp == 0x3000 || cp == 0xfeff;
}

struct span
context_trim(struct span s)
{
	uint32_t cp;
	size_t n, k;

	while (s.len > 0) {
		n = utf8_decode((const uint8_t *)s.p, s.len, &cp);
		if (n == 0 || !is_blank(cp))
			break;
		s = span_mem(s.p + n, s.len - n);
	}
	while (s.len > 0) {
		for (k = 1; k < 4 && k < s.len && (s.p[s.len - k] & 0xc0) == 0x80; k++)
			;
		n = utf8_decode((const uint8_t *)s.p + s.len - k, k, &cp);
		if (n != k || !is_blank(cp))
			break;
		s.len -= k;
	}
	return s;
}

/* "..", or what some program would make it. */
static bool
is_dotdot(struct span s)
{
	const char *as;
	size_t dots = 0, n;

	s = context_trim(s);
	for (size_t i = 0; i < s.len; i += n) {
		as = next_char(s, i, &n);
		if (s.p[i] == '.')
			dots++;
		else if (as[0] == '.')
			dots += strlen(as);
		else
			return false;
	}
	return dots == 2;
}

static bool
escapes_something(struct span s)
{
	static const char *const bad[] = {"2e", "2f", "5c", "00", "25"};

	for (size_t i = 0; i + 2 < s.len; i++) {
		if (s.p[i] != '%')
			continue;
		for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
			if (ascii_lower(s.p[i + 1]) == bad[k][0] &&
			    ascii_lower(s.p[i + 2]) == bad[k][1])
				return true;
	}
	return false;
}

static bool
is_letter(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

/* "~", "$NAME" or "${": what shells and libraries put something else in for. */
static bool
expands(struct span s)
{
	const char *as;
	size_t n;

	if (s.len == 0)
		return false;
	as = next_char(s, 0, &n);
	if (s.p[0] == '~' || as[0] == '~')
		return true;
	if ((s.p[0] != '$' && as[0] != '$') || s.len <= n)
		return false;
	return is_letter(s.p[n]) || s.p[n] == '_' || s.p[n] == '{' ||
	    (unsigned char)s.p[n] >= 0x80;
}

/* Copies the components without "." and empty ones. */
static const char *
normalise(struct span s, struct context_path *out)
{
	size_t i = 0, start, n;

	out->len = 0;
	while (i < s.len) {
		while (i < s.len && s.p[i] == '/')
			i++;
		for (start = i; i < s.len && s.p[i] != '/'; i++)
			;
		n = i - start;
		if (n == 0 || (n == 1 && s.p[start] == '.'))
			continue;
		if (is_dotdot(span_mem(s.p + start, n)))
			return "\"..\" is not allowed";
		if (out->len + n + 2 > sizeof out->text)
			return "too long";
		out->text[out->len++] = '/';
		memcpy(out->text + out->len, s.p + start, n);
		out->len += n;
	}
	if (out->len == 0)
		out->text[out->len++] = '/';
	out->text[out->len] = '\0';
	return NULL;
}

const char *
context_path_read(struct span s, struct context_path *out)
{
	bool first = true;
	const char *as;
	size_t n;

	if (s.len == 0)
		return "empty";
	if (s.len >= CONTEXT_PATH_MAX)
		return "too long";
	if (context_trim(s).len != s.len)
		return "white space or a control character at an end";
	out->relative = s.p[0] != '/';
	if (expands(s))
		return "\"~\" or a variable in front";
	for (size_t i = 0; i < s.len; i += n) {
		as = next_char(s, i, &n);
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return "control character";
		if (s.p[i] == '\\')
			return "backslash";
		if (strpbrk(as, "/\\%") != NULL)
			return "a character that may become \"/\", \"\\\" or \"%\"";
		if (s.p[i] == '/')
			first = false;
		if (first && out->relative && (s.p[i] == ':' || strchr(as, ':') != NULL))
			return "a scheme or drive in front";
	}
	if (escapes_something(s))
		return "percent escape";
	return normalise(s, out);
}

bool
context_path_like(struct span s)
{
	size_t start = 0, n;
	const char *as;

	s = context_trim(s);
	if (s.len == 0)
		return false;
	if ((s.len >= 7 && span_ieq(span_mem(s.p, 7), "http://")) ||
	    (s.len >= 8 && span_ieq(span_mem(s.p, 8), "https://")))
		return false;
	as = next_char(s, 0, &n);
	if (s.p[0] == '/' || s.p[0] == '\\' || strcmp(as, "/") == 0 ||
	    strcmp(as, "\\") == 0 || expands(s) || escapes_something(s))
		return true;
	if (s.len >= 3 && is_letter(s.p[0]) && s.p[1] == ':' &&
	    (s.p[2] == '/' || s.p[2] == '\\'))
		return true;
	if (s.len >= 5 && span_ieq(span_mem(s.p, 5), "file:"))
		return true;
	for (size_t i = 0; i < s.len; i += n) {
		as = next_char(s, i, &n);
		if (s.p[i] != '/' && s.p[i] != '\\' && strcmp(as, "/") != 0 &&
		    strcmp(as, "\\") != 0)
			continue;
		if (is_dotdot(span_mem(s.p + start, i - start)))
			return true;
		start = i + n;
	}
	return is_dotdot(span_mem(s.p + start, s.len - start));
}

const char *
context_path_pattern(struct span s, struct context_path *out)
{
	const char *why;

	if (s.len == 0 || s.p[0] != '/')
		return "must begin with \"/\"";
	for (size_t i = 0; i < s.len; i++)
		if (strchr("?[]{}", s.p[i]) != NULL)
			return "only \"*\" is a wildcard here; write it for ? [ ] { } "
			       "too";
	if ((why = context_path_read(s, out)) != NULL)
		return why;
	if (out->len >= 2 && strcmp(out->text + out->len - 2, "/*") == 0)
		out->len -= 2;
	else if (out->len >= 3 && strcmp(out->text + out->len - 3, "/**") == 0)
		out->len -= 3;
	if (out->len == 0)
		out->text[out->len++] = '/';
	out->text[out->len] = '\0';
	return strstr(out->text, "**") != NULL ? "\"**\" is allowed at the end only"
					       : NULL;
}

static bool
same(char a, char b, bool fold)
{
	return a == b || (fold && ascii_lower(a) == ascii_lower(b));
}

/* One component against one pattern component; "*" is any number of octets. */
static bool
glob(struct span p, struct span s, bool fold)
{
	size_t i = 0, k = 0, star = SIZE_MAX, mark = 0;

	while (k < s.len) {
		if (i < p.len && p.p[i] == '*') {
			star = i++;
			mark = k;
		} else if (i < p.len && same(p.p[i], s.p[k], fold)) {
			i++;
			k++;
		} else if (star != SIZE_MAX) {
			i = star + 1;
			k = ++mark;
		} else {
			return false;
		}
	}
	while (i < p.len && p.p[i] == '*')
		i++;
	return i == p.len;
}

/* The next component from p on, which stands at a "/" or the end. */
static struct span
component(const char *p, const char *end)
{
	struct span s = {p, 0};

	if (p < end && *p == '/')
		s.p = ++p;
	while (s.p + s.len < end && s.p[s.len] != '/')
		s.len++;
	return s;
}

/* Do the first components of [s, end) match the pattern's? */
static bool
match_front(const char *pattern, const char *s, const char *end, bool fold)
{
	const char *pend = pattern + strlen(pattern);

	while (pattern < pend) {
		struct span a = component(pattern, pend), b = component(s, end);

		if (b.len == 0 || !glob(a, b, fold))
			return false;
		pattern = a.p + a.len;
		s = b.p + b.len;
	}
	return true;
}

bool
context_path_match(const char *pattern, const struct context_path *path, bool fold)
{
	if (strcmp(pattern, "/") == 0)
		return true;
	return match_front(pattern, path->text, path->text + path->len, fold);
}

bool
context_path_has(const char *components, const struct context_path *path)
{
	const char *s = path->text, *end = s + path->len;
	struct span c;

	while (s < end) {
		if (match_front(components, s, end, true))
			return true;
		c = component(s, end);
		s = c.p + c.len;
	}
	return false;
}
