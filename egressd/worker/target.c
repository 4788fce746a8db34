/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domain guard and address guard of the worker; see target.h.
 */
#include "egressd/worker/target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/addr.h"
#include "egressd/worker/credential.h"

#define ADDRESS_OCTETS 18 /* family, 0, sixteen of address */

/* Does the pattern name a port? A colon behind the closing bracket, if there is one. */
static bool
has_port(const char *pattern)
{
	const char *bracket = strrchr(pattern, ']');

	return strchr(bracket != NULL ? bracket : pattern, ':') != NULL;
}

static bool
pattern_covers(const char *pattern, const struct worker_target *t, uint16_t own_port)
{
	if (has_port(pattern))
		return domain_match(pattern, t->host, t->port);
	return t->port == own_port && domain_match(pattern, t->host, 0);
}

enum target_verdict
worker_target(struct worker_target *t, const struct credential *c, struct span authority)
{
	char pattern[HOST_MAX + 8];
	struct span rest = span_str(c->domains), item;
	const char *comma;
	int kind = host_normalise(authority.p, authority.len, t->host, &t->port);

	if (kind < 0)
		return TARGET_BAD_AUTHORITY;
	t->kind = (enum host_kind)kind;
	t->tls = c->tls;
	t->allow_private = c->allow_private;
	if (t->port == 0)
		t->port = c->port;
	while (rest.len > 0) {
		comma = memchr(rest.p, ',', rest.len);
		item =
		    span_mem(rest.p, comma == NULL ? rest.len : (size_t)(comma - rest.p));
		rest.p += item.len + (comma != NULL);
		rest.len -= item.len + (comma != NULL);
		while (item.len > 0 && item.p[0] == ' ') {
			item.p++;
			item.len--;
		}
		if (span_copy(item, pattern, sizeof(pattern)) == 0 &&
		    pattern_covers(pattern, t, c->port))
			return TARGET_GOOD;
	}
	return TARGET_NOT_ALLOWED;
}

static const char *last_rule = "";

const char *
target_rule(void)
{
	return last_rule;
}

static bool
is_allowed(const struct worker_target *t, const struct address *a)
{
	if (!addr_is_metadata(&a->u.sa) &&
	    (t->allow_private || !addr_is_forbidden(&a->u.sa)))
		return true;
	last_rule = addr_kind(&a->u.sa);
	return false;
}

static void
address_set(struct address *a, int family, const void *octets, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	if (family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)(void *)&a->u;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, octets, 4);
		a->len = sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&a->u;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, octets, 16);
		a->len = sizeof(*in6);
	}
}

int
target_addresses(const struct worker_target *t, struct span octets,
    struct address out[ADDRESSES_MAX], unsigned *refused)
{
	int n = 0;

	*refused = 0;
	if (octets.len % ADDRESS_OCTETS != 0)
		return -1;
	for (; octets.len > 0 && n < ADDRESSES_MAX; octets.len -= ADDRESS_OCTETS) {
		if ((octets.p[0] != 4 && octets.p[0] != 6) || octets.p[1] != 0)
			return -1;
		address_set(&out[n], octets.p[0] == 4 ? AF_INET : AF_INET6, octets.p + 2,
		    t->port);
		octets.p += ADDRESS_OCTETS;
		if (is_allowed(t, &out[n]))
			n++;
		else
			++*refused;
	}
	return n;
}

int
target_literal(const struct worker_target *t, struct address *a)
{
	char text[HOST_MAX];
	uint8_t octets[16];
	size_t len = strlen(t->host);

	if (t->kind == HOST_IPV4) {
		if (inet_pton(AF_INET, t->host, octets) != 1)
			return 0;
		address_set(a, AF_INET, octets, t->port);
	} else {
		if (len < 2 ||
		    span_copy(span_mem(t->host + 1, len - 2), text, sizeof(text)) == -1 ||
		    inet_pton(AF_INET6, text, octets) != 1)
			return 0;
		address_set(a, AF_INET6, octets, t->port);
	}
	return is_allowed(t, a);
}

const char *
target_text(const struct worker_target *t, char *out, size_t size)
{
	snprintf(out, size, "%s:%u", t->host, t->port);
	return out;
}

const char *
address_text(const struct address *a, char *out, size_t size)
{
	const void *octets = &((const struct sockaddr_in *)(const void *)&a->u)->sin_addr;

	if (a->u.sa.sa_family == AF_INET6)
		octets = &((const struct sockaddr_in6 *)(const void *)&a->u)->sin6_addr;
	if (inet_ntop(a->u.sa.sa_family, octets, out, (socklen_t)size) == NULL)
		out[0] = '\0';
	return out;
}
