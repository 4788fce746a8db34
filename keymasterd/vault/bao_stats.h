/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of vault's dealings with OpenBao, for the question `stats`. Runs in a vault
 * that is in front of OpenBao.
 */
#ifndef AEGIS_VAULT_BAO_STATS_H
#define AEGIS_VAULT_BAO_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct bao_answer;

/* Which operation a path is one of, by its place in a table of names. */
unsigned bao_stats_operation(const char *path);
/* One was asked for, and this came of it after so long. */
void bao_stats_count(unsigned operation, const struct bao_answer *, uint64_t us);
/* A secret was, or was not, among those that are kept. */
void bao_stats_cache(bool hit);
/* From now on they are told. */
void bao_stats_start(void);

#endif
