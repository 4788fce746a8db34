/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Security tokens signed by a key in OpenBao's Transit engine (Ed25519), which never
 * leaves it. Runs in a vault that is in front of OpenBao. Its versions are looked up
 * every 20 seconds, so a rotation there is noticed without a word here.
 */
#ifndef AEGIS_VAULT_BAO_TRANSIT_H
#define AEGIS_VAULT_BAO_TRANSIT_H

#include <stdbool.h>

#include "keymasterd/vault/provider.h"

/* Takes copies; key "": tokens are signed by our own key. 0, or -1: too long. */
int bao_transit_setup(struct span mount, struct span key);
bool bao_transit_on(void);
/* Engine and key; false when there is none. */
bool bao_transit_names(const char **mount, const char **key);
/* changed is called when there is a new version, before anything is signed by it. */
void bao_transit_start(void (*changed)(void));
void bao_transit_close(void);

/* The newest version's public half; NULL until OpenBao has told. */
const uint8_t *bao_transit_public(void);
/* The versions before it that verify. */
size_t bao_transit_old(uint64_t now_s, struct vault_old_key out[VAULT_OLD_MAX]);
/* Looks for new versions now. */
void bao_transit_refresh(void);
/* done once the public half is known, or after 2.5 seconds in any case. */
void bao_transit_wait(vault_done_fn done, void *arg);
/* By the version whose public half bao_transit_public() gives in the same turn. */
void bao_transit_sign(const void *, size_t len, vault_done_fn done, void *arg);

#endif
