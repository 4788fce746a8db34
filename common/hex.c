/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal text; see hex.h. Runs in every process on bytes from anybody. */
#include "common/hex.h"

#include <limits.h>
#include <stdint.h>

ssize_t
hex_encode(const void *in, size_t n, char *out, size_t cap)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = in;
	size_t i;

	if (n >= SSIZE_MAX / 2 || cap <= 2 * n)
		return -1;
	for (i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 0xf];
	}
	out[2 * n] = '\0';
	return (ssize_t)(2 * n);
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

ssize_t
hex_decode(const char *in, size_t len, void *out, size_t cap)
{
	uint8_t *q = out;
	int hi, lo;
	size_t i;

	if (len % 2 != 0 || len / 2 > cap)
		return -1;
	for (i = 0; i < len; i += 2) {
		hi = digit(in[i]);
		lo = digit(in[i + 1]);
		if (hi < 0 || lo < 0)
			return -1;
		*q++ = (uint8_t)(hi << 4 | lo);
	}
	return (ssize_t)(len / 2);
}
