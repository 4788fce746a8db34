/* SPDX-License-Identifier: Apache-2.0 */
/* Signing secrets of webhooks that the configuration names; in memory only. Vault. */
#ifndef AEGIS_VAULT_HOOK_H
#define AEGIS_VAULT_HOOK_H

#include "common/secret.h"
#include "keymasterd/vault/credential.h"

/* The row of proc_configure(). */
int hook_configure(void *msg);
/* The same while vault runs: kept aside. 0 or -1. */
int hook_stage(void *msg);
/* Those kept aside count in place of all there were (commit), and workers that have an
 * old secret are told; or they are forgotten. */
void hook_stage_end(int commit);
/* The secret of a worker's name, with what it may be used for in *meta; NULL. */
struct secret *hook_secret(const char *tenant, const char *name, struct credential *meta);

#endif
