/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/target, common/host and common/domain.  The first byte picks one;
 * what is accepted is held against slow, simple readings of the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

#define REQUIRE(what)            \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode as a careless server does: escapes where there are some, the rest as is. */
static size_t
decode_loosely(const char *in, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (in[i] == '%' && len - i > 2 && hex(in[i + 1]) >= 0 &&
		    hex(in[i + 2]) >= 0) {
			out[n++] = (char)(hex(in[i + 1]) << 4 | hex(in[i + 2]));
			i += 2;
		} else {
			out[n++] = in[i];
		}
	}
	return n;
}

static size_t
count_slashes(const char *p, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += p[i] == '/' || p[i] == '\\';
	return n;
}

/* No segment of the decoded path is a dot or two, parameters cut off or not. */
static void
check_segments(const char *p, size_t len)
{
	size_t i = 0;

	while (i < len) {
		size_t start = ++i, n;

		while (i < len && p[i] != '/' && p[i] != ';')
			i++;
		n = i - start;
		REQUIRE(!(n == 1 && p[start] == '.'));
		REQUIRE(!(n == 2 && p[start] == '.' && p[start + 1] == '.'));
		while (i < len && p[i] != '/')
			i++;
	}
}

static void
fuzz_target(const char *in, size_t len)
{
	char once[4096], twice[4096], joined[4096];
	struct target t, again;
	struct span rest;
	size_t n, slashes, start;
	ssize_t joinedlen;

	if (target_parse(in, len, &t) < 0)
		return;
	REQUIRE(t.service.len >= 1 && t.service.len <= TARGET_SERVICE_MAX);
	REQUIRE(t.path.len >= 1 && t.path.p[0] == '/');
	n = decode_loosely(t.path.p, t.path.len, once);
	REQUIRE(target_path_decode(t.path, twice, sizeof(twice)) == (ssize_t)n);
	REQUIRE(memcmp(once, twice, n) == 0);
	REQUIRE(memchr(once, '\0', n) == NULL);
	slashes = count_slashes(t.path.p, t.path.len);
	REQUIRE(count_slashes(once, n) == slashes);
	check_segments(once, n);
	REQUIRE(decode_loosely(once, n, twice) == n); /* nothing left to decode */

	joinedlen = target_upstream(&t, joined, sizeof(joined));
	REQUIRE(joinedlen > 0);
	REQUIRE(target_parse_upstream(joined, (size_t)joinedlen, &again) == 0);
	REQUIRE(again.path.len == t.path.len && again.query.len == t.query.len);
	REQUIRE(again.has_query == t.has_query);
	/* what follows the service is the upstream target, byte for byte */
	rest = (struct span){in + 1 + t.service.len, len - 1 - t.service.len};
	start = rest.len > 0 && rest.p[0] == '/' ? 0 : 1;
	REQUIRE((size_t)joinedlen == rest.len + start);
	REQUIRE(memcmp(joined + start, rest.p, rest.len) == 0);
}

static void
fuzz_host(const char *in, size_t len)
{
	char out[HOST_MAX], again[HOST_MAX];
	uint16_t port, none;
	int kind = host_normalise(in, len, out, &port);

	if (kind < 0)
		return;
	REQUIRE(strlen(out) < HOST_MAX && strlen(out) > 0);
	REQUIRE(host_normalise(out, strlen(out), again, &none) == kind && none == 0);
	REQUIRE(strcmp(out, again) == 0);
	REQUIRE(domain_match(out, out, 0) && domain_match(out, out, 443));
	REQUIRE(!domain_match(out, out, 444));
	for (const char *p = out; *p != '\0'; p++)
		REQUIRE(*p > 0x20 && *p < 0x7f && *p != '@' && *p != '/' &&
		    !(*p >= 'A' && *p <= 'Z'));
}

/* in is pattern, NUL, host. */
static void
fuzz_pattern(const char *in, size_t len)
{
	char *pattern = malloc(len + 1), *host;
	size_t plen;
	bool match;

	REQUIRE(pattern != NULL);
	memcpy(pattern, in, len);
	pattern[len] = '\0';
	plen = strlen(pattern);
	host = plen < len ? pattern + plen + 1 : pattern + plen;
	match = domain_match(pattern, host, 0);
	(void)domain_pattern_check(pattern);
	if (match) { /* a shorter host is never covered by a longer suffix */
		char out[HOST_MAX];
		uint16_t port;

		REQUIRE(host_normalise(host, strlen(host), out, &port) > 0 && port == 0);
		REQUIRE(
		    pattern[0] != '*' || (pattern[1] == '.' && strchr(out, '.') != NULL));
		REQUIRE(strchr(pattern + 1, '*') == NULL);
	}
	free(pattern);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	char *exact;

	if (len < 1 || len > 2048)
		return 0;
	exact = malloc(len > 1 ? len - 1 : 1); /* without a byte to spare */
	REQUIRE(exact != NULL);
	if (len > 1)
		memcpy(exact, input + 1, len - 1);
	switch (input[0] & 3) {
	case 0:
	case 1:
		fuzz_target(exact, len - 1);
		break;
	case 2:
		fuzz_host(exact, len - 1);
		break;
	default:
		fuzz_pattern(exact, len - 1);
	}
	free(exact);
	return 0;
}
