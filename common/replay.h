/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of marks that forgets by time: what was seen within the last window is known for
 * certain, memory is bounded by what arrives in a window and a quarter. Marks are hashes,
 * of which 8 octets are kept (a replay has the same ones for certain; that another has
 * them is one in 10^13 with a million kept), or numbers (a bit each when they come nearly
 * in a row). One set holds either the one or the other.
 */
#ifndef AEGIS_REPLAY_H
#define AEGIS_REPLAY_H

#include <stdint.h>

#define REPLAY_MARK_LEN 32 /* of a hash */
#define REPLAY_KEPT 8      /* of its octets, the first */

struct replay;

/* Marks live at least window_ms. NULL when out of memory. */
struct replay *replay_new(uint64_t window_ms);
void replay_free(struct replay *);
/* 1: new, now marked. 0: seen before. -1: out of memory (treat as seen). */
int replay_mark(struct replay *, const uint8_t mark[REPLAY_MARK_LEN], uint64_t now_ms);
/*
 * The same for a mark of something that says its own time, `stamp`, and is believed for a
 * while around it by a clock that can be set. When that clock goes back, what was
 * forgotten would be believed again; so 0 also for a stamp that is not above
 * replay_horizon(): it may have been seen and forgotten.
 */
int replay_stamped(
    struct replay *, const uint8_t mark[REPLAY_MARK_LEN], uint64_t now_ms, int64_t stamp);
int64_t replay_horizon(const struct replay *);
/* What came with this stamp, or an earlier one, may have been forgotten before. */
void replay_forgot(struct replay *, int64_t stamp);
/* The same for a number that the one who asks cannot choose. */
int replay_number(struct replay *, uint64_t number, uint64_t now_ms);
/* How many marks are held. */
uint64_t replay_count(const struct replay *);

#endif
