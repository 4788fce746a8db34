/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blackboards under a key of OpenBao's Transit engine, in each tenant's namespace; the
 * key never leaves it. Runs in a vault that is in front of OpenBao.
 */
#ifndef AEGIS_VAULT_BAO_BOARD_H
#define AEGIS_VAULT_BAO_BOARD_H

#include <stdbool.h>

#include "keymasterd/vault/provider.h"

/* Takes copies; key "": our own keys do it. 0, or -1: too long. */
int bao_board_setup(struct span mount, struct span key);
bool bao_board_on(void);
/* ns: the tenant's namespace. done gets the text. */
void bao_board_encrypt(const char *ns, const struct vault_object *,
    const struct secret *plain, vault_done_fn done, void *arg);
/* done gets the secret. */
void bao_board_decrypt(const char *ns, const struct vault_object *, struct span text,
    vault_done_fn done, void *arg);

#endif
