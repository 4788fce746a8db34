/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4) of what lies in one or two pieces, with one context kept for all
 * calls: for the main thread of any process. Reads no secrets.
 */
#ifndef AEGIS_SHA256_H
#define AEGIS_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32

/* In more pieces: from the first call to the last no other function here. */
void sha256_begin(void);
void sha256_add(const void *p, size_t len);
void sha256_end(uint8_t out[SHA256_LEN]);
/* SHA-256 of a followed by b; out may be one of them. */
void sha256_two(const void *a, size_t alen, const void *b, size_t blen, uint8_t out[32]);

#endif
