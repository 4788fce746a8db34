/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments of tool calls: paths, commands, URLs. Runs in the judge on what agents wrote;
 * pure functions.
 */
#include "keymasterd/judge/context_args.h"

#include <string.h>

#include "keymasterd/judge/context.h"

/* Arguments that hold a path, whatever the tool calls its own. */
static const char *const path_names[] = {"path", "paths", "file", "files", "file_path",
    "filepath", "filename", "source", "destination", "src", "dst", "dest", "old_path",
    "new_path", "directory", "dir", "filePath", "filePaths", "file_paths", "fileName",
    "oldPath", "newPath", "sourcePath", "source_path", "destinationPath",
    "destination_path", "targetPath", "target_path", "repo_path", "repoPath", "dirPath",
    "dir_path", "directoryPath", "directory_path", "folder", "folderPath", "folder_path",
    "rootPath", "root_path", "inputPath", "input_path", "outputPath", "output_path",
    "inputFile", "input_file", "outputFile", "output_file", NULL};
static const char *const url_names[] = {
    "url", "urls", "uri", "uris", "href", "link", "endpoint", "base_url", NULL};
/* Arguments that could carry a command beside `command`. */
static const char *const other_commands[] = {
    "cmd", "commands", "argv", "script", "subcommand", NULL};

/* ---- paths ---- */

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
		if (n == 2 && s.p[start] == '.' && s.p[start + 1] == '.')
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
	if (s.len == 0)
		return "empty";
	if (s.len >= CONTEXT_PATH_MAX)
		return "too long";
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return "control character";
		if (s.p[i] == '\\')
			return "backslash";
	}
	if (s.p[0] == '~')
		return "\"~\" in front";
	if (escapes_something(s))
		return "percent escape";
	out->relative = s.p[0] != '/';
	if (out->relative)
		for (size_t i = 0; i < s.len && s.p[i] != '/'; i++)
			if (s.p[i] == ':')
				return "a scheme or drive in front";
	return normalise(s, out);
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

/* One component against one pattern component; "*" is any number of octets. */
static bool
glob(const char *p, size_t plen, const char *s, size_t slen)
{
	size_t i = 0, k = 0, star = SIZE_MAX, mark = 0;

	while (k < slen) {
		if (i < plen && p[i] == '*') {
			star = i++;
			mark = k;
		} else if (i < plen && p[i] == s[k]) {
			i++;
			k++;
		} else if (star != SIZE_MAX) {
			i = star + 1;
			k = ++mark;
		} else {
			return false;
		}
	}
	while (i < plen && p[i] == '*')
		i++;
	return i == plen;
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
match_front(const char *pattern, const char *s, const char *end)
{
	const char *pend = pattern + strlen(pattern);

	while (pattern < pend) {
		struct span a = component(pattern, pend), b = component(s, end);

		if (b.len == 0 || !glob(a.p, a.len, b.p, b.len))
			return false;
		pattern = a.p + a.len;
		s = b.p + b.len;
	}
	return true;
}

bool
context_path_match(const char *pattern, const struct context_path *path)
{
	if (strcmp(pattern, "/") == 0)
		return true;
	return match_front(pattern, path->text, path->text + path->len);
}

bool
context_path_has(const char *components, const struct context_path *path)
{
	const char *s = path->text, *end = s + path->len;
	struct span c;

	while (s < end) {
		if (match_front(components, s, end))
			return true;
		c = component(s, end);
		s = c.p + c.len;
	}
	return false;
}

/* ---- URLs ---- */

const char *
context_url_host(struct span url, char host[static HOST_MAX], bool *address)
{
	const char *at = NULL, *p, *end;
	uint16_t port;
	int kind;

	for (size_t i = 0; i < url.len; i++)
		if ((unsigned char)url.p[i] <= 0x20 || url.p[i] == 0x7f ||
		    url.p[i] == '\\')
			return "blank, control character or backslash in the URL";
	if (url.len > 8 && span_ieq(span_mem(url.p, 8), "https://"))
		p = url.p + 8;
	else if (url.len > 7 && span_ieq(span_mem(url.p, 7), "http://"))
		p = url.p + 7;
	else
		return "not an http or https URL";
	for (end = p; end < url.p + url.len && strchr("/?#", *end) == NULL; end++)
		if (*end == '@') {
			if (at != NULL)
				return "two \"@\" in the URL";
			at = end;
		}
	if (at != NULL)
		p = at + 1;
	if ((kind = host_normalise(p, (size_t)(end - p), host, &port)) <= 0)
		return host_strerror(kind);
	*address = kind != HOST_NAME;
	return NULL;
}

/* ---- commands ---- */

/* Appends the decoded text of a string node; the span into w->text, or p NULL. */
static struct span
put_text(const struct json_doc *d, uint32_t node, struct context_words *w, size_t *used)
{
	struct span s = {NULL, 0};

	if (json_type(d, node) != JT_STRING ||
	    json_str_copy(d, node, w->text + *used, sizeof w->text - *used, &s.len) != 0)
		return s;
	s.p = w->text + *used;
	*used += s.len + 1;
	return s;
}

static const char *
harmless(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\t')
			continue;
		if (c < 0x20 || c == 0x7f)
			return "control character in the command";
		if (strchr(";&|$`()<>", c) != NULL)
			return "a character with a meaning in a shell";
	}
	return NULL;
}

static int
put_word(struct context_words *w, struct span s)
{
	if (w->n == CONTEXT_WORDS_MAX)
		return -1;
	w->v[w->n++] = s;
	return 0;
}

static const char *
split(struct span s, struct context_words *w)
{
	size_t start;

	for (size_t i = 0; i < s.len;) {
		while (i < s.len && (s.p[i] == ' ' || s.p[i] == '\t'))
			i++;
		for (start = i; i < s.len && s.p[i] != ' ' && s.p[i] != '\t'; i++)
			;
		if (i > start && put_word(w, span_mem(s.p + start, i - start)) != 0)
			return "too many words";
	}
	return NULL;
}

static const char *
put_list(const struct json_doc *d, uint32_t node, struct context_words *w, size_t *used)
{
	struct json_iter it;
	const char *why;
	struct span s;

	json_iter_init(&it, d, node);
	while (json_iter_next(&it, d)) {
		if ((s = put_text(d, it.value, w, used)).p == NULL)
			return "not a list of texts, or too long";
		if ((why = harmless(s)) != NULL)
			return why;
		if (put_word(w, s) != 0)
			return "too many words";
	}
	return NULL;
}

enum context_arg
context_words_read(
    const struct json_doc *d, uint32_t args, struct context_words *w, const char **why)
{
	uint32_t command = json_get(d, args, "command"), rest = json_get(d, args, "args");
	size_t used = 0;
	struct span s;

	w->n = 0;
	*why = NULL;
	for (size_t i = 0; other_commands[i] != NULL; i++)
		if (json_get(d, args, other_commands[i]) != JSON_NONE) {
			*why = "an argument beside \"command\" that could carry one";
			return CONTEXT_ARG_BAD;
		}
	if (command == JSON_NONE && rest == JSON_NONE)
		return CONTEXT_ARG_ABSENT;
	if (json_type(d, command) == JT_ARRAY) {
		*why = put_list(d, command, w, &used);
	} else if ((s = put_text(d, command, w, &used)).p == NULL) {
		*why = "\"command\" is not a text, or too long";
	} else if ((*why = harmless(s)) == NULL) {
		*why = split(s, w);
	}
	if (*why == NULL && w->n == 0)
		*why = "\"command\" is empty";
	if (*why == NULL && rest != JSON_NONE) {
		if (json_type(d, rest) == JT_ARRAY)
			*why = put_list(d, rest, w, &used);
		else
			*why = "\"args\" is not a list";
	}
	return *why == NULL ? CONTEXT_ARG_GOOD : CONTEXT_ARG_BAD;
}

/* ---- walking over arguments ---- */

static int
one_value(const struct json_doc *d, uint32_t node, const char *name, context_value_fn fn,
    void *arg)
{
	char text[CONTEXT_PATH_MAX];
	struct span s = {NULL, 0};

	if (json_str_copy(d, node, text, sizeof text, &s.len) == 0)
		s.p = text;
	return fn(s, name, arg);
}

static int
named(const struct json_doc *d, uint32_t args, const char *name, context_value_fn fn,
    void *arg, int *count)
{
	uint32_t node = json_get(d, args, name);
	struct json_iter it;

	if (node == JSON_NONE)
		return 0;
	if (json_type(d, node) != JT_ARRAY) {
		++*count;
		return one_value(d, node, name, fn, arg);
	}
	json_iter_init(&it, d, node);
	while (json_iter_next(&it, d)) {
		++*count;
		if (one_value(d, it.value, name, fn, arg) != 0)
			return -1;
	}
	return 0;
}

static int
each(const struct json_doc *d, uint32_t args, const char *const *names,
    const struct context_list *more, context_value_fn fn, void *arg)
{
	int count = 0;

	for (; *names != NULL; names++)
		if (named(d, args, *names, fn, arg, &count) != 0)
			return -1;
	for (size_t i = 0; i < more->n; i++)
		if (named(d, args, more->v[i], fn, arg, &count) != 0)
			return -1;
	return count;
}

int
context_paths_each(const struct json_doc *d, uint32_t args,
    const struct context_list *more, context_value_fn fn, void *arg)
{
	return each(d, args, path_names, more, fn, arg);
}

int
context_urls_each(const struct json_doc *d, uint32_t args,
    const struct context_list *more, context_value_fn fn, void *arg)
{
	return each(d, args, url_names, more, fn, arg);
}
