/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open-addressing sets, one for each quarter of the window: marks go into the young one;
 * an old one goes when its last mark is older than the window. A new one begins as large
 * as the one before it was needed, since growing is a pause for all who wait.
 */
#include "common/replay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define START_SLOTS 256
#define SLICES 5 /* four quarters that are over, and the young one */

/* 64 numbers in a row, a bit each. bits 0: free */
struct row {
	uint64_t key, bits;
};

/* One of the two, as the set is asked. */
struct slice {
	uint64_t *marks; /* 0: free */
	struct row *rows;
	uint64_t nslots, taken, noted;
	uint64_t born_ms, last_ms;
	int64_t stamp; /* the greatest */
};

struct replay {
	struct slice slices[SLICES]; /* the young one first */
	uint64_t window_ms;
	uint64_t odd;    /* where marks lie is not for those to choose who make them */
	int64_t horizon; /* the greatest stamp of what was forgotten */
};

struct replay *
replay_new(uint64_t window_ms)
{
	struct replay *r = calloc(1, sizeof(*r));
	unsigned i;

	if (r == NULL)
		return NULL;
	r->window_ms = window_ms;
	if (getrandom(&r->odd, sizeof(r->odd), 0) != (ssize_t)sizeof(r->odd)) {
		free(r);
		return NULL;
	}
	r->odd |= 1;
	r->horizon = INT64_MIN;
	for (i = 0; i < SLICES; i++)
		r->slices[i].stamp = INT64_MIN;
	return r;
}

static void
slice_free(struct slice *s)
{
	free(s->marks);
	free(s->rows);
	*s = (struct slice){.stamp = INT64_MIN};
}

void
replay_free(struct replay *r)
{
	unsigned i;

	if (r == NULL)
		return;
	for (i = 0; i < SLICES; i++)
		slice_free(&r->slices[i]);
	free(r);
}

static uint64_t *
find_mark(const struct replay *r, const struct slice *s, uint64_t mark)
{
	uint64_t at = (mark * r->odd >> 32) & (s->nslots - 1);

	while (s->marks[at] != 0 && s->marks[at] != mark)
		at = (at + 1) & (s->nslots - 1);
	return &s->marks[at];
}

/* Keys are consecutive: their low bits are a good place. */
static struct row *
find_row(const struct slice *s, uint64_t key)
{
	uint64_t at = key & (s->nslots - 1);

	while (s->rows[at].bits != 0 && s->rows[at].key != key)
		at = (at + 1) & (s->nslots - 1);
	return &s->rows[at];
}

static int
resize_marks(const struct replay *r, struct slice *s, uint64_t nslots)
{
	struct slice more = *s;
	uint64_t i;

	more.nslots = nslots;
	more.marks = calloc(nslots, sizeof(*more.marks));
	if (more.marks == NULL)
		return -1;
	for (i = 0; s->marks != NULL && i < s->nslots; i++)
		if (s->marks[i] != 0)
			*find_mark(r, &more, s->marks[i]) = s->marks[i];
	free(s->marks);
	*s = more;
	return 0;
}

static int
resize_rows(struct slice *s, uint64_t nslots)
{
	struct slice more = *s;
	uint64_t i;

	more.nslots = nslots;
	more.rows = calloc(nslots, sizeof(*more.rows));
	if (more.rows == NULL)
		return -1;
	for (i = 0; s->rows != NULL && i < s->nslots; i++)
		if (s->rows[i].bits != 0)
			*find_row(&more, s->rows[i].key) = s->rows[i];
	free(s->rows);
	*s = more;
	return 0;
}

void
replay_forgot(struct replay *r, int64_t stamp)
{
	if (stamp > r->horizon)
		r->horizon = stamp;
}

/* Forgets what is old enough and begins a new slice when the young one's time is over. */
static void
turn_over(struct replay *r, uint64_t now_ms)
{
	struct slice *young = &r->slices[0], *oldest = &r->slices[SLICES - 1], *s;
	uint64_t before = young->nslots, used = young->taken;
	int are_marks = young->marks != NULL;

	if (young->taken == 0) {
		young->born_ms = young->last_ms = now_ms;
		return;
	}
	if (now_ms <= young->born_ms || now_ms - young->born_ms <= (r->window_ms + 3) / 4)
		return;
	for (s = young; s <= oldest; s++) {
		if (now_ms <= s->last_ms || now_ms - s->last_ms <= r->window_ms)
			continue;
		replay_forgot(r, s->stamp);
		slice_free(s);
	}
	if (oldest->nslots != 0)
		return; /* cannot be: its last mark is four quarters old */
	memmove(young + 1, young, (SLICES - 1) * sizeof(*young));
	*young = (struct slice){.stamp = INT64_MIN};
	young->born_ms = young->last_ms = now_ms;
	while (before > START_SLOTS && used < before / 4)
		before /= 2;
	/* else it grows when it must */
	(void)(are_marks ? resize_marks(r, young, before) : resize_rows(young, before));
}

/* Whether there must be room for one more. */
static int
is_full(const struct slice *s)
{
	return s->taken >= s->nslots / 4 * 3;
}

static uint64_t
larger(const struct slice *s)
{
	return s->nslots == 0 ? START_SLOTS : s->nslots * 2;
}

static void
note(struct slice *s, uint64_t now_ms, int fresh)
{
	s->taken += (uint64_t)fresh;
	s->noted++;
	if (now_ms > s->last_ms)
		s->last_ms = now_ms;
}

int
replay_mark(struct replay *r, const uint8_t mark[REPLAY_MARK_LEN], uint64_t now_ms)
{
	return replay_stamped(r, mark, now_ms, INT64_MIN);
}

int64_t
replay_horizon(const struct replay *r)
{
	return r->horizon;
}

int
replay_stamped(
    struct replay *r, const uint8_t mark[REPLAY_MARK_LEN], uint64_t now_ms, int64_t stamp)
{
	struct slice *young = &r->slices[0];
	uint64_t own;
	unsigned i;

	turn_over(r, now_ms);
	if (stamp != INT64_MIN && stamp <= r->horizon)
		return 0;
	memcpy(&own, mark, sizeof(own));
	if (own == 0)
		own = 1;
	for (i = 0; i < SLICES; i++)
		if (r->slices[i].taken > 0 && *find_mark(r, &r->slices[i], own) != 0)
			return 0;
	if (is_full(young) && resize_marks(r, young, larger(young)) == -1)
		return -1;
	*find_mark(r, young, own) = own;
	if (stamp > young->stamp)
		young->stamp = stamp;
	note(young, now_ms, 1);
	return 1;
}

int
replay_number(struct replay *r, uint64_t number, uint64_t now_ms)
{
	uint64_t key = number / 64, bit = (uint64_t)1 << number % 64;
	struct slice *young = &r->slices[0];
	struct row *row;
	unsigned i;
	int fresh;

	turn_over(r, now_ms);
	for (i = 0; i < SLICES; i++)
		if (r->slices[i].taken > 0 && (find_row(&r->slices[i], key)->bits & bit))
			return 0;
	if (is_full(young) && resize_rows(young, larger(young)) == -1)
		return -1;
	row = find_row(young, key);
	fresh = row->bits == 0;
	row->key = key;
	row->bits |= bit;
	note(young, now_ms, fresh);
	return 1;
}

uint64_t
replay_count(const struct replay *r)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < SLICES; i++)
		n += r->slices[i].noted;
	return n;
}
