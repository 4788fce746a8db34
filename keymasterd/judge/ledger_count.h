/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums over the ledger's rows, as walks (ledger_walk.h). Sums over everything go on where
 * the last ones ended. Judge only.
 */
#ifndef AEGIS_JUDGE_LEDGER_COUNT_H
#define AEGIS_JUDGE_LEDGER_COUNT_H

#include <stdint.h>

#include "common/span.h"

#define TALLY_NAME 65

struct tally {
	char name[TALLY_NAME];
	uint64_t n;
};

struct ledger_counts {
	uint64_t at; /* up to this row */
	uint64_t allowed, blocked, completions, admin, system;
	struct tally *services, *codes;
	unsigned nservices, ncodes;
};

/* counts NULL: the ledger could not be read, or there is no memory. */
typedef void (*ledger_counted_fn)(const struct ledger_counts *, void *arg);

/*
 * Counts rows of a tenant since a time and of one agent ("" for all). fn is called
 * once, at once or later. 0; -1: since cannot be understood and fn is not called.
 */
int ledger_count(const char *tenant, struct span since, struct span agent,
    ledger_counted_fn fn, void *arg);
/* Nobody waits with this arg any more. */
void ledger_count_forget(const void *arg);

#endif
