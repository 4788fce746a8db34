/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock of the machine may be set. Envelopes say their time, so one that was used,
 * and whose replay mark was forgotten because its time was over, would be good again
 * after the clock went back. Here is noticed when it does, and remembered across a
 * restart. Judge only.
 */
#ifndef AEGIS_JUDGE_CLOCK_H
#define AEGIS_JUDGE_CLOCK_H

#include <stdint.h>

struct replay;

/* At start, when ledger and database are open. 0 or -1. */
int clock_load(void);
/*
 * The time, judge_now_ms(), for whoever is about to believe what says its own time. When
 * it went back a row says so, in this turn.
 */
uint64_t clock_now_ms(void);
/*
 * What a set of marks that has just been filled with those of the last `kept_ms` does not
 * know: things with a stamp of up to `window_s` ahead of when they came.
 */
void clock_horizon(struct replay *, uint64_t kept_ms, uint32_t window_s);
/* The greatest stamp, Unix seconds, that anything may have that came until now. */
int64_t clock_stamp_max(uint32_t window_s);

#endif
