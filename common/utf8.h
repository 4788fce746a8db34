/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 (RFC 3629), strict: no overlong forms, no surrogates, nothing above U+10FFFF.
 * Runs in every process; the bytes may come from anybody.
 */
#ifndef AEGIS_COMMON_UTF8_H
#define AEGIS_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one character from the n bytes at p. Returns its length 1-4 and sets *cp, or 0.
 */
size_t utf8_decode(const uint8_t *p, size_t n, uint32_t *cp);

/* Encodes cp, which must be a Unicode scalar value, into out. Returns the length 1-4. */
size_t utf8_encode(uint32_t cp, uint8_t out[4]);

/* True when all n bytes at p are valid UTF-8. */
bool utf8_valid(const uint8_t *p, size_t n);

/* How many of the n bytes at p are left when there may be max and no character is cut. */
size_t utf8_cut(const void *p, size_t n, size_t max);

/* Puts '?' in the place of each byte that is part of no character. */
void utf8_repair(void *p, size_t n);

#endif
