/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address blocks; see addr.h.  Runs in the egressd worker.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/addr.h"

struct block4 {
	uint32_t net;
	int bits;
};

struct block6 {
	uint8_t net[16];
	int bits;
};

#define IP4(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* IANA IPv4 Special-Purpose Address Registry, and multicast. */
static const struct block4 forbidden4[] = {
    {IP4(0, 0, 0, 0), 8},       /* this network */
    {IP4(10, 0, 0, 0), 8},      /* RFC 1918 */
    {IP4(100, 64, 0, 0), 10},   /* RFC 6598 */
    {IP4(127, 0, 0, 0), 8},     /* loopback */
    {IP4(169, 254, 0, 0), 16},  /* link-local */
    {IP4(172, 16, 0, 0), 12},   /* RFC 1918 */
    {IP4(192, 0, 0, 0), 24},    /* protocol assignments */
    {IP4(192, 0, 2, 0), 24},    /* documentation */
    {IP4(192, 88, 99, 0), 24},  /* 6to4 relays, deprecated */
    {IP4(192, 168, 0, 0), 16},  /* RFC 1918 */
    {IP4(198, 18, 0, 0), 15},   /* benchmarking */
    {IP4(198, 51, 100, 0), 24}, /* documentation */
    {IP4(203, 0, 113, 0), 24},  /* documentation */
    {IP4(224, 0, 0, 0), 4},     /* multicast */
    {IP4(240, 0, 0, 0), 4},     /* reserved, broadcast */
};

static const struct block4 metadata4[] = {
    {IP4(169, 254, 0, 0), 16},     /* .169.254, .170.2, .170.23, .42.42 ... */
    {IP4(100, 100, 100, 200), 32}, /* Alibaba */
    {IP4(168, 63, 129, 16), 32},   /* Azure, a public address */
    {IP4(192, 0, 0, 192), 32},     /* Oracle */
};

/* What is not global unicast within 2000::/3. */
static const struct block6 forbidden6[] = {
    {{0x20, 0x01, 0x00}, 23},       /* protocol assignments, Teredo */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x3f, 0xff, 0x00}, 20},       /* documentation */
};

static const struct block6 metadata6[] = {
    {{0xfe, 0x80}, 10},             /* link-local */
    {{0xfd, 0x00, 0x0e, 0xc2}, 32}, /* AWS */
    {{0xfd, 0x20, 0x00, 0xce}, 32}, /* Google */
    {{0xfd, 0x00, 0x00, 0x42}, 32}, /* Scaleway */
};

static const struct block6 global_unicast = {{0x20}, 3};
static const struct block6 six_to_four = {{0x20, 0x02}, 16};
static const struct block6 teredo = {{0x20, 0x01, 0x00, 0x00}, 32};
static const struct block6 mapped = {{[10] = 0xff, [11] = 0xff}, 96};
static const struct block6 compatible = {{0}, 96};
static const struct block6 nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};

static bool
in_list4(uint32_t a, const struct block4 *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((a ^ list[i].net) >> (32 - list[i].bits) == 0)
			return true;
	return false;
}

static bool
in_block6(const uint8_t a[static 16], const struct block6 *b)
{
	int bytes = b->bits / 8, rest = b->bits % 8;

	if (memcmp(a, b->net, (size_t)bytes) != 0)
		return false;
	return rest == 0 || (a[bytes] ^ b->net[bytes]) >> (8 - rest) == 0;
}

static bool
in_list6(const uint8_t a[static 16], const struct block6 *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (in_block6(a, &list[i]))
			return true;
	return false;
}

#define LEN(list) (sizeof(list) / sizeof((list)[0]))

static uint32_t
read32(const uint8_t *p)
{
	return IP4(p[0], p[1], p[2], p[3]);
}

/* The IPv4 address packets to a really go to, if a is such a form. */
static bool
embedded_ipv4(const uint8_t a[static 16], uint32_t *v4)
{
	if (in_block6(a, &mapped) || in_block6(a, &nat64) || in_block6(a, &compatible))
		*v4 = read32(a + 12);
	else if (in_block6(a, &six_to_four))
		*v4 = read32(a + 2);
	else if (in_block6(a, &teredo))
		*v4 = ~read32(a + 12);
	else
		return false;
	return true;
}

static bool
is_metadata4(uint32_t a)
{
	return in_list4(a, metadata4, LEN(metadata4));
}

static bool
is_forbidden4(uint32_t a)
{
	return in_list4(a, forbidden4, LEN(forbidden4)) || is_metadata4(a);
}

static bool
is_forbidden6(const uint8_t a[static 16])
{
	uint32_t v4;

	if (in_block6(a, &mapped) || in_block6(a, &nat64) || in_block6(a, &six_to_four))
		return !embedded_ipv4(a, &v4) || is_forbidden4(v4);
	return !in_block6(a, &global_unicast) || in_list6(a, forbidden6, LEN(forbidden6));
}

static bool
is_metadata6(const uint8_t a[static 16])
{
	uint32_t v4;

	return in_list6(a, metadata6, LEN(metadata6)) ||
	    (embedded_ipv4(a, &v4) && is_metadata4(v4));
}

/* Ask about the address in sa; whatever has none is refused. */
static bool
ask(const struct sockaddr *sa, bool (*four)(uint32_t), bool (*six)(const uint8_t *))
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in4, sa, sizeof(in4));
		return four(ntohl(in4.sin_addr.s_addr));
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		return six(in6.sin6_addr.s6_addr);
	default:
		return true;
	}
}

bool
addr_is_forbidden(const struct sockaddr *sa)
{
	return ask(sa, is_forbidden4, is_forbidden6);
}

bool
addr_is_metadata(const struct sockaddr *sa)
{
	return ask(sa, is_metadata4, is_metadata6);
}

static bool
is_loopback4(uint32_t a)
{
	return a >> 24 == 127;
}

static bool
is_loopback6(const uint8_t a[static 16])
{
	static const uint8_t one[16] = {[15] = 1};
	uint32_t v4;

	return memcmp(a, one, sizeof(one)) == 0 ||
	    (in_block6(a, &mapped) && embedded_ipv4(a, &v4) && is_loopback4(v4));
}

static bool
is_private4(uint32_t a)
{
	return a >> 24 == 10 || a >> 20 == (172 << 4 | 1) ||
	    a >> 16 == (192 << 8 | 168) || a >> 22 == (100 << 2 | 1);
}

static bool
is_private6(const uint8_t a[static 16])
{
	uint32_t v4;

	return (a[0] & 0xfe) == 0xfc ||
	    (in_block6(a, &mapped) && embedded_ipv4(a, &v4) && is_private4(v4));
}

const char *
addr_kind(const struct sockaddr *sa)
{
	if (sa->sa_family != AF_INET && sa->sa_family != AF_INET6)
		return "of another family";
	if (addr_is_metadata(sa))
		return "metadata or link-local";
	if (ask(sa, is_loopback4, is_loopback6))
		return "loopback";
	return ask(sa, is_private4, is_private6) ? "private" : "reserved";
}
