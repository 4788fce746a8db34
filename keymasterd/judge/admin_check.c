/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of what administrators type (spec/gate.md section 3, made strict). Each returns
 * NULL, or what is wrong in a few words for the message. Judge only.
 */
#include <stdio.h>
#include <string.h>

#include "common/host.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/limit.h"

#define DOMAINS_MAX 64

static int
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

const char *
check_identifier(struct span s, size_t max)
{
	size_t i;

	if (s.len == 0)
		return "is missing";
	if (s.len > max)
		return "is too long";
	for (i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '-')
			return "may have letters, digits, _ and - only";
	return NULL;
}

const char *
check_service_free(struct span s)
{
	static const char *const taken[] = {"v1", "health", "ready", "mcp", "cluster",
	    "_aegis", "metrics", ".well-known"};
	size_t i;

	for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (span_ieq(s, taken[i]))
			return "is a path of the gate's own";
	return NULL;
}

static struct span
trim(struct span s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* The next item of a comma separated list; 0 at the end. */
static int
next_item(struct span *rest, struct span *item)
{
	const char *comma;

	if (rest->p == NULL)
		return 0;
	comma = rest->len > 0 ? memchr(rest->p, ',', rest->len) : NULL;
	if (comma == NULL) {
		*item = trim(*rest);
		rest->p = NULL;
		return 1;
	}
	*item = trim((struct span){rest->p, (size_t)(comma - rest->p)});
	rest->len -= (size_t)(comma + 1 - rest->p);
	rest->p = comma + 1;
	return 1;
}

static int
append_item(char *out, size_t size, const char *item)
{
	size_t have = strlen(out);
	int n = snprintf(out + have, size - have, "%s%s", have > 0 ? "," : "", item);

	return n < 0 || (size_t)n >= size - have ? -1 : 0;
}

static const char *
one_domain(struct span item, char *out, size_t size)
{
	char raw[320], host[HOST_MAX];
	const char *name = raw;
	uint16_t port;
	int r;

	if (span_copy(item, raw, sizeof(raw)) == -1)
		return "has a name that is too long";
	r = domain_pattern_check(raw);
	if (r < 0)
		return host_strerror(r);
	if (strncmp(raw, "*.", 2) == 0)
		name += 2;
	r = host_normalise(name, strlen(name), host, &port);
	if (r < 0)
		return host_strerror(r);
	r = port != 0
	    ? snprintf(out, size, "%s%s:%u", name != raw ? "*." : "", host, port)
	    : snprintf(out, size, "%s%s", name != raw ? "*." : "", host);
	return r < 0 || (size_t)r >= size ? "has a name that is too long" : NULL;
}

const char *
check_domains(struct span s, char *out, size_t size)
{
	char item_text[320];
	struct span item;
	const char *bad;
	unsigned n = 0;

	out[0] = '\0';
	while (next_item(&s, &item)) {
		if (item.len == 0)
			continue;
		bad = one_domain(item, item_text, sizeof(item_text));
		if (bad != NULL)
			return bad;
		if (++n > DOMAINS_MAX || append_item(out, size, item_text) == -1)
			return "has too many names (64 at most)";
	}
	return n == 0 ? "needs at least one name" : NULL;
}

const char *
check_scopes(struct span s, char *out, size_t size)
{
	struct span item;

	out[0] = '\0';
	if (s.len == 0)
		return append_item(out, size, "*") == 0 ? NULL : "is too long";
	while (next_item(&s, &item)) {
		if (!span_eq(item, "read") && !span_eq(item, "write") &&
		    !span_eq(item, "*"))
			return "are read, write or *";
		if (append_item(out, size,
			item.p[0] == 'r'       ? "read"
			    : item.p[0] == 'w' ? "write"
					       : "*") == -1)
			return "is too long";
	}
	return NULL;
}

const char *
check_auth_type(struct span s)
{
	return span_eq(s, "bearer") || span_eq(s, "header") || span_eq(s, "basic") ||
		span_eq(s, "query")
	    ? NULL
	    : "is bearer, header, basic or query";
}

/* A token of RFC 9110 section 5.6.2 that does not steer the connection itself. */
const char *
check_header_name(struct span s)
{
	static const char *const forbidden[] = {"host", "content-length",
	    "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade",
	    "expect", "proxy-connection", "proxy-authenticate", "content-type",
	    "content-encoding", "date", "via", "set-cookie", "x-target-host",
	    "x-aegis-agent"};
	size_t i;

	if (s.len == 0)
		return "is missing";
	for (i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && memchr("!#$%&'*+-.^_`|~", s.p[i], 15) == NULL)
			return "is not the name of a header";
	for (i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		if (span_ieq(s, forbidden[i]))
			return "is a header that Aegis sets itself or never sends";
	return NULL;
}

const char *
check_query_param(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && memchr("-._~", s.p[i], 4) == NULL)
			return "may have letters, digits and -._~ only";
	return NULL;
}

const char *
check_rate_limit(struct span s, char *out, size_t size)
{
	struct limit_rate rate;

	out[0] = '\0';
	if (s.len == 0 || span_ieq(s, "none"))
		return NULL;
	if (limit_parse(s, &rate) == -1 || span_copy(s, out, size) == -1)
		return "is a count and a unit, such as 10/sec, 100/min, 1000/hour or "
		       "5000/day, at "
		       "most 1000000";
	return NULL;
}
