/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 by the table of RFC 3629 section 4; see utf8.h. */
#include "common/utf8.h"

#include <string.h>

static bool
tail(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

size_t
utf8_decode(const uint8_t *p, size_t n, uint32_t *cp)
{
	if (n == 0)
		return 0;
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		if (n < 2 || !tail(p[1]))
			return 0;
		*cp = (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
		return 2;
	}
	if (p[0] >= 0xe0 && p[0] <= 0xef) {
		if (n < 3 || !tail(p[1]) || !tail(p[2]))
			return 0;
		*cp = (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 |
		    (p[2] & 0x3f);
		return *cp < 0x800 || (*cp >= 0xd800 && *cp <= 0xdfff) ? 0 : 3;
	}
	if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		if (n < 4 || !tail(p[1]) || !tail(p[2]) || !tail(p[3]))
			return 0;
		*cp = (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
		    (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
		return *cp < 0x10000 || *cp > 0x10ffff ? 0 : 4;
	}
	return 0;
}

size_t
utf8_encode(uint32_t cp, uint8_t out[4])
{
	if (cp < 0x80) {
		out[0] = (uint8_t)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (uint8_t)(0xc0 | cp >> 6);
		out[1] = (uint8_t)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (uint8_t)(0xe0 | cp >> 12);
		out[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | (cp >> 18 & 0x07));
	out[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (cp & 0x3f));
	return 4;
}

bool
utf8_valid(const uint8_t *p, size_t n)
{
	uint64_t eight;
	uint32_t cp;
	size_t k;

	for (; n > 0; p += k, n -= k) {
		if (n >= sizeof(eight)) { /* most text is ASCII */
			memcpy(&eight, p, sizeof(eight));
			if ((eight & 0x8080808080808080) == 0) {
				k = sizeof(eight);
				continue;
			}
		}
		if ((k = utf8_decode(p, n, &cp)) == 0)
			return false;
	}
	return true;
}

size_t
utf8_cut(const void *p, size_t n, size_t max)
{
	const uint8_t *octets = p;

	if (n <= max)
		return n;
	while (max > 0 && (octets[max] & 0xc0) == 0x80)
		max--;
	return max;
}

void
utf8_repair(void *p, size_t n)
{
	uint8_t *octets = p;
	uint32_t cp;
	size_t at = 0, k;

	while (at < n) {
		k = utf8_decode(octets + at, n - at, &cp);
		if (k == 0)
			octets[at] = '?';
		at += k == 0 ? 1 : k;
	}
}
