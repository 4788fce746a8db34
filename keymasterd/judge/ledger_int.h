/* SPDX-License-Identifier: Apache-2.0 */
/* Between ledger.c, ledger_budget.c and ledger_checkpoint.c. */
#ifndef AEGIS_JUDGE_LEDGER_INT_H
#define AEGIS_JUDGE_LEDGER_INT_H

#include <stdint.h>

/* The last row appended, committed or not. */
uint64_t ledger_seq_pending(void);
/* Once a second: sums of what went beyond the budgets. */
void ledger_budget_tick(void);
/* At start: the newest checkpoint that the database holds. */
void ledger_checkpoint_seen(uint64_t seq);
/* Once a second: asks when one is due. */
void ledger_checkpoint_tick(uint64_t now_ms);
/* After each turn: asks for those who wait, tells those whose rows are gone. */
void ledger_checkpoint_run(void);

#endif
