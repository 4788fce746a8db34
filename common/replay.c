/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two generations of an open-addressing set: marks go into the young one; when it is
 * older than the window, it becomes the old one and the old one is forgotten.
 */
#include "common/replay.h"

#include <stdlib.h>
#include <string.h>

#define START_SLOTS 1024

struct generation {
	uint8_t (*slots)[32]; /* all zero: free */
	uint64_t nslots, used;
	uint64_t born_ms;
};

struct replay {
	struct generation young, old;
	uint64_t window_ms;
	int zero_seen; /* the all-zero mark cannot stand in a slot */
};

struct replay *
replay_new(uint64_t window_ms)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->window_ms = window_ms;
	return r;
}

void
replay_free(struct replay *r)
{
	if (r == NULL)
		return;
	free(r->young.slots);
	free(r->old.slots);
	free(r);
}

static int
is_zero(const uint8_t *p)
{
	static const uint8_t zero[32];

	return memcmp(p, zero, 32) == 0;
}

/* Marks are hashes or random, so their first octets are a good place. */
static uint64_t
find(const struct generation *g, const uint8_t mark[32])
{
	uint64_t at;

	memcpy(&at, mark, sizeof(at));
	for (at &= g->nslots - 1; !is_zero(g->slots[at]); at = (at + 1) & (g->nslots - 1))
		if (memcmp(g->slots[at], mark, 32) == 0)
			break;
	return at;
}

static int
holds(const struct generation *g, const uint8_t mark[32])
{
	return g->used > 0 && !is_zero(g->slots[find(g, mark)]);
}

static int
grow(struct generation *g)
{
	struct generation bigger = *g;
	uint64_t i;

	bigger.nslots = g->nslots == 0 ? START_SLOTS : g->nslots * 2;
	bigger.slots = calloc(bigger.nslots, 32);
	if (bigger.slots == NULL)
		return -1;
	for (i = 0; i < g->nslots; i++)
		if (!is_zero(g->slots[i]))
			memcpy(bigger.slots[find(&bigger, g->slots[i])], g->slots[i], 32);
	free(g->slots);
	*g = bigger;
	return 0;
}

int
replay_mark(struct replay *r, const uint8_t mark[32], uint64_t now_ms)
{
	if (r->young.used == 0)
		r->young.born_ms = now_ms;
	if (now_ms - r->young.born_ms > r->window_ms && now_ms > r->young.born_ms) {
		free(r->old.slots);
		r->old = r->young;
		memset(&r->young, 0, sizeof(r->young));
		r->young.born_ms = now_ms;
	}
	if (is_zero(mark)) {
		/* nobody honest makes it: accepted once, for ever */
		return r->zero_seen ? 0 : (r->zero_seen = 1);
	}
	if (holds(&r->young, mark) || holds(&r->old, mark))
		return 0;
	if (r->young.used * 2 >= r->young.nslots && grow(&r->young) == -1)
		return -1;
	memcpy(r->young.slots[find(&r->young, mark)], mark, 32);
	r->young.used++;
	return 1;
}

uint64_t
replay_count(const struct replay *r)
{
	return r->young.used + r->old.used;
}
