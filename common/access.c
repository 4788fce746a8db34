/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of credentials; see access.h. Judge and workers, on targets of agents and texts
 * of administrators; command line, for the texts.
 */
#include "common/access.h"

#include <stdlib.h>
#include <string.h>

#include "common/nfa.h"
#include "common/policy.h"
#include "common/target.h"
#include "common/utf8.h"

struct access {
	unsigned methods; /* a bit each, as in policy_methods; 0: all */
	struct nfa *allow[ACCESS_GLOBS_MAX], *deny[ACCESS_GLOBS_MAX];
	size_t nallow, ndeny;
};

/* ---- texts ---- */

/* The next entry of a comma separated list without the blanks around it. */
static bool
next_entry(struct span *list, struct span *entry)
{
	const char *comma;

	if (list->p == NULL)
		return false;
	comma = memchr(list->p, ',', list->len);
	*entry = span_mem(list->p, comma != NULL ? (size_t)(comma - list->p) : list->len);
	if (comma != NULL)
		*list = span_mem(comma + 1, list->len - entry->len - 1);
	else
		list->p = NULL;
	while (entry->len > 0 && entry->p[0] == ' ')
		*entry = span_mem(entry->p + 1, entry->len - 1);
	while (entry->len > 0 && entry->p[entry->len - 1] == ' ')
		entry->len--;
	return true;
}

static int
method_number(struct span s)
{
	for (int i = 0; policy_methods[i] != NULL; i++)
		if (span_ieq(s, policy_methods[i]))
			return i;
	return -1;
}

static int
append(struct span s, char *out, size_t size, size_t *n)
{
	if (*n + s.len + 2 > size)
		return -1;
	if (*n > 0)
		out[(*n)++] = ',';
	memcpy(out + *n, s.p, s.len);
	*n += s.len;
	out[*n] = '\0';
	return 0;
}

const char *
access_methods_text(struct span list, char *out, size_t size)
{
	unsigned seen = 0;
	struct span entry;
	size_t n = 0;
	int m;

	out[0] = '\0';
	if (list.len == 0 || span_ieq(list, "none"))
		return NULL;
	while (next_entry(&list, &entry)) {
		if ((m = method_number(entry)) == -1)
			return "holds another word than GET, POST, PUT, PATCH, DELETE, "
			       "HEAD, OPTIONS and WEBSOCKET";
		if ((seen & 1u << m) == 0 &&
		    append(span_str(policy_methods[m]), out, size, &n) == -1)
			return "is too long";
		seen |= 1u << m;
	}
	return NULL;
}

static const char *
check_glob(struct span g)
{
	if (g.len == 0 || g.p[0] != '/')
		return "holds something that does not begin with /, such as /repos/**";
	if (g.len > ACCESS_GLOB_MAX)
		return "holds a path that is too long";
	if (!utf8_valid((const uint8_t *)g.p, g.len))
		return "is not UTF-8";
	for (size_t i = 0; i < g.len; i++)
		if ((unsigned char)g.p[i] < 0x20 || g.p[i] == 0x7f)
			return "holds a control character";
		else if (strchr("?#%;\\", g.p[i]) != NULL)
			return "holds one of ? # % ; \\ (paths are compared without "
			       "query, "
			       "escapes decoded)";
	if (memmem(g.p, g.len, "//", 2) != NULL || memmem(g.p, g.len, "***", 3) != NULL)
		return "holds // or ***";
	return NULL;
}

const char *
access_paths_text(struct span list, char *out, size_t size)
{
	struct span entry;
	const char *why;
	size_t n = 0, count = 0;

	out[0] = '\0';
	if (list.len == 0 || span_ieq(list, "none"))
		return NULL;
	while (next_entry(&list, &entry)) {
		if ((why = check_glob(entry)) != NULL)
			return why;
		if (++count > ACCESS_GLOBS_MAX || append(entry, out, size, &n) == -1)
			return "is too long";
	}
	return NULL;
}

/* ---- compiling ---- */

static void
put(char *out, size_t *n, const char *text)
{
	size_t len = strlen(text);

	if (*n + len < NFA_PATTERN_MAX + 1)
		memcpy(out + *n, text, len);
	*n += len; /* too long is seen at the end */
}

static struct nfa *
compile(struct span g, bool any_case)
{
	char text[NFA_PATTERN_MAX + 1], err[200], one[3] = "\\?";
	size_t n = 0, at, i;

	put(text, &n, "^");
	for (i = 0; i < g.len; i++) {
		struct span rest = span_mem(g.p + i, g.len - i);
		char c = any_case ? ascii_lower(g.p[i]) : g.p[i];

		if (rest.len == 3 && memcmp(rest.p, "/**", 3) == 0) {
			put(text, &n, "(?:/|$)"); /* no need to read on */
			break;
		}
		if (rest.len > 3 && memcmp(rest.p, "/**", 3) == 0 && rest.p[3] == '/') {
			/* . would not match every character */
			put(text, &n, "(?:/[\\s\\S]*)?");
			i += 2;
		} else if (rest.len >= 2 && memcmp(rest.p, "**", 2) == 0) {
			put(text, &n, "[\\s\\S]*");
			i += 1;
		} else if (c == '*') {
			put(text, &n, "[^/]*");
		} else if (strchr(".^$+()[]{}|", c) != NULL) {
			one[1] = c;
			put(text, &n, one);
		} else {
			put(text, &n, (char[]){c, '\0'});
		}
	}
	if (i == g.len)
		put(text, &n, "$");
	return n > NFA_PATTERN_MAX ? NULL
				   : nfa_compile(span_mem(text, n), err, sizeof err, &at);
}

static int
compile_list(struct span list, struct nfa **out, size_t *n, bool any_case)
{
	struct span entry;

	if (list.len == 0)
		return 0;
	while (next_entry(&list, &entry)) {
		if (*n == ACCESS_GLOBS_MAX || check_glob(entry) != NULL ||
		    (out[*n] = compile(entry, any_case)) == NULL)
			return -1;
		++*n;
	}
	return 0;
}

struct access *
access_new(struct span methods, struct span allow_paths, struct span deny_paths)
{
	struct access *a = calloc(1, sizeof *a);
	struct span entry;
	int m;

	if (a == NULL)
		return NULL;
	while (methods.len > 0 && next_entry(&methods, &entry)) {
		if ((m = method_number(entry)) == -1)
			goto bad;
		a->methods |= 1u << m;
	}
	if (compile_list(allow_paths, a->allow, &a->nallow, false) == 0 &&
	    compile_list(deny_paths, a->deny, &a->ndeny, true) == 0)
		return a;
bad:
	access_free(a);
	return NULL;
}

void
access_free(struct access *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->nallow; i++)
		nfa_free(a->allow[i]);
	for (size_t i = 0; i < a->ndeny; i++)
		nfa_free(a->deny[i]);
	free(a);
}

/* ---- asking ---- */

static bool
any(struct nfa *const *list, size_t n, struct span path)
{
	for (size_t i = 0; i < n; i++)
		if (nfa_search(list[i], path))
			return true;
	return false;
}

static bool
path_good(const struct access *a, struct span path)
{
	static char lower[8192];

	if (path.len > sizeof lower || (a->nallow > 0 && !any(a->allow, a->nallow, path)))
		return false;
	if (a->ndeny == 0)
		return true;
	for (size_t i = 0; i < path.len; i++)
		lower[i] = ascii_lower(path.p[i]);
	return !any(a->deny, a->ndeny, span_mem(lower, path.len));
}

enum access_verdict
access_check(const struct access *a, struct span method, struct span target,
    struct span headers, const char **why)
{
	static struct target_readings path;
	const char *mark = target.len > 0 ? memchr(target.p, '?', target.len) : NULL;
	struct policy_request q = {.method = method};
	int m;

	*why = NULL;
	if (a->methods == 0 && a->nallow == 0 && a->ndeny == 0)
		return ACCESS_GOOD;
	policy_overrides(headers, &q);
	m = method_number(method);
	if (a->methods != 0 &&
	    (q.method_override != NULL || m == -1 || (a->methods & 1u << m) == 0 ||
		!span_eq(method, policy_methods[m]))) {
		*why = q.method_override;
		return ACCESS_METHOD;
	}
	if (a->nallow == 0 && a->ndeny == 0)
		return ACCESS_GOOD;
	if (mark != NULL)
		target.len = (size_t)(mark - target.p);
	*why = q.path_override;
	if (q.path_override != NULL || target_read(target, &path) == -1)
		return ACCESS_PATH;
	for (size_t i = 0; i < path.n; i++)
		if (!path_good(a, path.as[i]))
			return ACCESS_PATH;
	return ACCESS_GOOD;
}
