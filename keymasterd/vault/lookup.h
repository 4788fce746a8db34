/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A credential whose secret may be elsewhere: what is sealed here says where. Runs in
 * vault.
 */
#ifndef AEGIS_VAULT_LOOKUP_H
#define AEGIS_VAULT_LOOKUP_H

#include "keymasterd/vault/pending.h"
#include "keymasterd/vault/provider.h"

/*
 * The credential of p's tenant and subject. done gets p, exactly once, perhaps before
 * this returns; the answer's meta and secret are those of a fetch, and p's reference says
 * where the secret came from. fresh: not what was read elsewhere before.
 */
void lookup_credential(struct pending *p, int fresh, vault_done_fn done);

#endif
