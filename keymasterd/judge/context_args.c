/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments of tool calls: commands and URLs. Runs in the judge on what agents wrote;
 * pure functions.
 */
#include "keymasterd/judge/context_args.h"

#include <string.h>

#include "common/context_path.h"

/* Arguments that could carry a command beside `command`. */
static const char *const other_commands[] = {
    "cmd", "commands", "argv", "script", "subcommand", NULL};

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

static bool
scheme_char(char c, bool first)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') ||
	    (!first && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'));
}

bool
context_url_like(struct span s)
{
	size_t n = 0;

	s = context_trim(s);
	if (s.len >= 2 && (s.p[0] == '/' || s.p[0] == '\\') &&
	    (s.p[1] == '/' || s.p[1] == '\\'))
		return true;
	while (n < s.len && scheme_char(s.p[n], n == 0))
		n++;
	if (n > 0 && s.len - n >= 3 && memcmp(s.p + n, "://", 3) == 0)
		return true;
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= 0x20)
			return false;
	return memmem(s.p, s.len, "://", 3) != NULL;
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
