/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides by a policy: the first rule of the service whose methods, paths and time all
 * allow the request. Judge, on what agents wrote; command line, to explain. Pure
 * functions.
 */
#include "common/policy.h"

#include <stdio.h>
#include <string.h>

#include "common/http1.h"
#include "common/nfa.h"
#include "common/target.h"

static bool
method_allowed(const struct policy_rule *r, const struct policy_request *q)
{
	if (r->methods == 0)
		return true;
	if (q->method_override != NULL)
		return false; /* it could become any other */
	for (unsigned i = 0; policy_methods[i] != NULL; i++)
		if (span_eq(q->method, policy_methods[i]))
			return (r->methods & 1u << i) != 0;
	return false;
}

static bool
any_pattern(const struct policy_rule *r, struct span path)
{
	for (size_t i = 0; i < r->npaths; i++)
		if (nfa_search(r->nfa[i], path))
			return true;
	return false;
}

/* However the upstream reads it. */
static bool
path_allowed(const struct policy_rule *r, const struct policy_request *q)
{
	if (r->npaths == 0)
		return true;
	if (q->path_override != NULL)
		return false;
	for (size_t i = 0; i < q->path->n; i++)
		if (!any_pattern(r, q->path->as[i]))
			return false;
	return true;
}

static unsigned
minute_of_day(const struct policy_rule *r, int64_t unix_s)
{
	int64_t local = unix_s + zone_offset(r->zone, unix_s);

	return (unsigned)(((local % 86400) + 86400) % 86400 / 60);
}

static bool
time_allowed(const struct policy_rule *r, int64_t unix_s)
{
	unsigned now;

	if (!r->has_window)
		return true;
	now = minute_of_day(r, unix_s);
	return r->start <= r->end ? now >= r->start && now <= r->end
				  : now >= r->start || now <= r->end;
}

enum policy_violation
policy_rule_check(const struct policy_rule *r, const struct policy_request *q)
{
	if (!span_eq(q->service, r->service))
		return POLICY_NO_RULE;
	if (!method_allowed(r, q))
		return POLICY_METHOD;
	if (!path_allowed(r, q))
		return POLICY_PATH;
	return time_allowed(r, q->unix_s) ? POLICY_NONE : POLICY_TIME;
}

const struct policy_rule *
policy_decide(const struct policy *p, const struct policy_request *q,
    enum policy_violation *v, const struct policy_rule **by)
{
	enum policy_violation one;

	*v = p == NULL ? POLICY_NO_POLICY : POLICY_NO_RULE;
	*by = NULL;
	for (size_t i = 0; p != NULL && i < p->nrules; i++) {
		one = policy_rule_check(&p->rules[i], q);
		if (one == POLICY_NONE) {
			*v = POLICY_NONE;
			*by = &p->rules[i];
			return *by;
		}
		if (one != POLICY_NO_RULE && *v == POLICY_NO_RULE) {
			*v = one;
			*by = &p->rules[i];
		}
	}
	return NULL;
}

const char *
policy_violation_name(enum policy_violation v)
{
	static const char *const names[] = {
	    "", "no_policy", "no_matching_rule", "method", "path", "time_window"};

	return names[v];
}

const char *
policy_mode_name(enum policy_mode m)
{
	static const char *const names[] = {"off", "dry-run", "enforce"};

	return names[m];
}

void
policy_methods_text(unsigned methods, char *out, size_t size)
{
	size_t n = 0;

	snprintf(out, size, "all");
	for (unsigned i = 0; policy_methods[i] != NULL && n < size; i++)
		if ((methods & 1u << i) != 0)
			n += (size_t)snprintf(out + n, size - n, "%s%s",
			    n > 0 ? ", " : "", policy_methods[i]);
}

/* Room for text of agents: cut, not refused. */
#define SHORT(s) (int)((s).len < 200 ? (s).len : 200), (s).p

void
policy_explain(const struct policy *p, const struct policy_rule *by,
    enum policy_violation v, const struct policy_request *q, char *out, size_t size)
{
	size_t number = by == NULL ? 0 : (size_t)(by - p->rules) + 1;
	char methods[80];
	unsigned now;

	switch (v) {
	case POLICY_NO_POLICY:
		snprintf(out, size, "there is no policy for this agent");
		break;
	case POLICY_NO_RULE:
		snprintf(out, size, "no rule of the policy names service %.*s",
		    SHORT(q->service));
		break;
	case POLICY_METHOD:
		policy_methods_text(by->methods, methods, sizeof methods);
		if (q->method_override != NULL)
			snprintf(out, size,
			    "rule %zu allows %s, but %s may turn the request into "
			    "another",
			    number, methods, q->method_override);
		else
			snprintf(out, size, "rule %zu allows %s, not %.*s", number,
			    methods, SHORT(q->method));
		break;
	case POLICY_PATH:
		if (q->path_override != NULL)
			snprintf(out, size,
			    "rule %zu has patterns for paths, but %s may lead elsewhere",
			    number, q->path_override);
		else
			snprintf(out, size,
			    "no pattern of rule %zu matches the path %.*s", number,
			    SHORT(q->path->as[0]));
		break;
	case POLICY_TIME:
		now = minute_of_day(by, q->unix_s);
		snprintf(out, size,
		    "rule %zu applies from %02u:%02u to %02u:%02u %s, and it is "
		    "%02u:%02u "
		    "there",
		    number, by->start / 60, by->start % 60, by->end / 60, by->end % 60,
		    by->zone_name, now / 60, now % 60);
		break;
	case POLICY_NONE:
		snprintf(out, size, "rule %zu allows it", number);
		break;
	}
}

void
policy_overrides(struct span headers, struct policy_request *q)
{
	static const char *const methods[] = {
	    "x-http-method-override", "x-http-method", "x-method-override", NULL};
	static const char *const paths[] = {"x-original-url", "x-rewrite-url", NULL};
	const char *p = headers.p, *end, *colon, *nl;
	unsigned i;

	if (headers.len == 0)
		return;
	for (end = p + headers.len; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end - 1;
		colon = memchr(p, ':', (size_t)(nl - p));
		if (colon == NULL || ((*p | 0x20) != 'x'))
			continue;
		for (i = 0; methods[i] != NULL; i++)
			if (http1_same_name(span_mem(p, (size_t)(colon - p)), methods[i]))
				q->method_override = methods[i];
		for (i = 0; paths[i] != NULL; i++)
			if (http1_same_name(span_mem(p, (size_t)(colon - p)), paths[i]))
				q->path_override = paths[i];
	}
}
