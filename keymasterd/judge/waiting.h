/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that were judged and wait for their credential's worker to start: five seconds
 * at most, 256 for a credential at most. Judge only.
 */
#ifndef AEGIS_JUDGE_WAITING_H
#define AEGIS_JUDGE_WAITING_H

#include "keymasterd/judge/decide.h"
#include "keymasterd/judge/registry.h"

#define WAITING_MS 5000
#define WAITING_MAX 256

/* Copies what is needed, asks the dispatcher for a worker, and answers later; or refuses
 * at once. The row of d is written when it is known how this ends. */
void waiting_add(struct decide *, struct credential *, const struct decide_proxy *);
/* The worker is there: grant them all. */
void waiting_run(struct credential *);
/* The row of the request that waits longest; NULL: none does. */
const struct ledger_row *waiting_first(const struct credential *);
/* It cannot be had: refuse them all with 503. */
void waiting_fail(struct credential *, const char *why);
/* The gate's door is gone: nobody wants the answers. */
void waiting_forget(const struct chan *);
/* How many there are. */
unsigned waiting_count(void);
/* Those whose time is over; ten times a second. */
void waiting_tick(void);

#endif
