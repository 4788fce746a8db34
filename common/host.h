/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names, address literals and the allow-list patterns of credentials.
 * gated reads Host with it, judge and the egressd worker decide by it where a
 * credential may go; the input comes from agents and is hostile, the patterns
 * come from operators and may be careless.
 */
#ifndef AEGIS_COMMON_HOST_H
#define AEGIS_COMMON_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_MAX 256 /* normalised host with its NUL */
#define HOST_DEFAULT_PORT 443

enum host_kind { /* what host_normalise found, or why not */
	HOST_NAME = 1,
	HOST_IPV4 = 2,
	HOST_IPV6 = 3,
	HOST_ERR_SYNTAX = -1, /* empty, '@', spaces, non-ASCII, label rules, lengths */
	HOST_ERR_NUMBER =
	    -2, /* looks like an IPv4 address but is not a plain dotted quad */
	HOST_ERR_PORT = -3, /* not 1..65535, or written with zeros or nothing */
	HOST_ERR_BARE = -4, /* pattern: a name without a dot, other than localhost */
	HOST_ERR_WIDE = -5, /* pattern: wildcard over a public suffix */
};

/*
 * Read "host" or "host:port" (RFC 3986 3.2.2 without user-info, percent
 * escapes and sub-delims; RFC 1035 2.3.4 lengths; '_' allowed in labels).
 * Writes to out, NUL-terminated, one spelling for every host: names in lower
 * case without trailing dot, IPv4 as dotted quad, IPv6 as inet_ntop(3) writes
 * it, in brackets.  *port is 0 if none was given.  Names in other scripts must
 * already be punycode.
 *
 * Refused as HOST_ERR_NUMBER: whatever ends in a label of digits only or
 * beginning with 0x without being a canonical dotted quad (0x7f.1, 017.0.0.1,
 * 2130706433, 127.0.0.1.): resolvers and libraries disagree about these.
 *
 * Returns an enum host_kind; out is valid only if that is positive.
 */
int host_normalise(const char *in, size_t len, char out[static HOST_MAX], uint16_t *port);

/*
 * Does an allow-list pattern cover host (as host_normalise wrote it) at port?
 * A pattern is a host, or "*." and a suffix, covering one or more labels in
 * front of the suffix but never the suffix itself nor an address; either may
 * end in ":port".  Without one it covers port 443 only; port 0 means 443.
 * A malformed pattern covers nothing.
 */
bool domain_match(const char *pattern, const char *host, uint16_t port);

/*
 * May an operator put this pattern on an allow-list?  0, or a negative enum
 * host_kind.  The list of public suffixes is a small hand-kept one meant to
 * catch mistakes, not a replacement for the Public Suffix List.
 */
int domain_pattern_check(const char *pattern);

/* Text for people. */
const char *host_strerror(int err);

#endif
