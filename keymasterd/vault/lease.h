/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dynamic credentials: obtained for one process of a tool server, renewed while that
 * lives, replaced in good time (the process with them, by toolhost), revoked when it
 * ends. Runs in a vault that is in front of OpenBao. doc/design.md, "Leases".
 */
#ifndef AEGIS_VAULT_LEASE_H
#define AEGIS_VAULT_LEASE_H

#include <stdint.h>

#include "keymasterd/vault/provider.h"

struct lease;

/* A conf_tool_alive, before lease_start(). 0 or -1. */
int lease_alive(uint32_t instance);
/* This life of the master, before lease_start(). */
void lease_run(const uint8_t id[16]);
/* Reads what an earlier life left behind, goes on with it or revokes it. 0, or -1 with
 * errno: then nothing can be leased. */
int lease_start(int dirfd);
void lease_close(void);

/* As vault_provider.lease. */
void lease_get(
    const struct vault_holder *, struct span reference, vault_done_fn done, void *arg);
/* This toolexec has all that it came for: nothing needs to be kept for it. */
void lease_handed(uint32_t instance);
/* It has gone: its leases are revoked. */
void lease_ended(uint32_t instance);
/* OpenBao is back, or an operator says so: what waits to be revoked is tried now. */
void lease_again(void);
/* Calls done when nothing waits to be revoked, or after ms. */
void lease_drain(uint32_t ms, void (*done)(void));

/* -- lease_queue.c: for lease.c -- */

/* Revokes it, now or in wait_ms, however often that takes. */
void lease_queue_put(struct lease *, uint32_t wait_ms);
/* Tries what is due. */
void lease_queue_run(void);
void lease_queue_start(void);
void lease_queue_close(void);

#endif
