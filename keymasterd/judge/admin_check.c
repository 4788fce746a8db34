/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of what administrators type (spec/gate.md section 3, made strict). Each returns
 * NULL, or what is wrong in a few words for the message. Judge only.
 */
#include <stdio.h>
#include <string.h>

#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/limit.h"

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
