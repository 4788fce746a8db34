/* SPDX-License-Identifier: Apache-2.0 */
/* The index in memory and its file; see ledger_index.h. Judge only. */
#include "keymasterd/judge/ledger_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/merkle.h"
#include "keymasterd/judge/ledger_file.h"

#define HEAD_LEN 64 /* of the file: "aegis-index-1 ", the chain, zeros */

static struct ledger_tile *tiles; /* the last may be open */
static uint64_t ntiles, cap;
static uint64_t saved; /* full tiles that the file has */
static struct merkle upper, open_tile;

void
ledger_index_reset(void)
{
	ntiles = saved = 0;
	merkle_init(&upper);
	merkle_init(&open_tile);
}

static int
reserve_tiles(uint64_t more)
{
	struct ledger_tile *grown;
	uint64_t want;

	if (ntiles + more <= cap)
		return 0;
	want = ntiles + more + cap / 2 + 64;
	grown = reallocarray(tiles, want, sizeof(*tiles));
	if (grown == NULL)
		return -1;
	tiles = grown;
	cap = want;
	return 0;
}

static void
head_make(char head[HEAD_LEN], const char *chain)
{
	memset(head, 0, HEAD_LEN);
	snprintf(head, HEAD_LEN, "aegis-index-1 %s", chain);
}

uint64_t
ledger_index_load(const char *chain, uint64_t most)
{
	char want[HEAD_LEN], head[HEAD_LEN];
	struct stat st;
	uint64_t n, i;
	size_t len;

	ledger_index_reset();
	head_make(want, chain);
	if (fstat(ledger_dir.index, &st) == -1 || st.st_size < HEAD_LEN ||
	    pread(ledger_dir.index, head, HEAD_LEN, 0) != HEAD_LEN ||
	    memcmp(head, want, HEAD_LEN) != 0)
		return 0;
	n = ((uint64_t)st.st_size - HEAD_LEN) / sizeof(*tiles);
	if (n > most)
		n = most;
	len = n * sizeof(*tiles);
	if (n == 0 || reserve_tiles(n) == -1 ||
	    pread(ledger_dir.index, tiles, len, HEAD_LEN) != (ssize_t)len)
		return 0;
	for (i = 0; i < n; i++)
		merkle_push(&upper, tiles[i].node);
	ntiles = saved = n;
	return n;
}

void
ledger_index_cut(uint64_t n)
{
	uint64_t i;

	merkle_init(&upper);
	merkle_init(&open_tile);
	for (i = 0; i < n; i++)
		merkle_push(&upper, tiles[i].node);
	ntiles = n;
	if (saved > n)
		saved = n;
}

int
ledger_index_reserve(uint64_t rows)
{
	return reserve_tiles(rows / LEDGER_TILE_ROWS + 1);
}

void
ledger_index_row(const uint8_t hash[32], uint64_t file, uint64_t offset)
{
	uint8_t leaf[32];

	if (open_tile.size == 0)
		tiles[ntiles++] = (struct ledger_tile){.file = file, .offset = offset};
	merkle_leaf(hash, 32, leaf);
	merkle_push(&open_tile, leaf);
	if (open_tile.size < LEDGER_TILE_ROWS)
		return;
	memcpy(tiles[ntiles - 1].node, open_tile.node[LEDGER_TILE_BITS], 32);
	merkle_push(&upper, tiles[ntiles - 1].node);
	merkle_init(&open_tile);
}

void
ledger_index_save(const char *chain)
{
	char head[HEAD_LEN];

	if (saved == upper.size)
		return;
	head_make(head, chain);
	if ((saved > 0 || ledger_pwrite(ledger_dir.index, head, HEAD_LEN, 0) == 0) &&
	    ledger_pwrite(ledger_dir.index, tiles + saved,
		(upper.size - saved) * sizeof(*tiles),
		HEAD_LEN + saved * sizeof(*tiles)) == 0)
		saved = upper.size;
}

uint64_t
ledger_index_rows(void)
{
	return upper.size * LEDGER_TILE_ROWS + open_tile.size;
}

const struct ledger_tile *
ledger_index_tile(uint64_t seq)
{
	uint64_t k = (seq - 1) / LEDGER_TILE_ROWS;

	return seq > 0 && k < ntiles ? &tiles[k] : NULL;
}

void
ledger_index_root(uint8_t root[32])
{
	struct merkle whole = {.size = ledger_index_rows()};

	memcpy(whole.node, open_tile.node, sizeof(whole.node[0]) * LEDGER_TILE_BITS);
	memcpy(whole.node + LEDGER_TILE_BITS, upper.node,
	    sizeof(whole.node) - sizeof(whole.node[0]) * LEDGER_TILE_BITS);
	merkle_root(&whole, root);
}

void
ledger_index_node(uint64_t leaf, unsigned level, uint8_t node[32])
{
	uint64_t k = leaf >> LEDGER_TILE_BITS,
		 n = (uint64_t)1 << (level - LEDGER_TILE_BITS);
	struct merkle m;
	uint64_t i;

	merkle_init(&m);
	for (i = 0; i < n; i++)
		merkle_push(&m, tiles[k + i].node);
	memcpy(node, m.node[level - LEDGER_TILE_BITS], 32);
}
