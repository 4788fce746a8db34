/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: key sets. What is accepted can verify: an RSA modulus of 2048 to 8192 bits
 * without leading zeros and an odd exponent, or a point that Ed25519 may use.
 */
#include <stdlib.h>
#include <string.h>

#include "common/ed25519.h"
#include "common/jwks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *why = "";
	struct jwks set;
	size_t i;

	if (jwks_read(&set, data, size, &why) == -1) {
		must(why != NULL && set.n == 0);
		jwks_free(&set);
		return 0;
	}
	must(why == NULL && set.n + set.skipped <= JWKS_KEYS_MAX);
	for (i = 0; i < set.n; i++) {
		const struct jwk *k = &set.keys[i];

		must(memchr(k->kid, 0, sizeof(k->kid)) != NULL);
		must(k->has_kid == (k->kid[0] != '\0'));
		if (k->alg == JWT_RS256) {
			must(k->n_len >= 256 && k->n_len <= JWKS_MODULUS_MAX);
			must(k->n[0] != 0 && (k->n[k->n_len - 1] & 1));
			must(k->e_len >= 1 && k->e_len <= JWKS_EXPONENT_MAX);
			must(k->e[k->e_len - 1] & 1);
		} else {
			must(k->alg == JWT_EDDSA && ed25519_pub_ok(k->ed25519));
		}
	}
	jwks_free(&set);
	return 0;
}
