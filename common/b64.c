/* SPDX-License-Identifier: Apache-2.0 */
/* Base64; see b64.h. Runs in every process on bytes from anybody. */
#include "common/b64.h"

#include <limits.h>

#include "common/buf.h"

static const char alphabet[2][65] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

/* Value of a letter or digit plus one; 0 stands for everything else. */
/* clang-format off */
static const uint8_t value1[256] = {
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
	14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
	40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
};
/* clang-format on */

/* 0-63, or a number with bit 31 set */
static uint32_t
value(enum b64_kind kind, char c)
{
	const char *a = alphabet[kind];

	if (c == a[62])
		return 62;
	if (c == a[63])
		return 63;
	return (uint32_t)value1[(uint8_t)c] - 1;
}

ssize_t
b64_encode(enum b64_kind kind, const void *in, size_t n, char *out, size_t cap)
{
	const char *a = alphabet[kind];
	const uint8_t *p = in;
	char *q = out;
	uint32_t v;
	size_t len;

	if (n >= SSIZE_MAX / 2)
		return -1;
	len = n / 3 * 4;
	if (n % 3 != 0)
		len += kind == B64_STD ? 4 : n % 3 + 1;
	if (cap <= len)
		return -1;
	for (; n >= 3; n -= 3, p += 3) {
		v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
		*q++ = a[v >> 18];
		*q++ = a[v >> 12 & 63];
		*q++ = a[v >> 6 & 63];
		*q++ = a[v & 63];
	}
	if (n > 0) {
		v = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);
		*q++ = a[v >> 18];
		*q++ = a[v >> 12 & 63];
		if (n == 2)
			*q++ = a[v >> 6 & 63];
		for (; kind == B64_STD && n < 3; n++)
			*q++ = '=';
	}
	*q = '\0';
	return (ssize_t)len;
}

/* Takes the padding off; returns -1 when it is not as the kind wants it. */
static int
strip_padding(enum b64_kind kind, const char *in, size_t *len)
{
	if (kind == B64_URL)
		return *len % 4 == 1 ? -1 : 0;
	if (*len % 4 != 0)
		return -1;
	/* two at most: a third '=' is then met as a character outside the alphabet */
	if (*len > 0 && in[*len - 1] == '=')
		(*len)--;
	if (*len % 4 == 3 && in[*len - 1] == '=')
		(*len)--;
	return 0;
}

ssize_t
b64_decode(enum b64_kind kind, const char *in, size_t len, void *out, size_t cap)
{
	const uint32_t bad = (uint32_t)1 << 31;
	uint32_t v, v2 = 0;
	uint8_t *q = out;
	size_t n;

	if (len > SSIZE_MAX || strip_padding(kind, in, &len) != 0)
		return -1;
	n = len / 4 * 3 + (len % 4 == 0 ? 0 : len % 4 - 1);
	if (n > cap)
		return -1;
	for (; len >= 4; len -= 4, in += 4) {
		uint32_t a = value(kind, in[0]), b = value(kind, in[1]);
		uint32_t c = value(kind, in[2]), d = value(kind, in[3]);

		if (((a | b | c | d) & bad) != 0)
			return -1;
		v = a << 18 | b << 12 | c << 6 | d;
		*q++ = (uint8_t)(v >> 16);
		*q++ = (uint8_t)(v >> 8);
		*q++ = (uint8_t)v;
	}
	if (len > 0) {
		v = value(kind, in[0]) | value(kind, in[1]);
		if (len == 3)
			v |= v2 = value(kind, in[2]);
		if ((v & bad) != 0)
			return -1;
		v = value(kind, in[0]) << 18 | value(kind, in[1]) << 12 | v2 << 6;
		if ((v & (len == 2 ? 0xffffu : 0xffu)) != 0)
			return -1;
		*q++ = (uint8_t)(v >> 16);
		if (len == 3)
			*q++ = (uint8_t)(v >> 8);
	}
	return (ssize_t)n;
}

int
b64_put(enum b64_kind kind, struct buf *out, const void *in, size_t n)
{
	ssize_t k;

	if (n >= SSIZE_MAX / 2 || buf_reserve(out, B64_SIZE(n)) != 0)
		return -1;
	k = b64_encode(kind, in, n, (char *)out->p + out->len, out->cap - out->len);
	if (k < 0)
		return -1;
	out->len += (size_t)k;
	return 0;
}

int
b64_put_decoded(enum b64_kind kind, struct buf *out, const char *in, size_t len)
{
	ssize_t k;

	if (len > SSIZE_MAX || buf_reserve(out, len / 4 * 3 + 3) != 0)
		return -1;
	k = b64_decode(kind, in, len, out->p + out->len, out->cap - out->len);
	if (k < 0)
		return -1;
	out->len += (size_t)k;
	return 0;
}
