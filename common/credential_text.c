/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of credentials as they are sealed; see credential_text.h. Judge and command line;
 * what comes in was typed by an administrator.
 */
#include "common/credential_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/host.h"

#define DOMAINS_MAX 64

/* The next item of a comma separated list; 0 at the end. */
static int
next_item(struct span *rest, struct span *item)
{
	const char *comma;

	if (rest->p == NULL)
		return 0;
	comma = rest->len > 0 ? memchr(rest->p, ',', rest->len) : NULL;
	if (comma == NULL) {
		*item = span_trim(*rest);
		rest->p = NULL;
		return 1;
	}
	*item = span_trim((struct span){rest->p, (size_t)(comma - rest->p)});
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

/* A sentence about a name that cannot be used, after "The list of domains". */
static const char *
bad_domain(const char *raw, int r)
{
	static char text[480];

	snprintf(text, sizeof(text), "has \"%.300s\": %s%s", raw, host_strerror(r),
	    r == HOST_ERR_WIDE
		? ", where strangers have names, too: name yours, such as *.example.com"
		: ": hosts are named like api.example.com, *.example.com or "
		  "api.example.com:8443, without https:// and path");
	return text;
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
		return bad_domain(raw, r);
	if (strncmp(raw, "*.", 2) == 0)
		name += 2;
	r = host_normalise(name, strlen(name), host, &port);
	if (r < 0)
		return bad_domain(raw, r);
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
credential_header_default(struct span auth_type)
{
	return span_eq(auth_type, "header") ? "x-api-key" : "";
}

const char *
credential_param_default(struct span auth_type)
{
	return span_eq(auth_type, "query") ? "key" : "";
}

int
upstream_parse(
    const char *text, char scheme[8], char *host, size_t host_size, uint32_t *port)
{
	char name[HOST_MAX];
	const char *p;
	uint16_t given = 0;
	unsigned long n;
	char *end;

	snprintf(scheme, 8, "https");
	*port = 0;
	if (host != NULL)
		host[0] = '\0';
	if (text[0] == '\0')
		return 0;
	if (strncmp(text, "http://", 7) == 0) {
		snprintf(scheme, 8, "http");
		p = text + 7;
	} else if (strncmp(text, "https://", 8) == 0) {
		p = text + 8;
	} else {
		return -1;
	}
	if (p[0] == '\0')
		return 0;
	if (p[0] == ':') {
		n = strtoul(p + 1, &end, 10);
		if (p[1] < '1' || p[1] > '9' || *end != '\0' || n > 65535)
			return -1;
		*port = (uint32_t)n;
		return 0;
	}
	if (host_normalise(p, strlen(p), name, &given) < 0)
		return -1;
	*port = given;
	if (host != NULL && snprintf(host, host_size, "%s", name) >= (int)host_size)
		return -1;
	return 0;
}
