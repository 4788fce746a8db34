/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing one secret: AES-256-GCM (NIST SP 800-38D). Runs in vault only. */
#ifndef AEGIS_VAULT_SEAL_H
#define AEGIS_VAULT_SEAL_H

#include <stddef.h>
#include <stdint.h>

struct secret;

#define SEAL_KEY_LEN 32
#define SEAL_NONCE_LEN 12
#define SEAL_TAG_LEN 16

/*
 * Seals `plain` under `key` (SEAL_KEY_LEN octets) and a fresh random nonce. Writes the
 * nonce and secret_len(plain) + SEAL_TAG_LEN octets to `out`. `aad` is authenticated and
 * not hidden. 0, or -1 when libcrypto fails; then `out` is void.
 */
int seal_close(const struct secret *key, const void *aad, size_t aad_len,
    const struct secret *plain, uint8_t nonce[SEAL_NONCE_LEN], uint8_t *out);

/*
 * Opens what seal_close() made: `sealed` is the ciphertext with its tag, `len` octets.
 * The plaintext is written to secret memory only and is wiped when the tag is wrong. The
 * caller frees the secret. NULL: changed, another key, other `aad`, or no memory.
 */
struct secret *seal_open(const struct secret *key, const void *aad, size_t aad_len,
    const uint8_t nonce[SEAL_NONCE_LEN], const uint8_t *sealed, size_t len);

#endif
