/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 verification by libsodium; see ed25519.h. Runs in judge on bytes of agents. */
#include "common/ed25519.h"

#include <sodium.h>

int
ed25519_verify(const uint8_t pub[ED25519_PUB_LEN], const void *msg, size_t len,
    const uint8_t sig[ED25519_SIG_LEN])
{
	return crypto_sign_verify_detached(sig, msg, len, pub) == 0 ? 0 : -1;
}

bool
ed25519_pub_ok(const uint8_t pub[ED25519_PUB_LEN])
{
	return crypto_core_ed25519_is_valid_point(pub) == 1;
}
