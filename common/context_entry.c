/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a SecurityContext: names, patterns, entries of lists. Judge and
 * master; contexts come from administrators, names of tools from agents.
 */
#include "common/context_entry.h"

#include <stdlib.h>
#include <string.h>

#include "common/context_path.h"
#include "common/host.h"

char *
context_dup(struct span s)
{
	return strndup(s.len == 0 ? "" : s.p, s.len);
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
	return (p->text = context_dup(s)) == NULL ? -1 : 0;
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

const char *
context_entry_path(struct span s, char *out, size_t size)
{
	struct context_path path;
	const char *why = context_path_pattern(s, &path);

	if (why == NULL && span_copy(span_mem(path.text, path.len), out, size) != 0)
		why = "too long";
	return why;
}

const char *
context_entry_command(struct span s, char *out, size_t size)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == '/' || s.p[i] == ' ' || strchr(";&|$`()<>\\'\"*?", s.p[i]))
			return "must be one bare word: no directory, blanks, quotes or "
			       "wildcards "
			       "(subcommands have their own list)";
	return span_copy(s, out, size) == 0 ? NULL : "too long";
}

const char *
context_entry_word(struct span s, char *out, size_t size)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == ' ' || s.p[i] == '*')
			return "must be one word without wildcards";
	return span_copy(s, out, size) == 0 ? NULL : "too long";
}

const char *
context_entry_text_argument(struct span s, char *out, size_t size)
{
	return span_eq(s, "*") ? (span_copy(s, out, size) == 0 ? NULL : "too long")
			       : context_entry_word(s, out, size);
}

const char *
context_entry_domain(struct span s, struct context_domain *d)
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

static void
list_free(struct context_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

static void
arguments_free(struct context_arguments *a)
{
	list_free(&a->paths);
	list_free(&a->urls);
	list_free(&a->texts);
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
		arguments_free(&cap->arguments);
	}
	for (size_t i = 0; i < c->ndeny; i++) {
		context_pattern_clear(&c->deny[i].tool);
		free(c->deny[i].arg);
		free(c->deny[i].text);
		free(c->deny[i].host.host);
	}
	arguments_free(&c->arguments);
	free(c->caps);
	free(c->deny);
	free(c->name);
	free(c->description);
	free(c);
}
