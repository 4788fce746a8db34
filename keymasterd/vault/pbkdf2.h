/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PBKDF2-HMAC-SHA512 (RFC 8018 section 5.2) for one block of output. Runs in vault while
 * it starts; the password is the master key, from memory for secrets to memory for
 * secrets.
 */
#ifndef AEGIS_PBKDF2_H
#define AEGIS_PBKDF2_H

#include <stddef.h>
#include <stdint.h>

#define PBKDF2_OUT_LEN 64
#define PBKDF2_PASSWORD_MAX 128 /* a longer one would have to be hashed first */
#define PBKDF2_SALT_MAX 107     /* with the number of the block in one block of SHA-512 */

struct pbkdf2_in {
	const void *password;
	size_t password_len;
	const uint8_t *salt;
	size_t salt_len;
	unsigned iterations;
};

/* 0, or -1 when a length is not within the limits above or there are no iterations. */
int pbkdf2_sha512(const struct pbkdf2_in *in, uint8_t out[PBKDF2_OUT_LEN]);

#endif
