/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sealed vault, as the master sees it: no key is handed out and nobody is started who
 * would need one of vault's secrets. Sealed is what `aegis vault seal` made so, until
 * shares have made the key again: DATA/.sealed says it across restarts, and a key that
 * still lies somewhere is not used meanwhile. Where the key was split and lies nowhere
 * any more a start is sealed too.
 */
#ifndef AEGIS_SEALED_H
#define AEGIS_SEALED_H

#include <stdbool.h>
#include <stdint.h>

struct chan;
struct child;
struct config;

/* Was the vault of a data directory sealed? Would a start be? Has the key been split? */
bool sealed_marked(const char *data_dir);
bool sealed_would_be(const struct config *);
bool sealed_is_split(const struct config *);

/* A start. When it is sealed the configuration's key is wiped. */
void sealed_setup(struct config *);
bool sealed_now(void);
/* The key in force was made of shares. */
bool sealed_joined(void);

/* The judge: forget the key, end who has secrets. Handlers as in common/chan.h. */
int sealed_want(struct chan *, uint64_t reqid, void *msg);
/* The sealed vault: shares have made this key. */
int sealed_key(struct chan *, uint64_t reqid, void *msg);
/* Vault: lend it for a split. */
int sealed_lend(struct chan *, uint64_t reqid, void *msg);
/*
 * A vault is ready, or is gone. What shares have made opens the vault before the mark of
 * the sealed goes: a sealed vault that is captured could bring any key.
 */
void sealed_vault_ready(const struct child *);
void sealed_vault_gone(const struct child *);
/* On a tick and for each child that is gone. */
void sealed_tick(uint64_t now_ms);

#endif
