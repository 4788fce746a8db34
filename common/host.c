/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One spelling for every host; see host.h.  Runs on hostile bytes in gated and
 * judge, and once more in the egressd worker.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <string.h>

#include "common/host.h"
#include "common/http1_class.h"
#include "common/span.h"

#define NAME_MAX_LEN 253
#define LABEL_MAX 63

/* 1*5DIGIT without leading zero, 1..65535. */
static int
parse_port(const char *p, size_t len, uint16_t *port)
{
	unsigned n = 0;

	if (len == 0 || len > 5 || p[0] == '0')
		return HOST_ERR_PORT;
	for (size_t i = 0; i < len; i++) {
		if (!http1_is(p[i], HTTP1_C_DIGIT))
			return HOST_ERR_PORT;
		n = n * 10 + (unsigned)(p[i] - '0');
	}
	if (n > UINT16_MAX)
		return HOST_ERR_PORT;
	*port = (uint16_t)n;
	return 0;
}

/* len bytes between the brackets. */
static int
normalise_ipv6(const char *in, size_t len, char *out)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (len >= sizeof(text) || memchr(in, '\0', len) != NULL)
		return HOST_ERR_SYNTAX;
	memcpy(text, in, len);
	text[len] = '\0';
	if (inet_pton(AF_INET6, text, &addr) != 1 ||
	    inet_ntop(AF_INET6, &addr, out + 1, HOST_MAX - 2) == NULL)
		return HOST_ERR_SYNTAX;
	out[0] = '[';
	len = strlen(out);
	out[len] = ']';
	out[len + 1] = '\0';
	return HOST_IPV6;
}

/* Would some resolver take this last label for a number? */
static bool
is_numeric(const char *label, size_t len)
{
	if (len >= 2 && label[0] == '0' && label[1] == 'x')
		return true;
	for (size_t i = 0; i < len; i++)
		if (!http1_is(label[i], HTTP1_C_DIGIT))
			return false;
	return true;
}

/* Name or dotted quad of len bytes. */
static int
normalise_name(const char *in, size_t len, char *out)
{
	size_t label = 0; /* where the current one begins */
	struct in_addr addr;
	bool dot = len > 1 && in[len - 1] == '.';

	len -= dot;
	if (len == 0 || len > NAME_MAX_LEN)
		return HOST_ERR_SYNTAX;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && in[i] != '.') {
			if (!http1_is(in[i], HTTP1_C_NAME))
				return HOST_ERR_SYNTAX;
			out[i] = ascii_lower(in[i]);
			continue;
		}
		if (i == label || i - label > LABEL_MAX || in[label] == '-' ||
		    in[i - 1] == '-')
			return HOST_ERR_SYNTAX;
		out[i] = '.';
		if (i < len)
			label = i + 1;
	}
	out[len] = '\0';
	if (!is_numeric(out + label, len - label))
		return HOST_NAME;
	return !dot && inet_pton(AF_INET, out, &addr) == 1 ? HOST_IPV4 : HOST_ERR_NUMBER;
}

int
host_normalise(const char *in, size_t len, char out[static HOST_MAX], uint16_t *port)
{
	const char *end = in + len, *tail; /* tail: what follows the host */
	int kind, r;

	*port = 0;
	if (len == 0)
		return HOST_ERR_SYNTAX;
	if (in[0] == '[') {
		tail = memchr(in, ']', len);
		if (tail == NULL)
			return HOST_ERR_SYNTAX;
		kind = normalise_ipv6(in + 1, (size_t)(tail - in) - 1, out);
		tail++;
	} else {
		tail = memchr(in, ':', len);
		if (tail == NULL)
			tail = end;
		kind = normalise_name(in, (size_t)(tail - in), out);
	}
	if (kind < 0 || tail == end)
		return kind;
	if (*tail != ':')
		return HOST_ERR_SYNTAX;
	r = parse_port(tail + 1, (size_t)(end - tail) - 1, port);
	return r < 0 ? r : kind;
}

const char *
host_strerror(int err)
{
	switch (err) {
	case HOST_ERR_SYNTAX:
		return "malformed host name or address";
	case HOST_ERR_NUMBER:
		return "ambiguous spelling of an IPv4 address";
	case HOST_ERR_PORT:
		return "malformed port";
	case HOST_ERR_BARE:
		return "name without a dot";
	case HOST_ERR_WIDE:
		return "wildcard over a public suffix";
	default:
		return "no error";
	}
}
