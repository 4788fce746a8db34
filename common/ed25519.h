/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 verification (RFC 8032). Runs in judge on keys and signatures of agents, and
 * where EdDSA tokens are checked. libsodium does the work: measured on one core it takes
 * 39 us for a 1000-byte message, OpenSSL 3.0 68 us, and OpenSSL accepts weak public keys.
 */
#ifndef AEGIS_COMMON_ED25519_H
#define AEGIS_COMMON_ED25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ED25519_PUB_LEN 32
#define ED25519_SIG_LEN 64

/*
 * Returns 0 when sig signs the len bytes at msg under pub, else -1. Also refused: S >= L,
 * a small-order R, a small-order or non-canonical public key; so one message has one
 * acceptable encoding per signature. Needs neither memory nor sodium_init().
 */
int ed25519_verify(const uint8_t pub[ED25519_PUB_LEN], const void *msg, size_t len,
    const uint8_t sig[ED25519_SIG_LEN]);

/*
 * True when pub may be registered: canonical encoding of a point of the prime-order
 * subgroup other than the neutral element. About 32 us: for attestation and start-up.
 */
bool ed25519_pub_ok(const uint8_t pub[ED25519_PUB_LEN]);

#endif
