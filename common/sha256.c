/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See sha256.h. OpenSSL knows the processor's own instructions for it. The interface is
 * the deprecated one: what is above it costs as much again for what is short, and a
 * request hashes ten such texts.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/sha256.h"

#include <openssl/sha.h>

static SHA256_CTX ctx;

void
sha256_begin(void)
{
	SHA256_Init(&ctx);
}

void
sha256_add(const void *p, size_t len)
{
	SHA256_Update(&ctx, p, len);
}

void
sha256_end(uint8_t out[SHA256_LEN])
{
	SHA256_Final(out, &ctx);
}

void
sha256_two(const void *a, size_t alen, const void *b, size_t blen, uint8_t out[32])
{
	sha256_begin();
	sha256_add(a, alen);
	if (blen > 0)
		sha256_add(b, blen);
	sha256_end(out);
}
