/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The question `stats`, which the judge asks every process that it has a door to. Every
 * daemon answers it with what stats.c knows of any process, and what its own sources add.
 */
#ifndef AEGIS_COMMON_STATS_H
#define AEGIS_COMMON_STATS_H

#include "common/chan.h"
#include "common/metrics.h"

/* fn adds numbers of this process whenever it is asked. At most 4. */
void stats_source(void (*fn)(struct buf *));
/* All of them, as this process says them. 0 or -1. */
int stats_list(struct buf *);
/* Handler of MSG_stats; for permit tables. */
int stats_asked(struct chan *, uint64_t reqid, void *msg);

#endif
