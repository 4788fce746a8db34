/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See sha256.h. OpenSSL knows the processor's own instructions for it; fetching the
 * algorithm anew for each call would cost more than hashing a row.
 */
#include "common/sha256.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "common/log.h"

EVP_MD_CTX *
sha256_begin(void)
{
	static EVP_MD_CTX *ctx;
	static EVP_MD *md;

	if (ctx == NULL) {
		ctx = EVP_MD_CTX_new();
		md = EVP_MD_fetch(NULL, "SHA256", NULL);
		if (ctx == NULL || md == NULL || EVP_DigestInit_ex2(ctx, md, NULL) != 1)
			fatalx("SHA-256 is not available");
	}
	if (EVP_DigestInit_ex2(ctx, NULL, NULL) != 1)
		abort();
	return ctx;
}

void
sha256_two(const void *a, size_t alen, const void *b, size_t blen, uint8_t out[32])
{
	EVP_MD_CTX *ctx = sha256_begin();

	if (EVP_DigestUpdate(ctx, a, alen) != 1 ||
	    (blen > 0 && EVP_DigestUpdate(ctx, b, blen) != 1) ||
	    EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		abort();
}
