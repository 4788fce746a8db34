/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long walks over the ledger: one tile of one walk a turn of the loop, so that deciding
 * waits for 256 rows at most, however many walks there are. Judge only.
 */
#ifndef AEGIS_JUDGE_LEDGER_WALK_H
#define AEGIS_JUDGE_LEDGER_WALK_H

#include <stdint.h>

#include "keymasterd/judge/ledger_scan.h"

/*
 * Rows with seq in (after, until], in the order of ledger_each(), to fn(row, arg) until
 * it says 1. end(0, arg), or end(-1, arg) when the files cannot be read, in a later turn.
 * 0; -1: no memory, and nothing is called.
 */
int ledger_walk(uint64_t after, uint64_t until, int down, ledger_each_fn fn,
    void (*end)(int, void *arg), void *arg);
/* Walks with this arg stop, and nothing is called. Not from fn. */
void ledger_walk_forget(const void *arg);

#endif
