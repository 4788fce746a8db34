/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay marks across restarts. The rows of the freshness window have them all; the file
 * `marks` only spares a start from reading more of the rows than those since it was
 * written last. What is in it is checked, and what is not in it is read from the rows.
 * Judge only.
 */
#ifndef AEGIS_JUDGE_SEAL_MARKS_H
#define AEGIS_JUDGE_SEAL_MARKS_H

#include <stdint.h>

#include "common/replay.h"

/* Fills the set with what was seen in the last window_ms. 0 or -1. */
int seal_marks_load(struct replay *, uint64_t window_ms);
/* This one is new. */
void seal_marks_note(const uint8_t mark[REPLAY_MARK_LEN]);
/* Every few seconds: writes those that are new to the file. */
void seal_marks_save(void);

#endif
