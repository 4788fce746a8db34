/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the committed part of the ledger's files, between turns. Judge only. */
#ifndef AEGIS_JUDGE_LEDGER_SCAN_H
#define AEGIS_JUDGE_LEDGER_SCAN_H

#include <stdint.h>

#include "keymasterd/judge/ledger_line.h"

/* What is given for each row or line, valid during the call. Returns 0 to go on, 1 to
 * stop. */
typedef int (*ledger_each_fn)(const struct ledger_line *, void *arg);

/* Rows with seq in (after, until], oldest first, or newest first when down. 0, or -1 when
 * the files cannot be read. */
int ledger_each(uint64_t after, uint64_t until, int down, ledger_each_fn, void *arg);
/* Every line behind row `after`, checkpoints too; for 0 also the first file's header, no
 * other header. */
int ledger_each_line(uint64_t after, ledger_each_fn, void *arg);
/* Row seq into line, whose spans point into octets (LEDGER_LINE_MAX + 1). 0 or -1. */
int ledger_row_get(uint64_t seq, struct ledger_line *line, struct buf *octets);
/* A number such that every row written since unix_ms has a greater one; whole tiles, so
 * up to 255 older rows may have one, too. */
uint64_t ledger_before(uint64_t unix_ms);

#endif
