/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of decisions and completions, in memory. Labels are bounded: services that are
 * registered, agents that are known, methods of HTTP; what is left is folded. Judge only.
 */
#ifndef AEGIS_JUDGE_COUNT_H
#define AEGIS_JUDGE_COUNT_H

#include <stdint.h>

#include "common/span.h"

struct buf;
struct flight;
struct ledger_row;

/* A row that says "blocked" was made, written or not. */
void count_blocked(const struct ledger_row *);
/* A grant is over. status 0: nobody reported one. */
void count_done(
    const struct flight *, unsigned outcome, uint32_t status, uint64_t duration_us);
/* A worker's door opened. */
void count_worker(void);
/* An attempt to deliver a webhook, or one that could not be queued. */
void count_hook(const char *event, const char *outcome);
/* Everything the judge knows, for the collector. */
void count_put(struct buf *);
/* A method's number among those that are counted by name. */
uint8_t count_method(struct span method);

#endif
