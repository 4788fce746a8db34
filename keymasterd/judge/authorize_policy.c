/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policies say of a proxied request. In dry-run nothing is refused: the row notes
 * what would have been. Judge only, on what agents wrote.
 */
#include "keymasterd/judge/authorize.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/target.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/policies.h"

static struct target_readings path;
static char why[600];

__attribute__((format(printf, 2, 3))) static void
note(struct decide *d, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(d->policy, sizeof(d->policy), fmt, ap);
	va_end(ap);

	/* cut, but not in the middle of a character */
	if (n >= (int)sizeof(d->policy))
		for (n = sizeof(d->policy) - 1;
		     n > 0 && ((unsigned char)d->policy[n - 1] & 0x80) != 0; n--)
			;
	d->row.policy = span_mem(d->policy, n < 0 ? 0 : (size_t)n);
}

static int
refuse(struct decide *d, const struct agent *agent, enum policy_violation v)
{
	static char hint[200];
	const char *name = policy_violation_name(v);

	if (v == POLICY_NO_POLICY)
		snprintf(hint, sizeof(hint),
		    "An operator writes one into gate.policies_dir, then: aegis policy "
		    "reload");
	else
		snprintf(hint, sizeof(hint),
		    "An operator sees which rule decided with: aegis policy test --agent "
		    "%s",
		    agent != NULL ? agent->row.name : "<agent>");
	note(d, "refused: %s", name);
	decide_refuse(d, 403, "policy_violation", "Policy violation", hint,
	    DK("agent", agent != NULL ? agent->row.name : ""), DK("violation", name),
	    DK("reason", why));
	return -1;
}

static void
read_request(struct policy_request *q, const struct ledger_row *row, struct span headers)
{
	memset(q, 0, sizeof(*q));
	q->service = row->service;
	q->method = row->method;
	if (target_read(row->path, &path) == -1) { /* it was checked before */
		path.as[0] = span_mem("", 0);
		path.n = 1;
	}
	q->path = &path;
	q->unix_s = (int64_t)(judge_now_ms() / 1000);
	policy_overrides(headers, q);
}

int
authorize_policy(struct decide *d, const struct agent *agent, struct span headers,
    const struct policy_rule **rule)
{
	const struct policy_set *s = policies_now();
	const struct policy_rule *by;
	const struct policy *p;
	struct policy_request q;
	enum policy_violation v;

	*rule = NULL;
	if (s->mode == POLICY_OFF)
		return 0;
	p = policy_of(agent);
	if (p == NULL && s->allow) {
		note(d, "no policy");
		return 0;
	}
	read_request(&q, &d->row, headers);
	*rule = policy_decide(p, &q, &v, &by);
	if (*rule != NULL) {
		note(d, "rule %zu %s", (size_t)(*rule - p->rules) + 1, (*rule)->key);
		return 0;
	}
	policy_explain(p, by, v, &q, why, sizeof(why));
	if (s->mode == POLICY_ENFORCE)
		return refuse(d, agent, v);
	note(d, "would refuse: %s: %s", policy_violation_name(v), why);
	return 0;
}

bool
authorize_policy_still(const struct agent *agent, const struct ledger_row *row)
{
	const struct policy_set *s = policies_now();
	const struct policy *p = policy_of(agent);
	const struct policy_rule *by;
	struct policy_request q;
	enum policy_violation v;

	if (s->mode != POLICY_ENFORCE || (p == NULL && s->allow))
		return true;
	read_request(&q, row, span_str(""));
	return policy_decide(p, &q, &v, &by) != NULL;
}

struct limiter *
authorize_policy_rate(
    struct decide *d, const struct policy_rule *rule, uint64_t now_ms, uint32_t *wait)
{
	struct limiter *l = rule != NULL ? rule->window : NULL;

	*wait = l != NULL ? limiter_check(l, now_ms) : 0;
	if (*wait == 0)
		return l;
	if (policies_now()->mode == POLICY_ENFORCE)
		return NULL;
	*wait = 0;
	note(d, "would refuse: policy_rate_limit: %s", rule->rate_text);
	return NULL;
}
