/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of 32-octet marks that forgets by time: what was seen within the last window is
 * known for certain, memory is bounded by what arrives in two windows.
 */
#ifndef AEGIS_REPLAY_H
#define AEGIS_REPLAY_H

#include <stdint.h>

struct replay;

/* Marks live at least window_ms. NULL when out of memory. */
struct replay *replay_new(uint64_t window_ms);
void replay_free(struct replay *);
/* 1: new, now marked. 0: seen before. -1: out of memory (treat as seen). */
int replay_mark(struct replay *, const uint8_t mark[32], uint64_t now_ms);
/* How many marks are held. */
uint64_t replay_count(const struct replay *);

#endif
