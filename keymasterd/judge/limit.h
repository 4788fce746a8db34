/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limits "100/min" as an exact sliding window: at most N in any window, whatever the
 * moment. A limiter holds at most 4,097 entries of (time, count): for N up to 4,096 every
 * request keeps its own millisecond, above that times are rounded up to 1/4096 of the
 * window, so that the limit errs to the strict side. Constant time amortised. What
 * limiters know survives a restart: limit_save() now and then, and the ledger's rows
 * since.
 */
#ifndef AEGIS_JUDGE_LIMIT_H
#define AEGIS_JUDGE_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#include "common/rate.h"

struct buf;
struct limiter;

struct limiter *limiter_new(struct limit_rate);
void limiter_free(struct limiter *);
/* A new rate; what was counted stays counted. */
void limiter_set(struct limiter *, struct limit_rate);
/* 0: one more is allowed at now_ms. Else in how many seconds (at least 1) one will be. */
uint32_t limiter_check(struct limiter *, uint64_t now_ms);
/* Counts one. */
void limiter_take(struct limiter *, uint64_t now_ms);
/* How many are in the window. */
uint32_t limiter_count(struct limiter *, uint64_t now_ms);
/* As octets for store_window_put(), and back. Entries later than now_ms count as now. */
int limiter_dump(const struct limiter *, struct buf *);
int limiter_load(struct limiter *, const void *, size_t, uint64_t now_ms);
/* 1 when it was taken from since it was marked clean. */
int limiter_dirty(const struct limiter *);
void limiter_dirty_set(struct limiter *, int dirty);
/* Counts one that happened at ms in the past (replay of the ledger at start). */
void limiter_count_past(struct limiter *, uint64_t ms, uint64_t now_ms);

#endif
