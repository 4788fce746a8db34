/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Key Sets (RFC 7517, RFC 8037, RFC 7518 section 6.3) as public keys. Runs in
 * the command line and the master on files that the configuration names; the daemons get
 * the keys as typed messages.
 */
#ifndef AEGIS_COMMON_JWKS_H
#define AEGIS_COMMON_JWKS_H

#include "common/jwt.h"

#define JWKS_KEYS_MAX 64
#define JWKS_FILE_MAX 262144
#define JWKS_MODULUS_MAX JWT_SIG_MAX
#define JWKS_EXPONENT_MAX 8

struct jwk {
	char kid[JWT_KID_MAX + 1];
	bool has_kid;
	enum jwt_alg alg;
	uint8_t ed25519[32];                               /* JWT_EDDSA */
	uint8_t n[JWKS_MODULUS_MAX], e[JWKS_EXPONENT_MAX]; /* JWT_RS256, big endian */
	size_t n_len, e_len;
};

struct jwks {
	struct jwk *keys;
	size_t n;
	size_t skipped; /* keys of other kinds, sizes or uses: no error */
};

/*
 * Reads a key set. Keys that could not verify RS256 or EdDSA are skipped and counted: RSA
 * below 2048 or above 8192 bits, other curves, "use" other than sig, "alg" that is not
 * the key's, key_ops without verify. 0, or -1 with an English text in *why: not JSON, no
 * "keys", too many. The caller frees.
 */
int jwks_read(struct jwks *, const void *, size_t len, const char **why);
void jwks_free(struct jwks *);

#endif
