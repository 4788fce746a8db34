/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides tool calls by SecurityContexts: deny entries first, then capabilities in order,
 * any of which allows. Runs in the judge on arguments of agents; what cannot be read for
 * certain is refused. Not reentrant: one scratch area, as the judge decides on one
 * thread.
 */
#include "keymasterd/judge/context_eval.h"

#include <stdio.h>
#include <string.h>

#include "common/context_path.h"
#include "keymasterd/judge/context_args.h"
#include "keymasterd/judge/context_walk.h"

enum {
	NOT_ALLOWED = 2000,
	DENIED = 2001,
	PATH_REFUSED = 2002,
	COMMAND_REFUSED = 2003,
	DOMAIN_REFUSED = 2004,
	RATE_EXCEEDED = 2005
};

static struct context_words words; /* too large for the stack of every call */

/* Room for text of agents in messages: cut, not refused. */
#define SHORT(s) (int)((s).len < 96 ? (s).len : 96), (s).p
#define SHORT_TOOL(s) (int)((s).len < 64 ? (s).len : 64), (s).p

struct question {
	const struct context *c;
	const struct context_call *call;
	struct context_verdict *out;
	const struct context_list *paths;
	const struct context_domains *domains;
	const struct context_deny *deny;
	struct context_scope scope;
	bool busy; /* 2005 is for calls under way */
};

static int
refuse(struct context_verdict *v, unsigned code, const char *what, struct span value,
    const char *why)
{
	v->allowed = false;
	v->code = code;
	if (value.p == NULL)
		snprintf(v->why, sizeof v->why, "%s: %s", what, why);
	else
		snprintf(
		    v->why, sizeof v->why, "%s \"%.*s\": %s", what, SHORT(value), why);
	return -1;
}

static bool
covers(const struct context_domain *d, const char *host, bool address)
{
	size_t len = strlen(host);

	if (d->address || address)
		return d->address && address && strcmp(d->host, host) == 0;
	if (len == d->len)
		return !d->below_only && memcmp(host, d->host, len) == 0;
	return len > d->len && host[len - d->len - 1] == '.' &&
	    memcmp(host + len - d->len, d->host, d->len) == 0;
}

/* ---- constraints of a capability ---- */

static int
path_in_list(struct span value, const char *name, void *arg)
{
	struct question *q = arg;
	struct context_path path;
	const char *why;

	if (value.p == NULL)
		return refuse(q->out, PATH_REFUSED, name, value, "not a path");
	if ((why = context_path_read(value, &path)) != NULL)
		return refuse(q->out, PATH_REFUSED, name, value, why);
	for (size_t i = 0; i < q->paths->n; i++)
		if (path.relative || context_path_match(q->paths->v[i], &path, false))
			return 0;
	return refuse(q->out, PATH_REFUSED, name, value, "not below a permitted path");
}

static int
check_paths(struct question *q, const struct context_list *paths)
{
	int n;

	if (!paths->present)
		return 0;
	q->paths = paths;
	n = context_paths_each(q->call->doc, q->call->args, &q->scope, path_in_list, q);
	if (n == 0)
		return refuse(q->out, PATH_REFUSED, "path", span_str(NULL),
		    "the call names no path");
	return n < 0 ? -1 : 0;
}

static bool
in_list(const struct context_list *l, struct span s)
{
	for (size_t i = 0; i < l->n; i++)
		if (span_eq(s, l->v[i]))
			return true;
	return false;
}

static int
check_subcommand(struct question *q, const struct context_capability *cap)
{
	struct span sub = words.n > 1 ? words.v[1] : span_str(NULL);
	bool known = false;

	for (size_t i = 0; i < cap->nsubcommands; i++) {
		const struct context_subcommands *s = &cap->subcommands[i];

		if (s->command == NULL) {
			if (sub.p != NULL && in_list(&s->allowed, sub))
				return 0;
			known = true;
		} else if (span_eq(words.v[0], s->command)) {
			if (s->allowed.n == 0 ||
			    (sub.p != NULL && in_list(&s->allowed, sub)))
				return 0;
			known = true;
		}
	}
	if (!known)
		return refuse(q->out, COMMAND_REFUSED, "command", words.v[0],
		    "not among those with permitted subcommands");
	if (sub.p == NULL)
		return refuse(q->out, COMMAND_REFUSED, "command", words.v[0],
		    "needs a permitted subcommand");
	return refuse(
	    q->out, COMMAND_REFUSED, "subcommand", sub, "not among the permitted ones");
}

static int
check_command(struct question *q, const struct context_capability *cap)
{
	const char *why;

	if (!cap->commands.present && !cap->has_subcommands)
		return 0;
	switch (context_words_read(q->call->doc, q->call->args, &words, &why)) {
	case CONTEXT_ARG_ABSENT:
		why = "the call names no command";
		__attribute__((fallthrough));
	case CONTEXT_ARG_BAD:
		return refuse(q->out, COMMAND_REFUSED, "command", span_str(NULL), why);
	case CONTEXT_ARG_GOOD:
		break;
	}
	if (cap->commands.present && !in_list(&cap->commands, words.v[0]))
		return refuse(q->out, COMMAND_REFUSED, "command", words.v[0],
		    "not among the permitted ones");
	return cap->has_subcommands ? check_subcommand(q, cap) : 0;
}

static int
host_in_list(struct span value, const char *name, void *arg)
{
	struct question *q = arg;
	char host[HOST_MAX];
	const char *why;
	bool address;

	if (value.p == NULL)
		return refuse(q->out, DOMAIN_REFUSED, name, value, "not a URL");
	if ((why = context_url_host(value, host, &address)) != NULL)
		return refuse(q->out, DOMAIN_REFUSED, name, value, why);
	for (size_t i = 0; i < q->domains->n; i++)
		if (covers(&q->domains->v[i], host, address))
			return 0;
	return refuse(q->out, DOMAIN_REFUSED, "host", span_str(host), "not permitted");
}

/* A search that names no URL goes to the search service only. */
static bool
is_search(const struct context_call *call)
{
	struct span t = call->tool;

	if (!span_eq(t, "web.search") && !span_eq(t, "web_search") &&
	    (t.len <= 11 || memcmp(t.p, "web-search.", 11) != 0))
		return false;
	return json_type(call->doc, json_get(call->doc, call->args, "query")) ==
	    JT_STRING ||
	    json_type(call->doc, json_get(call->doc, call->args, "q")) == JT_STRING;
}

static int
check_domains(struct question *q, const struct context_domains *domains)
{
	int n;

	if (!domains->present)
		return 0;
	q->domains = domains;
	n = context_urls_each(q->call->doc, q->call->args, &q->scope, host_in_list, q);
	if (n == 0 && !is_search(q->call))
		return refuse(q->out, DOMAIN_REFUSED, "url", span_str(NULL),
		    "the call names no URL");
	return n < 0 ? -1 : 0;
}

/* ---- deny entries with an argument: whatever is doubtful counts as a hit ---- */

static int
path_denied(struct span value, const char *name, void *arg)
{
	struct question *q = arg;
	struct context_path path;

	(void)name;
	if (value.p == NULL || context_path_read(value, &path) != NULL)
		return -1;
	if (q->deny->kind == CONTEXT_DENY_WORD)
		return context_path_has(q->deny->arg, &path) ? -1 : 0;
	/* where a relative path begins is not known */
	return path.relative || context_path_match(q->deny->arg, &path, true) ? -1 : 0;
}

static int
host_denied(struct span value, const char *name, void *arg)
{
	struct question *q = arg;
	char host[HOST_MAX];
	bool address;

	(void)name;
	if (value.p == NULL || context_url_host(value, host, &address) != NULL)
		return -1;
	return q->deny->host.host != NULL && covers(&q->deny->host, host, address) ? -1
										   : 0;
}

static struct span
base_name(struct span s)
{
	for (size_t i = s.len; i > 0; i--)
		if (s.p[i - 1] == '/')
			return span_mem(s.p + i, s.len - i);
	return s;
}

/* Does "rm" or "git push" lead the words of the command? */
static bool
command_denied(const struct question *q)
{
	const char *p = q->deny->arg, *why;
	struct span s;
	size_t i = 0;

	switch (context_words_read(q->call->doc, q->call->args, &words, &why)) {
	case CONTEXT_ARG_ABSENT:
		return false;
	case CONTEXT_ARG_BAD:
		return true;
	case CONTEXT_ARG_GOOD:
		break;
	}
	for (; *p != '\0'; i++) {
		s = span_mem(p, strcspn(p, " "));
		if (i == words.n)
			return false;
		if ((words.v[i].len != s.len || memcmp(words.v[i].p, s.p, s.len) != 0) &&
		    (i > 0 || base_name(words.v[0]).len != s.len ||
			memcmp(base_name(words.v[0]).p, s.p, s.len) != 0))
			return false;
		p += s.len;
		p += strspn(p, " ");
	}
	return true;
}

static bool
denied(struct question *q, const struct context_deny *deny)
{
	if (!context_pattern_match(&deny->tool, q->call->tool))
		return false;
	q->deny = deny;
	switch (deny->kind) {
	case CONTEXT_DENY_TOOL:
		return true;
	case CONTEXT_DENY_WORD:
		if (command_denied(q) ||
		    context_urls_each(
			q->call->doc, q->call->args, &q->scope, host_denied, q) < 0)
			return true;
		__attribute__((fallthrough));
	case CONTEXT_DENY_PATH:
		return context_paths_each(
			   q->call->doc, q->call->args, &q->scope, path_denied, q) < 0;
	}
	return true;
}

static const char *
constraint_name(const struct context_capability *cap, unsigned code, bool busy)
{
	switch (code) {
	case PATH_REFUSED:
		return "path_allowlist";
	case COMMAND_REFUSED:
		return !cap->has_subcommands ? "command_allowlist"
		    : !cap->commands.present ? "subcommand_allowlist"
					     : "command_allowlist, subcommand_allowlist";
	case DOMAIN_REFUSED:
		return "domain_allowlist";
	case RATE_EXCEEDED:
		return busy ? "max_concurrent" : "rate_limit";
	}
	return "";
}

/* Do all constraints of the capability hold? Else q->out says which does not. */
static bool
holds(struct question *q, const struct context_capability *cap, size_t index,
    context_rate_fn rate, void *arg)
{
	uint32_t wait;

	if (check_paths(q, &cap->paths) != 0 || check_command(q, cap) != 0 ||
	    check_domains(q, &cap->domains) != 0)
		return false;
	q->busy = false;
	wait = (cap->rate_calls == 0 && cap->max_concurrent == 0) || rate == NULL
	    ? 0
	    : rate(index, arg);
	if (wait == 0)
		return true;
	q->out->code = RATE_EXCEEDED;
	q->out->retry_after = wait;
	if (wait == CONTEXT_BUSY) {
		q->busy = true;
		q->out->retry_after = 1;
		snprintf(q->out->why, sizeof q->out->why,
		    "%u calls of this session are under way, as many as may be",
		    cap->max_concurrent);
		return false;
	}
	snprintf(q->out->why, sizeof q->out->why, "more than %u calls in %u seconds",
	    cap->rate_calls, (unsigned)(cap->rate_window_ms / 1000));
	return false;
}

static void
no_step(const struct context_step *step, void *arg)
{
	(void)step;
	(void)arg;
}

static bool
any_denies(struct question *q, context_step_fn tell, void *tell_arg)
{
	struct context_step step = {.result = CONTEXT_STEP_PASSED};

	for (size_t i = 0; i < q->c->ndeny; i++) {
		step.deny = &q->c->deny[i];
		step.index = i;
		if (denied(q, step.deny)) {
			step.result = CONTEXT_STEP_DENIES;
			q->out->code = DENIED;
			snprintf(q->out->why, sizeof q->out->why,
			    "\"%.*s\" is denied by deny_list[%zu] \"%.128s\"",
			    SHORT_TOOL(q->call->tool), i, step.deny->text);
			tell(&step, tell_arg);
			return true;
		}
		tell(&step, tell_arg);
	}
	return false;
}

void
context_eval_steps(const struct context *c, const struct context_call *call,
    context_rate_fn rate, void *arg, struct context_verdict *out, context_step_fn tell,
    void *tell_arg)
{
	struct context_verdict first = {.allowed = false};
	struct question q = {
	    .c = c, .call = call, .out = out, .scope = {.c = c, .tool = call->tool}};
	struct context_step step = {.verdict = out};
	bool named = false;

	*out = (struct context_verdict){.allowed = false};
	if (any_denies(&q, tell, tell_arg))
		return;
	for (size_t i = 0; i < c->ncaps; i++) {
		step.cap = q.scope.cap = &c->caps[i];
		step.index = i;
		step.result = CONTEXT_STEP_PASSED;
		if (!context_pattern_match(&step.cap->tool, call->tool)) {
			tell(&step, tell_arg);
			continue;
		}
		out->cap = i;
		if (holds(&q, step.cap, i, rate, arg)) {
			step.result = CONTEXT_STEP_ALLOWS;
			tell(&step, tell_arg);
			*out = (struct context_verdict){.allowed = true,
			    .cap = i,
			    .max_response = step.cap->max_response};
			return;
		}
		step.result = CONTEXT_STEP_REFUSES;
		step.constraint = constraint_name(step.cap, out->code, q.busy);
		tell(&step, tell_arg);
		/* the first failing constraint words the answer; but a call that would
		 * pass later is told so */
		if (!named || (out->code == RATE_EXCEEDED && first.code != RATE_EXCEEDED))
			first = *out;
		else if (out->code == RATE_EXCEEDED &&
		    out->retry_after < first.retry_after)
			first = *out;
		named = true;
		out->retry_after = 0;
	}
	if (named) {
		*out = first;
		return;
	}
	out->code = NOT_ALLOWED;
	snprintf(out->why, sizeof out->why, "\"%.*s\" is not permitted in context \"%s\"",
	    SHORT_TOOL(call->tool), c->name);
}

void
context_eval(const struct context *c, const struct context_call *call,
    context_rate_fn rate, void *arg, struct context_verdict *out)
{
	context_eval_steps(c, call, rate, arg, out, no_step, NULL);
}

bool
context_names_tool(const struct context *c, struct span tool)
{
	for (size_t i = 0; i < c->ndeny; i++)
		if (c->deny[i].kind == CONTEXT_DENY_TOOL &&
		    context_pattern_match(&c->deny[i].tool, tool))
			return false;
	for (size_t i = 0; i < c->ncaps; i++)
		if (context_pattern_match(&c->caps[i].tool, tool))
			return true;
	return false;
}
