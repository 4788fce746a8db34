/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the ledger. */
#ifndef AEGIS_JUDGE_LEDGER_INT_H
#define AEGIS_JUDGE_LEDGER_INT_H

#include <stddef.h>
#include <stdint.h>

#include "keymasterd/judge/ledger.h"

/* The last row appended, committed or not. */
uint64_t ledger_seq_pending(void);
/* ---- ledger_budget.c ---- */
/* Once a second: sums of what went beyond the budgets. */
void ledger_budget_tick(void);

/* ---- ledger_open.c ---- */
struct ledger_found {
	uint64_t seq; /* the last row, and its hash */
	uint8_t hash[LEDGER_HASH_LEN];
	struct ledger_checkpoint checkpoint; /* the newest one; seq 0: none */
	char note[200];                      /* what was cut off; "" nothing */
};
/* Makes the chain's first file. 0, or -1 with errno. */
int ledger_file_begin(const char *chain, uint64_t from, const uint8_t prev[32]);
/* Fills the index, verifies the end of the files and cuts off what a crash left there.
 * 0, or -1 with text for the operator. */
int ledger_recover(const char *chain, struct ledger_found *, char *err, size_t err_size);
/* Are rows first..last as they were written, the last one with this hash? 0 or -1. */
int ledger_recheck(uint64_t first, uint64_t last, const uint8_t hash[32]);

/* ---- ledger_checkpoint.c ---- */
/* At start: the newest checkpoint. */
void ledger_checkpoint_seen(const struct ledger_checkpoint *);
/* Once a second: asks when one is due. */
void ledger_checkpoint_tick(uint64_t now_ms);
/* After each turn: asks for those who wait, tells those whose rows are gone. */
void ledger_checkpoint_run(int committed);
/* Adds the line of a checkpoint to what this turn writes. 0 or -1. */
int ledger_put_checkpoint(const struct ledger_checkpoint *);

#endif
