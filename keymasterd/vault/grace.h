/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secret that a credential had before its rotation, for as long as an administrator
 * wants it kept: a record of its own, which names its end. Runs in vault only.
 */
#ifndef AEGIS_VAULT_GRACE_H
#define AEGIS_VAULT_GRACE_H

#include <stdint.h>

#include "keymasterd/vault/store.h"

#define GRACE_SECRET_MAX 16384 /* octets; beside another one in a message */

/*
 * Unix time that never goes back while this process lives: who sets the clock back
 * prolongs nothing. All times here are of it.
 */
uint64_t grace_now_ms(void);
/* The record of a credential's old secret, to be put into the store; or NULL. It knows
 * its period, too, and is never good for longer, whatever the clock says after a restart.
 */
struct record *grace_record(const struct store *, const struct credential *,
    const struct secret *old, uint64_t now_ms, uint32_t period_s);
/* STORE_OK, also when there is none. */
enum store_code grace_drop(struct store *, struct span tenant, struct span name);
/* The caller's to free, with what is left of its time; NULL: there is none. */
struct secret *grace_secret(const struct store *, struct span tenant, struct span name,
    uint64_t now_ms, uint64_t *left_ms);
/*
 * Wipes those whose time is over; over() for each, before its names go. When the next one
 * ends, 0: none is left, UINT64_MAX: one could not be wiped now.
 */
uint64_t grace_sweep(
    struct store *, uint64_t now_ms, void (*over)(struct span tenant, struct span name));

/* Sweeps now, tells workers, and comes back by itself when the next one ends. */
void grace_watch(void);

#endif
