/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures by Transit, those that wait together in one request. Runs in a vault that is
 * in front of OpenBao.
 */
#ifndef AEGIS_VAULT_BAO_SIGN_H
#define AEGIS_VAULT_BAO_SIGN_H

#include "keymasterd/vault/provider.h"

/*
 * Ed25519 over `input` (copied) by one version of a key. The signature is checked against
 * `pub` before done gets it. mount and key live as long as the process.
 */
void bao_sign(const char *mount, const char *key, unsigned version,
    const uint8_t pub[VAULT_PUBLIC_LEN], struct span input, vault_done_fn done,
    void *arg);

#endif
