/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles SecurityContexts. Runs in the judge on JSON of administrators. Everything
 * unknown is refused: a constraint that is not understood must not be dropped silently.
 */
#include "keymasterd/judge/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keymasterd/judge/context_args.h"

#define DESCRIPTION_MAX 1024
#define RATE_CALLS_MAX 1000000
#define RATE_WINDOW_MAX 86400 /* seconds */

struct reader {
	const struct json_doc *d;
	char *err;
	size_t err_size;
};

/* Which members an object may have; the value is handled by name. */
static const char *const top_members[] = {"name", "description", "capabilities",
    "deny_list", "path_arguments", "url_arguments", "metadata", NULL};
static const char *const constraint_members[] = {"path_allowlist", "command_allowlist",
    "subcommand_allowlist", "domain_allowlist", "rate_limit", "max_response_size", NULL};

__attribute__((format(printf, 2, 3))) static int
fail(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->err, r->err_size, fmt, ap);
	va_end(ap);
	return -1;
}

static bool
is_one_of(const struct json_doc *d, uint32_t name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (json_str_eq(d, name, *names))
			return true;
	return false;
}

/* A member, JSON_NONE when it is absent or null. */
static uint32_t
member(const struct json_doc *d, uint32_t node, const char *name)
{
	uint32_t m = json_get(d, node, name);

	return json_type(d, m) == JT_NULL ? JSON_NONE : m;
}

static char *
dup_span(struct span s)
{
	return strndup(s.len == 0 ? "" : s.p, s.len);
}

/* A text of 1 to max octets without control characters into buf of max + 1. */
static int
read_text(struct reader *r, uint32_t node, const char *where, char *buf, size_t max,
    struct span *out)
{
	size_t len;

	if (json_type(r->d, node) != JT_STRING)
		return fail(r, "%s: must be a text", where);
	if (json_str_copy(r->d, node, buf, max + 1, &len) != 0)
		return fail(r, "%s: longer than %zu octets", where, max);
	if (len == 0)
		return fail(r, "%s: must not be empty", where);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)buf[i] < 0x20 || buf[i] == 0x7f)
			return fail(r, "%s: control characters are not allowed", where);
	*out = span_mem(buf, len);
	return 0;
}

bool
context_name_ok(struct span s)
{
	if (s.len == 0 || s.len > CONTEXT_NAME_MAX || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	for (size_t i = 1; i < s.len; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-'))
			return false;
	return true;
}

int
context_pattern_init(struct context_pattern *p, struct span s)
{
	*p = (struct context_pattern){.kind = CONTEXT_EXACT};
	if (s.len == 0 || s.len > CONTEXT_TOOL_MAX)
		return -1;
	if (span_eq(s, "*")) {
		p->kind = CONTEXT_ANY;
	} else if (s.len > 2 && memcmp(s.p + s.len - 2, ".*", 2) == 0) {
		p->kind = CONTEXT_PREFIX;
		s.len--;
	}
	if (p->kind != CONTEXT_ANY && memchr(s.p, '*', s.len) != NULL)
		return -1;
	p->len = s.len;
	return (p->text = dup_span(s)) == NULL ? -1 : 0;
}

void
context_pattern_clear(struct context_pattern *p)
{
	free(p->text);
	p->text = NULL;
}

bool
context_pattern_match(const struct context_pattern *p, struct span tool)
{
	if (tool.len == 0 || tool.len > CONTEXT_TOOL_MAX)
		return false;
	switch (p->kind) {
	case CONTEXT_ANY:
		return true;
	case CONTEXT_PREFIX:
		return tool.len > p->len && memcmp(tool.p, p->text, p->len) == 0;
	case CONTEXT_EXACT:
		return tool.len == p->len && memcmp(tool.p, p->text, p->len) == 0;
	}
	return false;
}

/* ---- entries: text in, stored text out; NULL or why not ---- */

typedef const char *(*entry_fn)(struct span, char *out, size_t size);

static const char *
entry_path(struct span s, char *out, size_t size)
{
	struct context_path path;
	const char *why = context_path_pattern(s, &path);

	if (why == NULL && span_copy(span_mem(path.text, path.len), out, size) != 0)
		why = "too long";
	return why;
}

static const char *
entry_command(struct span s, char *out, size_t size)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == '/' || s.p[i] == ' ' || strchr(";&|$`()<>\\'\"*?", s.p[i]))
			return "must be one bare word: no directory, blanks, quotes or "
			       "wildcards "
			       "(subcommands have their own list)";
	return span_copy(s, out, size) == 0 ? NULL : "too long";
}

static const char *
entry_word(struct span s, char *out, size_t size)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == ' ' || s.p[i] == '*')
			return "must be one word without wildcards";
	return span_copy(s, out, size) == 0 ? NULL : "too long";
}

static int
read_list(struct reader *r, uint32_t node, const char *where, entry_fn check,
    struct context_list *list)
{
	char buf[CONTEXT_ENTRY_MAX + 1], out[CONTEXT_ENTRY_MAX + 1], at[256];
	struct json_iter it;
	struct span s;
	const char *why;

	if (node == JSON_NONE)
		return 0;
	if (json_type(r->d, node) != JT_ARRAY)
		return fail(r, "%s: must be a list of texts", where);
	if (json_count(r->d, node) > CONTEXT_LIST_MAX)
		return fail(r, "%s: more than %d entries", where, CONTEXT_LIST_MAX);
	list->present = true;
	list->v = calloc(json_count(r->d, node) + 1, sizeof *list->v);
	if (list->v == NULL)
		return fail(r, "out of memory");
	json_iter_init(&it, r->d, node);
	while (json_iter_next(&it, r->d)) {
		snprintf(at, sizeof at, "%s[%zu]", where, list->n);
		if (read_text(r, it.value, at, buf, CONTEXT_ENTRY_MAX, &s) != 0)
			return -1;
		if ((why = check(s, out, sizeof out)) != NULL)
			return fail(r, "%s: %s", at, why);
		if ((list->v[list->n] = strdup(out)) == NULL)
			return fail(r, "out of memory");
		list->n++;
	}
	return 0;
}

/* "x", ".x", "*.x", "x.", an address. NULL or why not. */
static const char *
domain_compile(struct span s, struct context_domain *d)
{
	char host[HOST_MAX];
	uint16_t port;
	int kind;

	*d = (struct context_domain){.below_only = false};
	if (span_eq(s, "*"))
		return "leave the list out to permit every host";
	if (s.len > 2 && memcmp(s.p, "*.", 2) == 0) {
		d->below_only = true;
		s = span_mem(s.p + 2, s.len - 2);
	} else if (s.len > 1 && s.p[0] == '.') {
		s = span_mem(s.p + 1, s.len - 1);
	}
	if ((kind = host_normalise(s.p, s.len, host, &port)) <= 0)
		return host_strerror(kind);
	if (port != 0)
		return "ports are not looked at, leave it out";
	d->address = kind != HOST_NAME;
	if (d->address && d->below_only)
		return "an address has no subdomains";
	d->len = strlen(host);
	return (d->host = strdup(host)) == NULL ? "out of memory" : NULL;
}

static int
read_domains(
    struct reader *r, uint32_t node, const char *where, struct context_domains *l)
{
	char buf[HOST_MAX + 2], at[256];
	struct json_iter it;
	struct span s;
	const char *why;

	if (node == JSON_NONE)
		return 0;
	if (json_type(r->d, node) != JT_ARRAY)
		return fail(r, "%s: must be a list of texts", where);
	if (json_count(r->d, node) > CONTEXT_LIST_MAX)
		return fail(r, "%s: more than %d entries", where, CONTEXT_LIST_MAX);
	l->present = true;
	l->v = calloc(json_count(r->d, node) + 1, sizeof *l->v);
	if (l->v == NULL)
		return fail(r, "out of memory");
	json_iter_init(&it, r->d, node);
	while (json_iter_next(&it, r->d)) {
		snprintf(at, sizeof at, "%s[%zu]", where, l->n);
		if (read_text(r, it.value, at, buf, sizeof buf - 1, &s) != 0)
			return -1;
		if ((why = domain_compile(s, &l->v[l->n])) != NULL)
			return fail(r, "%s: %s", at, why);
		l->n++;
	}
	return 0;
}

static int
read_subcommands(
    struct reader *r, uint32_t node, const char *where, struct context_capability *cap)
{
	char buf[CONTEXT_ENTRY_MAX + 1], out[CONTEXT_ENTRY_MAX + 1], at[256];
	struct context_subcommands *sub;
	struct json_iter it;
	struct span s;
	const char *why;

	if (node == JSON_NONE)
		return 0;
	if (json_type(r->d, node) != JT_ARRAY && json_type(r->d, node) != JT_OBJECT)
		return fail(r, "%s: must be a list, or an object of lists", where);
	if (json_count(r->d, node) > CONTEXT_LIST_MAX)
		return fail(r, "%s: more than %d entries", where, CONTEXT_LIST_MAX);
	cap->has_subcommands = true;
	cap->subcommands = calloc(json_count(r->d, node) + 1, sizeof *cap->subcommands);
	if (cap->subcommands == NULL)
		return fail(r, "out of memory");
	if (json_type(r->d, node) == JT_ARRAY) {
		cap->nsubcommands = 1;
		return read_list(
		    r, node, where, entry_word, &cap->subcommands[0].allowed);
	}
	json_iter_init(&it, r->d, node);
	while (json_iter_next(&it, r->d)) {
		if (read_text(r, it.name, where, buf, CONTEXT_ENTRY_MAX, &s) != 0)
			return -1;
		snprintf(at, sizeof at, "%s.%.64s", where, buf);
		if ((why = entry_command(s, out, sizeof out)) != NULL)
			return fail(r, "%s: %s", at, why);
		sub = &cap->subcommands[cap->nsubcommands];
		if ((sub->command = strdup(out)) == NULL)
			return fail(r, "out of memory");
		cap->nsubcommands++;
		if (json_type(r->d, it.value) != JT_ARRAY)
			return fail(r, "%s: must be a list of texts", at);
		if (read_list(r, it.value, at, entry_word, &sub->allowed) != 0)
			return -1;
	}
	return 0;
}

static int
read_rate(
    struct reader *r, uint32_t node, const char *where, struct context_capability *cap)
{
	int64_t calls, seconds;

	if (node == JSON_NONE)
		return 0;
	if (json_type(r->d, node) != JT_OBJECT || json_count(r->d, node) != 2 ||
	    json_int64(r->d, json_get(r->d, node, "calls"), &calls) != 0 ||
	    json_int64(r->d, json_get(r->d, node, "per_seconds"), &seconds) != 0)
		return fail(r, "%s: must be {\"calls\": N, \"per_seconds\": S}", where);
	if (calls < 1 || calls > RATE_CALLS_MAX)
		return fail(r, "%s.calls: must be 1 to %d", where, RATE_CALLS_MAX);
	if (seconds < 1 || seconds > RATE_WINDOW_MAX)
		return fail(r, "%s.per_seconds: must be 1 to %d", where, RATE_WINDOW_MAX);
	cap->rate_calls = (uint32_t)calls;
	cap->rate_window_ms = (uint64_t)seconds * 1000;
	return 0;
}

/* The constraints of a capability, beside tool_pattern or under `constraints`. */
static int
read_constraints(
    struct reader *r, uint32_t node, const char *where, struct context_capability *cap)
{
	const struct json_doc *d = r->d;
	char at[128];
	int64_t size;
	uint32_t m;

#define AT(name) (snprintf(at, sizeof at, "%s.%s", where, (name)), at)
	if (read_list(r, member(d, node, "path_allowlist"), AT("path_allowlist"),
		entry_path, &cap->paths) != 0 ||
	    read_list(r, member(d, node, "command_allowlist"), AT("command_allowlist"),
		entry_command, &cap->commands) != 0 ||
	    read_subcommands(r, member(d, node, "subcommand_allowlist"),
		AT("subcommand_allowlist"), cap) != 0 ||
	    read_domains(r, member(d, node, "domain_allowlist"), AT("domain_allowlist"),
		&cap->domains) != 0 ||
	    read_rate(r, member(d, node, "rate_limit"), AT("rate_limit"), cap) != 0)
		return -1;
	if ((m = member(d, node, "max_response_size")) == JSON_NONE)
		return 0;
	if (json_int64(d, m, &size) != 0 || size < 1 || size > (int64_t)1 << 40)
		return fail(r, "%s: must be 1 to 2^40 octets", AT("max_response_size"));
	cap->max_response = (uint64_t)size;
	return 0;
#undef AT
}

static int
read_capability(
    struct reader *r, uint32_t node, size_t index, struct context_capability *cap)
{
	const struct json_doc *d = r->d;
	char buf[CONTEXT_TOOL_MAX + 1], where[64], at[128];
	struct json_iter it;
	struct span s;
	uint32_t nested;

	snprintf(where, sizeof where, "capabilities[%zu]", index);
	if (json_type(d, node) != JT_OBJECT)
		return fail(r, "%s: must be an object", where);
	json_iter_init(&it, d, node);
	while (json_iter_next(&it, d))
		if (!json_str_eq(d, it.name, "tool_pattern") &&
		    !json_str_eq(d, it.name, "constraints") &&
		    !is_one_of(d, it.name, constraint_members)) {
			buf[0] = '\0';
			json_str_copy(d, it.name, buf, sizeof buf, NULL);
			return fail(r, "%s.%.64s: not known here", where, buf);
		}
	snprintf(at, sizeof at, "%s.tool_pattern", where);
	if (read_text(
		r, json_get(d, node, "tool_pattern"), at, buf, CONTEXT_TOOL_MAX, &s) != 0)
		return -1;
	if (context_pattern_init(&cap->tool, s) != 0)
		return fail(
		    r, "%s: must be \"*\", \"prefix.*\" or the name of a tool", at);
	if ((nested = member(d, node, "constraints")) == JSON_NONE)
		return read_constraints(r, node, where, cap);
	snprintf(at, sizeof at, "%s.constraints", where);
	if (json_type(d, nested) != JT_OBJECT)
		return fail(r, "%s: must be an object", at);
	json_iter_init(&it, d, nested);
	while (json_iter_next(&it, d)) {
		buf[0] = '\0';
		json_str_copy(d, it.name, buf, sizeof buf, NULL);
		if (!is_one_of(d, it.name, constraint_members))
			return fail(r, "%s.%.64s: not known here", at, buf);
		if (json_getn(d, node, buf, strlen(buf)) != JSON_NONE)
			return fail(
			    r, "%s.%.64s: also stands beside constraints", at, buf);
	}
	/* each may stand in either place, so both are read */
	return read_constraints(r, node, where, cap) != 0 ||
		read_constraints(r, nested, at, cap) != 0
	    ? -1
	    : 0;
}

static int
read_deny(struct reader *r, uint32_t node, size_t index, struct context_deny *deny)
{
	const struct json_doc *d = r->d;
	char buf[CONTEXT_ENTRY_MAX + 1], out[CONTEXT_ENTRY_MAX + 1], where[64];
	struct span s, arg = {NULL, 0};
	const char *colon, *why = NULL;

	snprintf(where, sizeof where, "deny_list[%zu]", index);
	if (json_type(d, node) == JT_OBJECT) {
		if (json_count(d, node) != 1 ||
		    json_get(d, node, "tool_pattern") == JSON_NONE)
			return fail(
			    r, "%s: must be a text or {\"tool_pattern\": TEXT}", where);
		node = json_get(d, node, "tool_pattern");
	}
	if (read_text(r, node, where, buf, CONTEXT_ENTRY_MAX, &s) != 0)
		return -1;
	if ((deny->text = dup_span(s)) == NULL)
		return fail(r, "out of memory");
	if ((colon = memchr(s.p, ':', s.len)) != NULL) {
		arg = span_mem(colon + 1, s.len - (size_t)(colon + 1 - s.p));
		s.len = (size_t)(colon - s.p);
		if (arg.len == 0)
			return fail(r, "%s: nothing after the colon", where);
	}
	if (context_pattern_init(&deny->tool, s) != 0)
		return fail(
		    r, "%s: must be \"*\", \"prefix.*\" or the name of a tool", where);
	if (arg.p == NULL || span_eq(arg, "*")) {
		deny->kind = CONTEXT_DENY_TOOL;
		return 0;
	}
	if (arg.p[0] == '/') {
		deny->kind = CONTEXT_DENY_PATH;
		if ((why = entry_path(arg, out, sizeof out)) != NULL)
			return fail(r, "%s: %s", where, why);
		deny->arg = strdup(out);
	} else {
		deny->kind = CONTEXT_DENY_WORD;
		deny->arg = dup_span(arg);
		if (domain_compile(arg, &deny->host) != NULL)
			deny->host.host =
			    NULL; /* no host: then a command or a component */
	}
	return deny->arg == NULL ? fail(r, "out of memory") : 0;
}

static int
read_context(struct reader *r, struct context *c)
{
	const struct json_doc *d = r->d;
	uint32_t root = json_root(d), m;
	char buf[DESCRIPTION_MAX + 1];
	struct json_iter it;
	struct span s;

	if (json_type(d, root) != JT_OBJECT)
		return fail(r, "a SecurityContext must be an object");
	json_iter_init(&it, d, root);
	while (json_iter_next(&it, d))
		if (!is_one_of(d, it.name, top_members)) {
			buf[0] = '\0';
			json_str_copy(d, it.name, buf, sizeof buf, NULL);
			return fail(r, "%.64s: not known here", buf);
		}
	if (read_text(r, json_get(d, root, "name"), "name", buf, CONTEXT_NAME_MAX, &s) !=
	    0)
		return -1;
	if (!context_name_ok(s))
		return fail(
		    r, "name: must be small letters, digits and \"-\", a letter first");
	if ((c->name = dup_span(s)) == NULL)
		return fail(r, "out of memory");
	if ((m = member(d, root, "description")) != JSON_NONE &&
	    json_type(d, m) != JT_STRING)
		return fail(r, "description: must be a text");
	buf[0] = '\0';
	if (m != JSON_NONE && json_str_copy(d, m, buf, sizeof buf, NULL) != 0)
		return fail(r, "description: longer than %d octets", DESCRIPTION_MAX);
	if ((c->description = strdup(buf)) == NULL)
		return fail(r, "out of memory");

	m = json_get(d, root, "capabilities");
	if (json_type(d, m) != JT_ARRAY)
		return fail(
		    r, "capabilities: must be a list (an empty one denies everything)");
	if (json_count(d, m) > CONTEXT_CAPS_MAX)
		return fail(r, "capabilities: more than %d", CONTEXT_CAPS_MAX);
	if ((c->caps = calloc(json_count(d, m) + 1, sizeof *c->caps)) == NULL)
		return fail(r, "out of memory");
	json_iter_init(&it, d, m);
	while (json_iter_next(&it, d)) {
		c->ncaps++;
		if (read_capability(r, it.value, c->ncaps - 1, &c->caps[c->ncaps - 1]) !=
		    0)
			return -1;
	}

	m = member(d, root, "deny_list");
	if (m != JSON_NONE && json_type(d, m) != JT_ARRAY)
		return fail(r, "deny_list: must be a list");
	if (json_count(d, m) > CONTEXT_LIST_MAX)
		return fail(r, "deny_list: more than %d entries", CONTEXT_LIST_MAX);
	if ((c->deny = calloc(json_count(d, m) + 1, sizeof *c->deny)) == NULL)
		return fail(r, "out of memory");
	json_iter_init(&it, d, m);
	while (json_iter_next(&it, d)) {
		c->ndeny++;
		if (read_deny(r, it.value, c->ndeny - 1, &c->deny[c->ndeny - 1]) != 0)
			return -1;
	}
	if (read_list(r, member(d, root, "path_arguments"), "path_arguments", entry_word,
		&c->path_arguments) != 0)
		return -1;
	return read_list(r, member(d, root, "url_arguments"), "url_arguments", entry_word,
	    &c->url_arguments);
}

struct context *
context_parse(const void *json, size_t len, char *err, size_t err_size)
{
	static const struct json_limits limits = {.depth = 16, .nodes = 65536};
	struct context *c = calloc(1, sizeof *c);
	struct json_doc doc;
	struct reader r = {&doc, err, err_size};
	enum json_err e;

	if (c == NULL) {
		fail(&r, "out of memory");
		return NULL;
	}
	json_init(&doc);
	if ((e = json_parse(&doc, json, len, &limits)) != JSON_OK) {
		fail(&r, "not JSON: %s at octet %u", json_strerror(e), doc.err_at);
		goto out;
	}
	if (read_context(&r, c) == 0) {
		json_free(&doc);
		return c;
	}
out:
	json_free(&doc);
	context_free(c);
	return NULL;
}

static void
list_free(struct context_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

void
context_free(struct context *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->ncaps; i++) {
		struct context_capability *cap = &c->caps[i];

		context_pattern_clear(&cap->tool);
		list_free(&cap->paths);
		list_free(&cap->commands);
		for (size_t k = 0; k < cap->nsubcommands; k++) {
			free(cap->subcommands[k].command);
			list_free(&cap->subcommands[k].allowed);
		}
		free(cap->subcommands);
		for (size_t k = 0; k < cap->domains.n; k++)
			free(cap->domains.v[k].host);
		free(cap->domains.v);
	}
	for (size_t i = 0; i < c->ndeny; i++) {
		context_pattern_clear(&c->deny[i].tool);
		free(c->deny[i].arg);
		free(c->deny[i].text);
		free(c->deny[i].host.host);
	}
	list_free(&c->path_arguments);
	list_free(&c->url_arguments);
	free(c->caps);
	free(c->deny);
	free(c->name);
	free(c->description);
	free(c);
}
