/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets of OpenBao's KV engine, version 2. Runs in a vault that is in front of OpenBao.
 * What was read is kept for some seconds, in the memory for secrets.
 */
#ifndef AEGIS_VAULT_BAO_KV_H
#define AEGIS_VAULT_BAO_KV_H

#include "common/reference.h"
#include "keymasterd/vault/provider.h"

#define BAO_KV_CACHE_MS 30000

/* ns: the namespace. fresh: not from what is kept. done gets the secret. */
void bao_kv_get(
    const char *ns, const struct reference *, bool fresh, vault_done_fn done, void *arg);
/* Drops all that is kept; what is asked for now is answered but not kept. */
void bao_kv_forget(void);

#endif
