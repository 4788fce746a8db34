/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PBKDF2-HMAC-SHA512; see pbkdf2.h. Every hash of the loop is one block behind a key
 * block, so it goes to OpenSSL's compression function directly: that interface is
 * deprecated, but what stands above it copies contexts on the heap four times an
 * iteration, which is half of the time again, in each start of the gate.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "keymasterd/vault/pbkdf2.h"

#include <endian.h>
#include <openssl/sha.h>
#include <string.h>

#define BLOCK 128
#define WORDS 8

struct work {
	SHA512_CTX inner, outer, now; /* with ipad and opad taken in; under way */
	uint64_t u[WORDS];            /* big endian */
	uint64_t sum[WORDS];
	uint8_t block[BLOCK];
};

/* One half of HMAC: what len octets at the start of the block, behind the key block,
 * give. */
static void
half(struct work *w, const SHA512_CTX *keyed, size_t len)
{
	uint64_t bits = htobe64(8 * (uint64_t)(BLOCK + len));
	unsigned i;

	w->block[len] = 0x80;
	memset(w->block + len + 1, 0, BLOCK - len - 1 - sizeof(bits));
	memcpy(w->block + BLOCK - sizeof(bits), &bits, sizeof(bits));
	memcpy(w->now.h, keyed->h, sizeof(keyed->h));
	SHA512_Transform(&w->now, w->block);
	for (i = 0; i < WORDS; i++)
		w->u[i] = htobe64(w->now.h[i]);
	memcpy(w->block, w->u, sizeof(w->u));
}

/* w->u: HMAC of what len octets of the block say. */
static void
hmac(struct work *w, size_t len)
{
	half(w, &w->inner, len);
	half(w, &w->outer, sizeof(w->u));
}

static void
take_key(struct work *w, SHA512_CTX *c, const struct pbkdf2_in *in, uint8_t pad)
{
	const uint8_t *p = in->password;
	size_t i;

	for (i = 0; i < BLOCK; i++)
		w->block[i] = (i < in->password_len ? p[i] : 0) ^ pad;
	SHA512_Init(c);
	SHA512_Transform(c, w->block);
}

int
pbkdf2_sha512(const struct pbkdf2_in *in, uint8_t out[PBKDF2_OUT_LEN])
{
	static const uint8_t first[4] = {0, 0, 0, 1};
	struct work w;
	unsigned n, i;

	if (in->iterations == 0 || in->password_len > PBKDF2_PASSWORD_MAX ||
	    in->salt_len > PBKDF2_SALT_MAX)
		return -1;
	memset(&w, 0, sizeof(w));
	take_key(&w, &w.inner, in, 0x36);
	take_key(&w, &w.outer, in, 0x5c);
	w.now = w.inner;
	memcpy(w.block, in->salt, in->salt_len);
	memcpy(w.block + in->salt_len, first, sizeof(first));
	hmac(&w, in->salt_len + sizeof(first));
	memcpy(w.sum, w.u, sizeof(w.sum));
	for (n = 1; n < in->iterations; n++) {
		hmac(&w, sizeof(w.u));
		for (i = 0; i < WORDS; i++)
			w.sum[i] ^= w.u[i];
	}
	memcpy(out, w.sum, sizeof(w.sum));
	explicit_bzero(&w, sizeof(w));
	return 0;
}
