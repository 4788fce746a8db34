/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open-addressing sets, one for each quarter of the window: marks go into the young one;
 * an old one goes when its last mark is older than the window. A new one begins as large
 * as the one before it was needed, since growing is a pause for all who wait.
 */
#include "common/replay.h"

#include <stdlib.h>
#include <string.h>

#define START_SLOTS 256
#define SLICES 5 /* four quarters that are over, and the young one */

/* A mark and 64 bits of its own, or 64 numbers in a row, a bit each. bits 0: free */
struct slot {
	uint64_t key, bits;
};

struct slice {
	struct slot *slots;
	uint64_t nslots, taken, marks;
	uint64_t born_ms, last_ms;
};

struct replay {
	struct slice slices[SLICES]; /* the young one first */
	uint64_t window_ms;
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
	unsigned i;

	if (r == NULL)
		return;
	for (i = 0; i < SLICES; i++)
		free(r->slices[i].slots);
	free(r);
}

/* Keys are hashes, random or consecutive: their low bits are a good place. */
static struct slot *
find_mark(const struct slice *s, uint64_t key, uint64_t bits)
{
	uint64_t at = key & (s->nslots - 1);

	while (s->slots[at].bits != 0 &&
	    (s->slots[at].key != key || s->slots[at].bits != bits))
		at = (at + 1) & (s->nslots - 1);
	return &s->slots[at];
}

static struct slot *
find_row(const struct slice *s, uint64_t key)
{
	uint64_t at = key & (s->nslots - 1);

	while (s->slots[at].bits != 0 && s->slots[at].key != key)
		at = (at + 1) & (s->nslots - 1);
	return &s->slots[at];
}

static int
resize(struct slice *s, uint64_t nslots)
{
	struct slice more = *s;
	uint64_t i;

	more.nslots = nslots;
	more.slots = calloc(nslots, sizeof(*more.slots));
	if (more.slots == NULL)
		return -1;
	for (i = 0; i < s->nslots; i++)
		if (s->slots[i].bits != 0)
			*find_mark(&more, s->slots[i].key, s->slots[i].bits) =
			    s->slots[i];
	free(s->slots);
	*s = more;
	return 0;
}

/* Forgets what is old enough and begins a new slice when the young one's time is over. */
static void
turn_over(struct replay *r, uint64_t now_ms)
{
	struct slice *young = &r->slices[0], *oldest = &r->slices[SLICES - 1], *s;
	uint64_t before = young->nslots, used = young->taken;

	if (young->taken == 0) {
		young->born_ms = young->last_ms = now_ms;
		return;
	}
	if (now_ms <= young->born_ms || now_ms - young->born_ms <= (r->window_ms + 3) / 4)
		return;
	for (s = young; s <= oldest; s++) {
		if (now_ms <= s->last_ms || now_ms - s->last_ms <= r->window_ms)
			continue;
		free(s->slots);
		memset(s, 0, sizeof(*s));
	}
	if (oldest->slots != NULL)
		return; /* cannot be: its last mark is four quarters old */
	memmove(young + 1, young, (SLICES - 1) * sizeof(*young));
	memset(young, 0, sizeof(*young));
	young->born_ms = young->last_ms = now_ms;
	while (before > START_SLOTS && used < before / 4)
		before /= 2;
	(void)resize(young, before); /* else it grows when it must */
}

/* Makes room for one more. */
static int
make_room(struct replay *r)
{
	struct slice *s = &r->slices[0];

	if (s->taken < s->nslots / 4 * 3)
		return 0;
	return resize(s, s->nslots == 0 ? START_SLOTS : s->nslots * 2);
}

static void
note(struct slice *s, uint64_t now_ms, int fresh)
{
	s->taken += (uint64_t)fresh;
	s->marks++;
	if (now_ms > s->last_ms)
		s->last_ms = now_ms;
}

int
replay_mark(struct replay *r, const uint8_t mark[REPLAY_MARK_LEN], uint64_t now_ms)
{
	uint64_t key, bits;
	struct slot *slot;
	unsigned i;

	turn_over(r, now_ms);
	memcpy(&key, mark, sizeof(key));
	memcpy(&bits, mark + sizeof(key), sizeof(bits));
	bits |= 1; /* 0 is free; 127 bits are left of the hash */
	for (i = 0; i < SLICES; i++)
		if (r->slices[i].taken > 0 &&
		    find_mark(&r->slices[i], key, bits)->bits != 0)
			return 0;
	if (make_room(r) == -1)
		return -1;
	slot = find_mark(&r->slices[0], key, bits);
	slot->key = key;
	slot->bits = bits;
	note(&r->slices[0], now_ms, 1);
	return 1;
}

int
replay_number(struct replay *r, uint64_t number, uint64_t now_ms)
{
	uint64_t key = number / 64, bit = (uint64_t)1 << number % 64;
	struct slot *slot;
	unsigned i;
	int fresh;

	turn_over(r, now_ms);
	for (i = 0; i < SLICES; i++)
		if (r->slices[i].taken > 0 && (find_row(&r->slices[i], key)->bits & bit))
			return 0;
	if (make_room(r) == -1)
		return -1;
	slot = find_row(&r->slices[0], key);
	fresh = slot->bits == 0;
	slot->key = key;
	slot->bits |= bit;
	note(&r->slices[0], now_ms, fresh);
	return 1;
}

uint64_t
replay_count(const struct replay *r)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < SLICES; i++)
		n += r->slices[i].marks;
	return n;
}
