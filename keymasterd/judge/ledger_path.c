/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For receipts: where a request's row is, and its inclusion path (RFC 9162 section
 * 2.1.3.1). Judge only.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/hex.h"
#include "common/loop.h"
#include "common/merkle.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_index.h"
#include "keymasterd/judge/ledger_scan.h"

#define SLICE 4096 /* rows a turn */

/* ---- the path ---- */

/* Leaves of one tile: those of rows (begin, end]. */
struct leaves {
	uint8_t (*at)[MERKLE_LEN];
	uint64_t n;
};

static int
take_leaf(const struct ledger_line *l, void *arg)
{
	struct leaves *x = arg;
	uint8_t hash[LEDGER_HASH_LEN];

	if (x->n == LEDGER_TILE_ROWS || ledger_line_hash(l, hash) == -1)
		return 1;
	merkle_leaf(hash, sizeof(hash), x->at[x->n++]);
	return 0;
}

/* The root over leaves [begin, end) of the tree; x has those from base on. A range that
 * goes beyond the tile with base is made of whole tiles and the last, open one. */
static int
range_root(uint64_t begin, uint64_t end, struct leaves *x, uint64_t base, uint8_t out[32])
{
	uint8_t last[LEDGER_TILE_ROWS][MERKLE_LEN];
	struct leaves more = {last, 0};
	struct merkle m, low;
	uint64_t i, whole;

	if (begin >= base && end <= base + LEDGER_TILE_ROWS) {
		if (end - base > x->n)
			return -1;
		merkle_init(&m);
		for (i = begin; i < end; i++)
			merkle_push(&m, x->at[i - base]);
		merkle_root(&m, out);
		return 0;
	}
	merkle_init(&m);
	whole = (end - begin) >> LEDGER_TILE_BITS;
	for (i = 0; i < whole; i++)
		merkle_push(
		    &m, ledger_index_tile(begin + i * LEDGER_TILE_ROWS + 1)->node);
	begin += whole << LEDGER_TILE_BITS;
	if (begin == end) {
		merkle_root(&m, out);
		return 0;
	}
	if (ledger_each(begin, end, 0, take_leaf, &more) == -1 || more.n != end - begin)
		return -1;
	merkle_init(&low);
	for (i = 0; i < more.n; i++)
		merkle_push(&low, last[i]);
	merkle_root(&low, out);
	for (i = m.size; i != 0; i &= i - 1)
		merkle_node(m.node[__builtin_ctzll(i)], out, out);
	return 0;
}

int
ledger_path(uint64_t seq, uint64_t size, uint8_t out[64][LEDGER_HASH_LEN], size_t *n)
{
	uint8_t octets[LEDGER_TILE_ROWS][MERKLE_LEN], up[64][MERKLE_LEN];
	struct leaves x = {octets, 0};
	uint64_t begin = 0, end = size, base, until, split;
	size_t depth = 0, i;

	if (seq == 0 || seq > size || size > ledger_seq())
		return -1;
	base = (seq - 1) & ~(LEDGER_TILE_ROWS - 1);
	until = base + LEDGER_TILE_ROWS < size ? base + LEDGER_TILE_ROWS : size;
	if (ledger_each(base, until, 0, take_leaf, &x) == -1 || x.n != until - base)
		return -1;
	/* from the root down to the leaf: what is on the other side at each parting */
	while (end - begin > 1) {
		split = (uint64_t)1 << (63 - __builtin_clzll(end - begin - 1));
		if (seq - 1 < begin + split) {
			if (range_root(begin + split, end, &x, base, up[depth]) == -1)
				return -1;
			end = begin + split;
		} else {
			if (range_root(begin, begin + split, &x, base, up[depth]) == -1)
				return -1;
			begin += split;
		}
		depth++;
	}
	for (i = 0; i < depth; i++)
		memcpy(out[i], up[depth - 1 - i], MERKLE_LEN);
	*n = depth;
	return 0;
}

/* ---- the row ---- */

struct search {
	char pattern[64];
	uint64_t until; /* rows above were looked at */
	uint64_t found;
	void (*fn)(uint64_t, void *);
	void *arg;
	struct event *again;
	LIST_ENTRY(search) link;
};

static LIST_HEAD(, search) searches = LIST_HEAD_INITIALIZER(searches);

static int
look(const struct ledger_line *l, void *arg)
{
	struct search *s = arg;

	if (memmem(l->text.p, l->text.len, s->pattern, strlen(s->pattern)) == NULL)
		return 0;
	s->found = l->seq;
	return 1;
}

static void
search_free(struct search *s)
{
	LIST_REMOVE(s, link);
	if (s->again != NULL)
		event_free(s->again);
	free(s);
}

static void
search_piece(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = {0, 1000};
	struct search *s = arg;
	uint64_t after = s->until > SLICE ? s->until - SLICE : 0;

	(void)fd;
	(void)what;
	if (ledger_each(after, s->until, 0, look, s) == 0 && s->found == 0 && after > 0) {
		s->until = after;
		if (event_add(s->again, &soon) == 0)
			return;
	}
	s->fn(s->found, s->arg);
	search_free(s);
}

int
ledger_find_request(const uint8_t request[16], void (*fn)(uint64_t, void *), void *arg)
{
	static const struct timeval now = {0, 0};
	struct search *s = calloc(1, sizeof(*s));
	char id[33];

	if (s == NULL)
		return -1;
	LIST_INSERT_HEAD(&searches, s, link);
	s->fn = fn;
	s->arg = arg;
	s->until = ledger_seq();
	(void)hex_encode(request, 16, id, sizeof(id));
	snprintf(s->pattern, sizeof(s->pattern),
	    ",\"kind\":\"decision\",\"request\":\"%s\"", id);
	s->again = evtimer_new(loop_base(), search_piece, s);
	if (s->again == NULL || event_add(s->again, &now) == -1) {
		search_free(s);
		return -1;
	}
	return 0;
}

void
ledger_find_forget(void *arg)
{
	struct search *s, *next;

	for (s = LIST_FIRST(&searches); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		if (s->arg == arg)
			search_free(s);
	}
}
