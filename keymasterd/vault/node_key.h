/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded provider's RSA key, in the vault file once it was needed. Runs in vault.
 */
#ifndef AEGIS_VAULT_NODE_KEY_H
#define AEGIS_VAULT_NODE_KEY_H

#include "keymasterd/vault/provider.h"
#include "keymasterd/vault/store.h"

/* As node_key and node_sign of the provider, on this store. The signature: 0 or -1. */
int node_key_modulus(struct store *, int make, uint8_t modulus[VAULT_RSA_LEN]);
int node_key_sign(
    struct store *, const void *, size_t len, uint8_t signature[VAULT_RSA_LEN]);

#endif
