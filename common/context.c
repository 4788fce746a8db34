/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles SecurityContexts. Judge, on JSON of administrators, and master, on the
 * configuration. Everything unknown is refused: a constraint that is not understood must
 * not be dropped silently.
 */
#include "common/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/host.h"
#include "common/context_entry.h"

#define DESCRIPTION_MAX 1024
#define RATE_CALLS_MAX 1000000
#define RATE_WINDOW_MAX 86400 /* seconds */
#define CONCURRENT_MAX 10000

const struct json_limits context_json_limits = {.depth = 16, .nodes = 65536};

struct reader {
	const struct json_doc *d;
	char *err;
	size_t err_size;
	uint32_t at; /* the node that is looked at: where an error lies */
};

/* Which members an object may have; the value is handled by name. */
static const char *const top_members[] = {"name", "description", "capabilities",
    "deny_list", "path_arguments", "url_arguments", "text_arguments", "metadata", NULL};
static const char *const constraint_members[] = {"path_allowlist", "command_allowlist",
    "subcommand_allowlist", "domain_allowlist", "rate_limit", "max_response_size",
    "max_concurrent", "path_arguments", "url_arguments", "text_arguments", NULL};

__attribute__((format(printf, 2, 3))) static int
fail(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->err, r->err_size, fmt, ap);
	va_end(ap);
	return -1;
}

/* An absent member is not there to be blamed: what holds it stays so. */
static void
look_at(struct reader *r, uint32_t node)
{
	if (node != JSON_NONE)
		r->at = node;
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

/* A text of 1 to max octets without control characters into buf of max + 1. */
static int
read_text(struct reader *r, uint32_t node, const char *where, char *buf, size_t max,
    struct span *out)
{
	size_t len;

	look_at(r, node);
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

static int
read_list(struct reader *r, uint32_t node, const char *where, context_entry_fn check,
    struct context_list *list)
{
	char buf[CONTEXT_ENTRY_MAX + 1], out[CONTEXT_ENTRY_MAX + 1], at[256];
	struct json_iter it;
	struct span s;
	const char *why;

	if (node == JSON_NONE)
		return 0;
	look_at(r, node);
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
	look_at(r, node);
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
		if ((why = context_entry_domain(s, &l->v[l->n])) != NULL)
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
	look_at(r, node);
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
		    r, node, where, context_entry_word, &cap->subcommands[0].allowed);
	}
	json_iter_init(&it, r->d, node);
	while (json_iter_next(&it, r->d)) {
		if (read_text(r, it.name, where, buf, CONTEXT_ENTRY_MAX, &s) != 0)
			return -1;
		snprintf(at, sizeof at, "%s.%.64s", where, buf);
		if ((why = context_entry_command(s, out, sizeof out)) != NULL)
			return fail(r, "%s: %s", at, why);
		sub = &cap->subcommands[cap->nsubcommands];
		if ((sub->command = strdup(out)) == NULL)
			return fail(r, "out of memory");
		cap->nsubcommands++;
		look_at(r, it.value);
		if (json_type(r->d, it.value) != JT_ARRAY)
			return fail(r, "%s: must be a list of texts", at);
		if (read_list(r, it.value, at, context_entry_word, &sub->allowed) != 0)
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
	look_at(r, node);
	if (json_type(r->d, node) != JT_OBJECT || json_count(r->d, node) != 2 ||
	    json_int64(r->d, json_get(r->d, node, "calls"), &calls) != 0 ||
	    json_int64(r->d, json_get(r->d, node, "per_seconds"), &seconds) != 0)
		return fail(r, "%s: must be {\"calls\": N, \"per_seconds\": S}", where);
	look_at(r, json_get(r->d, node, "calls"));
	if (calls < 1 || calls > RATE_CALLS_MAX)
		return fail(r, "%s.calls: must be 1 to %d", where, RATE_CALLS_MAX);
	look_at(r, json_get(r->d, node, "per_seconds"));
	if (seconds < 1 || seconds > RATE_WINDOW_MAX)
		return fail(r, "%s.per_seconds: must be 1 to %d", where, RATE_WINDOW_MAX);
	cap->rate_calls = (uint32_t)calls;
	cap->rate_window_ms = (uint64_t)seconds * 1000;
	return 0;
}

/* Names of arguments, for one capability or for all. */
static int
read_arguments(
    struct reader *r, uint32_t node, const char *where, struct context_arguments *a)
{
	const struct {
		const char *name;
		struct context_list *list;
	} lists[] = {{"path_arguments", &a->paths}, {"url_arguments", &a->urls},
	    {"text_arguments", &a->texts}};
	char at[128];

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		snprintf(at, sizeof at, "%s%s%s", where, where[0] == '\0' ? "" : ".",
		    lists[i].name);
		if (read_list(r, member(r->d, node, lists[i].name), at,
			i == 2 ? context_entry_text_argument : context_entry_word,
			lists[i].list) != 0)
			return -1;
	}
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
		context_entry_path, &cap->paths) != 0 ||
	    read_list(r, member(d, node, "command_allowlist"), AT("command_allowlist"),
		context_entry_command, &cap->commands) != 0 ||
	    read_subcommands(r, member(d, node, "subcommand_allowlist"),
		AT("subcommand_allowlist"), cap) != 0 ||
	    read_domains(r, member(d, node, "domain_allowlist"), AT("domain_allowlist"),
		&cap->domains) != 0 ||
	    read_rate(r, member(d, node, "rate_limit"), AT("rate_limit"), cap) != 0 ||
	    read_arguments(r, node, where, &cap->arguments) != 0)
		return -1;
	if ((m = member(d, node, "max_concurrent")) != JSON_NONE) {
		look_at(r, m);
		if (json_int64(d, m, &size) != 0 || size < 1 || size > CONCURRENT_MAX)
			return fail(r, "%s: must be 1 to %d calls", AT("max_concurrent"),
			    CONCURRENT_MAX);
		cap->max_concurrent = (uint32_t)size;
	}
	if ((m = member(d, node, "max_response_size")) == JSON_NONE)
		return 0;
	look_at(r, m);
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
	look_at(r, node);
	if (json_type(d, node) != JT_OBJECT)
		return fail(r, "%s: must be an object", where);
	json_iter_init(&it, d, node);
	while (json_iter_next(&it, d))
		if (!json_str_eq(d, it.name, "tool_pattern") &&
		    !json_str_eq(d, it.name, "constraints") &&
		    !is_one_of(d, it.name, constraint_members)) {
			buf[0] = '\0';
			json_str_copy(d, it.name, buf, sizeof buf, NULL);
			look_at(r, it.name);
			return fail(r,
			    "%s.%.64s: not known here: expected tool_pattern, "
			    "constraints or one of the constraints",
			    where, buf);
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
	look_at(r, nested);
	if (json_type(d, nested) != JT_OBJECT)
		return fail(r, "%s: must be an object", at);
	json_iter_init(&it, d, nested);
	while (json_iter_next(&it, d)) {
		buf[0] = '\0';
		json_str_copy(d, it.name, buf, sizeof buf, NULL);
		look_at(r, it.name);
		if (!is_one_of(d, it.name, constraint_members))
			return fail(r,
			    "%s.%.64s: not known here: expected path_allowlist, "
			    "command_allowlist, subcommand_allowlist, domain_allowlist, "
			    "rate_limit, max_response_size or max_concurrent",
			    at, buf);
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
	look_at(r, node);
	if (json_type(d, node) == JT_OBJECT) {
		if (json_count(d, node) != 1 ||
		    json_get(d, node, "tool_pattern") == JSON_NONE)
			return fail(
			    r, "%s: must be a text or {\"tool_pattern\": TEXT}", where);
		node = json_get(d, node, "tool_pattern");
	}
	if (read_text(r, node, where, buf, CONTEXT_ENTRY_MAX, &s) != 0)
		return -1;
	if ((deny->text = context_dup(s)) == NULL)
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
		if ((why = context_entry_path(arg, out, sizeof out)) != NULL)
			return fail(r, "%s: %s", where, why);
		deny->arg = strdup(out);
	} else {
		deny->kind = CONTEXT_DENY_WORD;
		deny->arg = context_dup(arg);
		if (context_entry_domain(arg, &deny->host) != NULL)
			deny->host.host =
			    NULL; /* no host: then a command or a component */
	}
	return deny->arg == NULL ? fail(r, "out of memory") : 0;
}

static int
read_context(struct reader *r, uint32_t root, struct context *c)
{
	const struct json_doc *d = r->d;
	uint32_t m;
	char buf[DESCRIPTION_MAX + 1];
	struct json_iter it;
	struct span s;

	r->at = root;
	if (json_type(d, root) != JT_OBJECT)
		return fail(r, "a SecurityContext must be an object");
	json_iter_init(&it, d, root);
	while (json_iter_next(&it, d))
		if (!is_one_of(d, it.name, top_members)) {
			buf[0] = '\0';
			json_str_copy(d, it.name, buf, sizeof buf, NULL);
			look_at(r, it.name);
			return fail(r,
			    "%.64s: not known here: expected name, description, "
			    "capabilities, deny_list, path_arguments, url_arguments, "
			    "text_arguments or metadata",
			    buf);
		}
	if (read_text(r, json_get(d, root, "name"), "name", buf, CONTEXT_NAME_MAX, &s) !=
	    0)
		return -1;
	if (!context_name_ok(s))
		return fail(
		    r, "name: must be small letters, digits and \"-\", a letter first");
	if ((c->name = context_dup(s)) == NULL)
		return fail(r, "out of memory");
	look_at(r, m = member(d, root, "description"));
	if (m != JSON_NONE && json_type(d, m) != JT_STRING)
		return fail(r, "description: must be a text");
	buf[0] = '\0';
	if (m != JSON_NONE && json_str_copy(d, m, buf, sizeof buf, NULL) != 0)
		return fail(r, "description: longer than %d octets", DESCRIPTION_MAX);
	if ((c->description = strdup(buf)) == NULL)
		return fail(r, "out of memory");

	r->at = root;
	look_at(r, m = json_get(d, root, "capabilities"));
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

	look_at(r, m = member(d, root, "deny_list"));
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
	return read_arguments(r, root, "", &c->arguments);
}

struct context *
context_compile(
    const struct json_doc *d, uint32_t node, char *err, size_t err_size, uint32_t *at)
{
	struct context *c = calloc(1, sizeof *c);
	struct reader r = {.d = d, .err = err, .err_size = err_size, .at = node};

	if (c == NULL)
		fail(&r, "out of memory");
	else if (read_context(&r, node, c) != 0) {
		context_free(c);
		c = NULL;
	}
	if (at != NULL)
		*at = r.at;
	return c;
}

struct context *
context_parse(const void *json, size_t len, char *err, size_t err_size)
{
	struct context *c = NULL;
	struct json_doc doc;
	enum json_err e;

	json_init(&doc);
	if ((e = json_parse(&doc, json, len, &context_json_limits)) != JSON_OK)
		snprintf(err, err_size, "not JSON: %s at octet %u", json_strerror(e),
		    doc.err_at);
	else
		c = context_compile(&doc, json_root(&doc), err, err_size, NULL);
	json_free(&doc);
	return c;
}
