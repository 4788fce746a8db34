/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles policies; see policy.h. Everything unknown is refused: a restriction that is
 * not understood must not be dropped silently. Judge, master and command line, on JSON
 * made of administrators' files.
 */
#include "common/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/nfa.h"
#include "common/proto.h"
#include "common/sha256.h"

static const struct json_limits limits = {.depth = 8, .nodes = 65536};

struct reader {
	const struct json_doc *d;
	char *err;
	size_t err_size;
	uint32_t at;
	size_t states;
};

const char *const policy_methods[] = {
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", WEBSOCKET_METHOD, NULL};

__attribute__((format(printf, 3, 4))) static int
fail(struct reader *r, uint32_t at, const char *fmt, ...)
{
	va_list ap;

	if (at != JSON_NONE)
		r->at = at;
	va_start(ap, fmt);
	vsnprintf(r->err, r->err_size, fmt, ap);
	va_end(ap);
	return -1;
}

/* The members of an object are among these. */
static int
check_members(struct reader *r, uint32_t node, const char *where,
    const char *const *names, const char *expected)
{
	struct json_iter it;
	const char *const *n;
	char buf[128] = "";

	if (json_type(r->d, node) != JT_OBJECT)
		return fail(r, node, "%s: expected a map with %s", where, expected);
	json_iter_init(&it, r->d, node);
	while (json_iter_next(&it, r->d)) {
		for (n = names; *n != NULL && !json_str_eq(r->d, it.name, *n); n++)
			;
		if (*n == NULL) {
			(void)json_str_copy(r->d, it.name, buf, sizeof buf, NULL);
			return fail(r, it.name, "%s: unknown key \"%s\", expected %s",
			    where, buf, expected);
		}
	}
	return 0;
}

/* One member under its name or its older one. 0, or -1: both are there. */
static int
member(struct reader *r, uint32_t node, const char *where, const char *name,
    const char *other, uint32_t *out)
{
	uint32_t second = json_get(r->d, node, other);

	*out = json_get(r->d, node, name);
	if (*out != JSON_NONE && second != JSON_NONE)
		return fail(
		    r, second, "%s: %s is %s again, expected one", where, other, name);
	if (*out == JSON_NONE)
		*out = second;
	return 0;
}

static int
read_text(struct reader *r, uint32_t node, uint32_t holder, const char *where, char *out,
    size_t size, const char *expected)
{
	size_t len;

	if (node == JSON_NONE)
		return fail(r, holder, "%s is missing, expected %s", where, expected);
	if (json_type(r->d, node) != JT_STRING)
		return fail(r, node, "%s: expected %s, in quotes if it is digits", where,
		    expected);
	if (json_str_copy(r->d, node, out, size, &len) == -1 || len == 0)
		return fail(r, node, "%s: expected %s, 1 to %zu octets", where, expected,
		    size - 1);
	return 0;
}

static int
read_name(struct reader *r, uint32_t node, uint32_t holder, const char *where, char **out,
    const char *expected)
{
	char buf[POLICY_NAME_MAX + 1];

	if (read_text(r, node, holder, where, buf, sizeof buf, expected) == -1)
		return -1;
	if (buf[strspn(buf,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")] !=
	    '\0')
		return fail(r, node,
		    "%s: found \"%s\", expected %s: letters, digits, _ and -", where, buf,
		    expected);
	*out = strdup(buf);
	return *out != NULL ? 0 : fail(r, node, "out of memory");
}

static int
read_method(struct reader *r, uint32_t node, const char *where, unsigned *out)
{
	char buf[64] = "";

	(void)json_str_copy(r->d, node, buf, sizeof buf, NULL);
	for (unsigned i = 0; policy_methods[i] != NULL; i++)
		if (span_ieq(span_str(buf), policy_methods[i])) {
			if (*out & 1u << i)
				return fail(r, node, "%s: %s is there twice", where, buf);
			*out |= 1u << i;
			return 0;
		}
	return fail(r, node,
	    "%s: found \"%s\", expected GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS or "
	    "WEBSOCKET",
	    where, buf);
}

static int
read_path(struct reader *r, uint32_t node, const char *where, struct policy_rule *rule)
{
	char buf[NFA_PATTERN_MAX + 1], err[200];
	size_t at;

	if (read_text(r, node, node, where, buf, sizeof buf, "a regular expression") ==
	    -1)
		return -1;
	rule->nfa[rule->npaths] = nfa_compile(span_str(buf), err, sizeof err, &at);
	if (rule->nfa[rule->npaths] == NULL)
		return fail(
		    r, node, "%s: \"%s\": at character %zu: %s", where, buf, at + 1, err);
	r->states += nfa_states(rule->nfa[rule->npaths]);
	rule->paths[rule->npaths] = strdup(buf);
	if (rule->paths[rule->npaths++] == NULL)
		return fail(r, node, "out of memory");
	if (r->states > POLICY_STATES_MAX)
		return fail(r, node,
		    "%s: the patterns of this policy are too large together", where);
	return 0;
}

static int
read_list(struct reader *r, uint32_t node, const char *where, size_t max,
    struct policy_rule *rule,
    int (*item)(struct reader *, uint32_t, const char *, struct policy_rule *))
{
	struct json_iter it;
	char at[96];
	size_t i = 0;

	if (node == JSON_NONE)
		return 0;
	if (json_type(r->d, node) != JT_ARRAY || json_count(r->d, node) == 0 ||
	    json_count(r->d, node) > max)
		return fail(r, node,
		    "%s: expected a list of 1 to %zu texts (leave it out for all)", where,
		    max);
	json_iter_init(&it, r->d, node);
	while (json_iter_next(&it, r->d)) {
		snprintf(at, sizeof at, "%s[%zu]", where, i++);
		if (item(r, it.value, at, rule) == -1)
			return -1;
	}
	return 0;
}

static int
add_method(struct reader *r, uint32_t node, const char *where, struct policy_rule *rule)
{
	return read_method(r, node, where, &rule->methods);
}

/* "09:30" as minutes of the day, or -1. */
static int
minutes(const char *s)
{
	int h, m;

	if (strlen(s) != 5 || s[2] != ':' || strspn(s, "0123456789:") != 5 ||
	    s[0] == ':' || s[1] == ':' || s[3] == ':' || s[4] == ':')
		return -1;
	h = (s[0] - '0') * 10 + s[1] - '0';
	m = (s[3] - '0') * 10 + s[4] - '0';
	return h > 23 || m > 59 ? -1 : h * 60 + m;
}

static int
read_time(
    struct reader *r, uint32_t node, const char *where, const char *name, unsigned *out)
{
	uint32_t m = json_get(r->d, node, name);
	char at[128], buf[32];
	int n;

	snprintf(at, sizeof at, "%s.%s", where, name);
	if (read_text(r, m, node, at, buf, sizeof buf, "a time such as \"09:30\"") == -1)
		return -1;
	n = minutes(buf);
	if (n == -1)
		return fail(r, m, "%s: found \"%s\", expected 00:00 to 23:59", at, buf);
	*out = (unsigned)n;
	return 0;
}

static int
read_window(struct reader *r, uint32_t node, const char *where, struct policy_rule *rule)
{
	static const char *const names[] = {"start", "end", "timezone", NULL};
	uint32_t zone;
	char at[128];

	if (node == JSON_NONE)
		return 0;
	if (check_members(r, node, where, names, "start, end and timezone") == -1 ||
	    read_time(r, node, where, "start", &rule->start) == -1 ||
	    read_time(r, node, where, "end", &rule->end) == -1)
		return -1;
	rule->has_window = true;
	(void)span_copy(span_str("UTC"), rule->zone_name, sizeof rule->zone_name);
	zone = json_get(r->d, node, "timezone");
	if (zone == JSON_NONE)
		return 0;
	snprintf(at, sizeof at, "%s.timezone", where);
	if (read_text(r, zone, node, at, rule->zone_name, sizeof rule->zone_name,
		"a time zone such as Europe/Berlin") == -1)
		return -1;
	if (!zone_name_ok(span_str(rule->zone_name)))
		return fail(r, zone,
		    "%s: found \"%s\", expected a time zone such as Europe/Berlin", at,
		    rule->zone_name);
	return 0;
}

static int
read_rate(struct reader *r, uint32_t node, const char *where, struct policy_rule *rule)
{
	static const char expected[] = "a rate such as 100/min (sec, min, hour, day)";

	if (node == JSON_NONE)
		return 0;
	if (read_text(r, node, node, where, rule->rate_text, sizeof rule->rate_text,
		expected) == -1)
		return -1;
	if (limit_parse(span_str(rule->rate_text), &rule->rate) == -1)
		return fail(r, node, "%s: found \"%s\", expected %s", where,
		    rule->rate_text, expected);
	rule->has_rate = true;
	return 0;
}

/* What a rule is about: its window of counted requests stays its own under another
 * limit, and when rules before it come or go. */
static int
make_key(const char *agent, struct policy_rule *rule)
{
	uint32_t numbers[4] = {rule->methods, rule->has_window, rule->start, rule->end};
	uint8_t digest[SHA256_LEN];
	struct buf b;
	int bad;

	buf_init(&b);
	bad = buf_put(&b, numbers, sizeof numbers);
	bad |= buf_put(&b, agent, strlen(agent) + 1);
	bad |= buf_put(&b, rule->service, strlen(rule->service) + 1);
	bad |= buf_put(&b, rule->zone_name, strlen(rule->zone_name) + 1);
	for (size_t i = 0; i < rule->npaths; i++)
		bad |= buf_put(&b, rule->paths[i], strlen(rule->paths[i]) + 1);
	sha256_two(b.p, b.len, NULL, 0, digest);
	(void)hex_encode(digest, 8, rule->key, sizeof rule->key);
	buf_free(&b);
	return bad;
}

static int
read_rule(struct reader *r, uint32_t node, const struct policy *p, size_t index)
{
	static const char *const names[] = {"service", "methods", "paths", "rate_limit",
	    "rateLimit", "time_window", "timeWindow", NULL};
	struct policy_rule *rule = &p->rules[index];
	uint32_t rate, window, paths = json_get(r->d, node, "paths");
	char where[32], at[64];

	snprintf(where, sizeof where, "rules[%zu]", index);
	rule->node = node;
	if (check_members(r, node, where, names,
		"service, methods, paths, rate_limit and time_window") == -1 ||
	    member(r, node, where, "rate_limit", "rateLimit", &rate) == -1 ||
	    member(r, node, where, "time_window", "timeWindow", &window) == -1)
		return -1;
	snprintf(at, sizeof at, "%s.service", where);
	if (read_name(r, json_get(r->d, node, "service"), node, at, &rule->service,
		"the name of a service") == -1)
		return -1;
	snprintf(at, sizeof at, "%s.methods", where);
	if (read_list(r, json_get(r->d, node, "methods"), at, 7, rule, add_method) == -1)
		return -1;
	rule->paths = calloc(json_count(r->d, paths) + 1, sizeof rule->paths[0]);
	rule->nfa = calloc(json_count(r->d, paths) + 1, sizeof rule->nfa[0]);
	if (rule->paths == NULL || rule->nfa == NULL)
		return fail(r, node, "out of memory");
	snprintf(at, sizeof at, "%s.paths", where);
	if (read_list(r, paths, at, POLICY_PATHS_MAX, rule, read_path) == -1)
		return -1;
	snprintf(at, sizeof at, "%s.rate_limit", where);
	if (read_rate(r, rate, at, rule) == -1)
		return -1;
	snprintf(at, sizeof at, "%s.time_window", where);
	if (read_window(r, window, at, rule) == -1)
		return -1;
	return make_key(p->agent, rule) == 0 ? 0 : fail(r, node, "out of memory");
}

static int
read_policy(struct reader *r, uint32_t node, struct policy *p)
{
	static const char *const names[] = {"agent", "rules", NULL};
	uint32_t rules = json_get(r->d, node, "rules");
	struct json_iter it;

	if (check_members(r, node, "policy", names, "agent and rules") == -1 ||
	    read_name(r, json_get(r->d, node, "agent"), node, "agent", &p->agent,
		"the name of an agent") == -1)
		return -1;
	if (json_type(r->d, rules) != JT_ARRAY || json_count(r->d, rules) == 0 ||
	    json_count(r->d, rules) > POLICY_RULES_MAX)
		return fail(r, rules == JSON_NONE ? node : rules,
		    "rules: expected a list of 1 to %d rules", POLICY_RULES_MAX);
	p->rules = calloc(json_count(r->d, rules), sizeof p->rules[0]);
	if (p->rules == NULL)
		return fail(r, node, "out of memory");
	json_iter_init(&it, r->d, rules);
	while (json_iter_next(&it, r->d)) {
		p->nrules++;
		if (read_rule(r, it.value, p, p->nrules - 1) == -1)
			return -1;
	}
	return 0;
}

struct policy *
policy_compile(
    const struct json_doc *d, uint32_t node, char *err, size_t err_size, uint32_t *at)
{
	struct reader r = {.d = d, .err = err, .err_size = err_size, .at = node};
	struct policy *p = calloc(1, sizeof *p);

	if (p == NULL) {
		(void)fail(&r, node, "out of memory");
	} else if (read_policy(&r, node, p) == -1) {
		policy_free(p);
		p = NULL;
	}
	if (at != NULL)
		*at = r.at;
	return p;
}

struct policy *
policy_parse(struct span json, char *err, size_t err_size)
{
	struct policy *p = NULL;
	struct json_doc d;
	enum json_err e;

	json_init(&d);
	if ((e = json_parse(&d, json.p, json.len, &limits)) != JSON_OK)
		snprintf(err, err_size, "not JSON: %s", json_strerror(e));
	else
		p = policy_compile(&d, json_root(&d), err, err_size, NULL);
	json_free(&d);
	return p;
}

void
policy_free(struct policy *p)
{
	size_t i, k;

	if (p == NULL)
		return;
	for (i = 0; i < p->nrules; i++) {
		struct policy_rule *rule = &p->rules[i];

		for (k = 0; k < rule->npaths; k++) {
			free(rule->paths[k]);
			nfa_free(rule->nfa[k]);
		}
		free(rule->service);
		free(rule->paths);
		free(rule->nfa);
	}
	free(p->rules);
	free(p->agent);
	free(p);
}

int
policy_link(struct policy *p, const struct zone *(*find)(const char *, void *), void *arg,
    const char **missing)
{
	for (size_t i = 0; i < p->nrules; i++) {
		struct policy_rule *rule = &p->rules[i];

		if (!rule->has_window || zone_is_utc(span_str(rule->zone_name)))
			continue;
		rule->zone = find(rule->zone_name, arg);
		if (rule->zone == NULL) {
			*missing = rule->zone_name;
			return -1;
		}
	}
	return 0;
}
