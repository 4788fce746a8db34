/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split that counts, and the shares of it that people have brought so far. What a
 * share said is kept while vault is sealed only, and for ten minutes at most. Runs in
 * vault only.
 */
#ifndef AEGIS_VAULT_QUORUM_H
#define AEGIS_VAULT_QUORUM_H

#include "keymasterd/vault/split.h"

#define QUORUM_LIFE_MS 600000u /* after the last share */

/* Reads what split there is. `sealed`: shares are kept, to be joined. */
void quorum_open(int dirfd, const char *vault, int sealed);
/* NULL when the key was never split. */
const struct split *quorum_split(void);
/* Another split is in force from now on, durably. 0, or -1 with errno. */
int quorum_replace(const struct split *);

/* Counts a share in, whose octets it takes. NULL, or why it does not count. */
const char *quorum_bring(struct share *);
unsigned quorum_have(void);
/* Are there enough? */
int quorum_there(void);
/*
 * The key's text, 64 digits, if the shares make the key that opens the vault file, which
 * takes a tenth of a second; the caller's. NULL with *why. The shares are forgotten.
 */
struct secret *quorum_join(const char **why);
void quorum_forget(void);
/* Called when they are forgotten because of their age. */
void quorum_on_old(void (*fn)(void));

#endif
