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

struct evp_md_ctx_st;

/* The context, for what lies in more pieces: to be used up before the next call of any
 * function here. */
struct evp_md_ctx_st *sha256_begin(void);
/* SHA-256 of a followed by b; out may be one of them. Ends the process when there is no
 * SHA-256 to be had: a hash that lies would be worse. */
void sha256_two(const void *a, size_t alen, const void *b, size_t blen, uint8_t out[32]);

#endif
