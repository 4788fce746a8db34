/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where rows are, and the Merkle tree over them (RFC 9162 section 2.1), 256 rows a tile:
 * of each tile its first row's place and, when it is full, the root over its leaves. The
 * file `index` keeps what is full, so that a start need not read every row; it is only
 * believed where a signed checkpoint's root says the same. Judge only.
 */
#ifndef AEGIS_JUDGE_LEDGER_INDEX_H
#define AEGIS_JUDGE_LEDGER_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define LEDGER_TILE_BITS 8
#define LEDGER_TILE_ROWS ((uint64_t)1 << LEDGER_TILE_BITS)

struct ledger_tile {
	uint64_t file;   /* the first row of the file where it begins */
	uint64_t offset; /* of its first row's line */
	uint8_t node[32];
};

/* Empties it. */
void ledger_index_reset(void);
/* Reads at most `most` full tiles of the file `index`. How many there are now. */
uint64_t ledger_index_load(const char *chain, uint64_t most);
/* Forgets tiles from this one on; only whole ones may be left. */
void ledger_index_cut(uint64_t tiles);
/* Room for so many rows more. 0 or -1; then as many ledger_index_row() cannot fail. */
int ledger_index_reserve(uint64_t rows);
/* The next row, its hash, and where its line is. */
void ledger_index_row(const uint8_t hash[32], uint64_t file, uint64_t offset);
/* Writes what is new and full to the file `index`; a failure costs time at a later start.
 */
void ledger_index_save(const char *chain);
uint64_t ledger_index_rows(void);
/* The tile that holds this row; NULL when it does not exist. */
const struct ledger_tile *ledger_index_tile(uint64_t seq);
/* The root over all rows. */
void ledger_index_root(uint8_t root[32]);
/* The root of the full subtree of 2^level leaves, level >= LEDGER_TILE_BITS, that begins
 * with leaf `leaf` (from 0). Costs 2^(level-8) hashes. */
void ledger_index_node(uint64_t leaf, unsigned level, uint8_t node[32]);

#endif
