/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 (RFC 4648), strict: one text for one value. Runs in every process on bytes from
 * anybody. The tables are indexed by the data, so its timing is not secret; do not use it
 * on key material that must not leak through the cache.
 */
#ifndef AEGIS_COMMON_B64_H
#define AEGIS_COMMON_B64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;

enum b64_kind {
	B64_STD, /* section 4: + and /, padding required */
	B64_URL, /* section 5: - and _, padding refused */
};

/* Bytes of text for n bytes, with the NUL, in either kind. n must be below SIZE_MAX / 2.
 */
#define B64_SIZE(n) (((n) + 2) / 3 * 4 + 1)

/*
 * Encodes n bytes into out, adding a NUL. Returns the length without the NUL, or -1 when
 * cap is too small.
 */
ssize_t b64_encode(enum b64_kind kind, const void *in, size_t n, char *out, size_t cap);

/*
 * Decodes len characters into out. Returns the number of bytes, or -1 for a character
 * outside the alphabet (white space too), wrong padding, unused bits that are not zero,
 * or more than cap bytes.
 */
ssize_t b64_decode(enum b64_kind kind, const char *in, size_t len, void *out, size_t cap);

/* Appends to a buffer instead. Return 0, or -1 also when out of memory. */
int b64_put(enum b64_kind kind, struct buf *out, const void *in, size_t n);
int b64_put_decoded(enum b64_kind kind, struct buf *out, const char *in, size_t len);

#endif
