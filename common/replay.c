/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets, one for each quarter of the window: marks go into the young one; an old one goes
 * when its last mark is older than the window.
 *
 * Marks come into a hash table of the young set. When that has as many as it may, they
 * are merged into a sorted array, 7 octets each, since a mark's first octet follows from
 * its place. So the memory is that of the marks, and no pause is longer than a merge.
 * Numbers are bits of rows in a hash table that grows; a new one begins as large as the
 * one before it was needed, since growing is a pause for all who wait.
 */
#include "common/replay.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define START_SLOTS 256
#define TABLE_SLOTS 16384 /* of marks, before they are merged */
#define SLICES 5          /* four quarters that are over, and the young one */
#define REST 7            /* octets of a mark that are kept */
#define BUCKETS 256
#define FIRST(mark) ((mark) >> 8 * REST)

/* 64 numbers in a row, a bit each. bits 0: free */
struct row {
	uint64_t key, bits;
};

/* One of the sets. */
struct slice {
	uint8_t *kept;               /* sorted; an octet more than they need */
	uint32_t begin[BUCKETS + 1]; /* where in it marks with this first octet do */
	struct row *rows;
	uint64_t nslots, taken; /* of rows */
	uint64_t noted;
	uint64_t born_ms, last_ms;
	int64_t stamp; /* the greatest */
};

struct replay {
	struct slice slices[SLICES]; /* the young one first */
	uint64_t *table;             /* marks of the young one; 0: free */
	uint64_t nslots, taken;
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
	free(s->kept);
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
	free(r->table);
	free(r);
}

/* ---- marks ---- */

/* The greater a mark, the further behind. The table has a power of two of places. */
static uint64_t
place_of(const struct replay *r, uint64_t mark)
{
	return mark >> (64 - __builtin_ctzll(r->nslots));
}

static uint64_t *
find_mark(const struct replay *r, uint64_t mark)
{
	uint64_t at = place_of(r, mark);

	while (r->table[at] != 0 && r->table[at] != mark)
		at = (at + 1) & (r->nslots - 1);
	return &r->table[at];
}

static uint64_t
rest_get(const uint8_t *kept, uint64_t i)
{
	uint64_t v;

	memcpy(&v, kept + i * REST, sizeof(v));
	return le64toh(v) << 8 >> 8;
}

static void
rest_put(uint8_t *kept, uint64_t i, uint64_t mark)
{
	uint64_t v = htole64(mark);

	memcpy(kept + i * REST, &v, REST);
}

/* They are evenly spread, so one lies near where it would if they were exactly. */
static int
is_kept(const struct slice *s, uint64_t mark)
{
	uint64_t lo = s->begin[FIRST(mark)], hi = s->begin[FIRST(mark) + 1];
	uint64_t rest = mark << 8 >> 8, at = lo + ((rest >> 24) * (hi - lo) >> 32);

	if (lo == hi)
		return 0;
	while (at + 1 < hi && rest_get(s->kept, at) < rest)
		at++;
	while (at > lo && rest_get(s->kept, at) > rest)
		at--;
	return rest_get(s->kept, at) == rest;
}

/* Moves the table's marks to its beginning, in order. */
static void
sort_table(struct replay *r)
{
	uint64_t n = 0, i, k, mark;

	for (i = 0; i < r->nslots; i++) {
		mark = r->table[i];
		if (mark == 0)
			continue;
		r->table[i] = 0;
		/* few steps: it is nearly in order already */
		for (k = n++; k > 0 && r->table[k - 1] > mark; k--)
			r->table[k] = r->table[k - 1];
		r->table[k] = mark;
	}
}

/* Merges the table into the young set and empties it. 0, or -1 when nothing was done. */
static int
merge(struct replay *r)
{
	struct slice *s = &r->slices[0];
	uint64_t old = s->begin[BUCKETS], n = old + r->taken, from, b, k;
	uint8_t *kept;

	if (r->taken == 0)
		return 0;
	kept = n > UINT32_MAX ? NULL : realloc(s->kept, n * REST + 1);
	if (kept == NULL)
		return -1;
	s->kept = kept;
	sort_table(r);
	/* from the end, so that nothing is written over before it was moved */
	for (b = BUCKETS, k = r->taken; k > 0 && b-- > 0;) {
		from = s->begin[b];
		s->begin[b + 1] = (uint32_t)n;
		while (k > 0 && (old > from || FIRST(r->table[k - 1]) == b)) {
			if (FIRST(r->table[k - 1]) == b &&
			    (old == from ||
				r->table[k - 1] << 8 >> 8 > rest_get(kept, old - 1)))
				rest_put(kept, --n, r->table[--k]);
			else
				memmove(kept + --n * REST, kept + --old * REST, REST);
		}
	}
	memset(r->table, 0, r->taken * sizeof(*r->table));
	r->taken = 0;
	return 0;
}

/* A place for one more mark. 0 or -1. */
static int
make_room(struct replay *r)
{
	uint64_t *old = r->table, had = r->nslots, i;

	if (r->taken < had / 4 * 3)
		return 0;
	if (had == TABLE_SLOTS)
		return merge(r);
	r->nslots = had == 0 ? START_SLOTS : 2 * had;
	r->table = calloc(r->nslots, sizeof(*r->table));
	if (r->table == NULL) {
		r->table = old;
		r->nslots = had;
		return -1;
	}
	for (i = 0; i < had; i++)
		if (old[i] != 0)
			*find_mark(r, old[i]) = old[i];
	free(old);
	return 0;
}

/* ---- rows ---- */

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

/* ---- time ---- */

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

	if (young->noted == 0) {
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
	if (oldest->noted != 0) /* cannot be: its last mark is four quarters old */
		return;
	if (merge(r) == -1)
		return; /* it stays young for longer */
	memmove(young + 1, young, (SLICES - 1) * sizeof(*young));
	*young = (struct slice){.stamp = INT64_MIN};
	young->born_ms = young->last_ms = now_ms;
	while (before > START_SLOTS && used < before / 4)
		before /= 2;
	if (before > 0)
		(void)resize_rows(young, before); /* else it grows when it must */
}

static void
note(struct slice *s, uint64_t now_ms)
{
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
	own = own == 0 ? 1 : own * r->odd;
	if (r->taken > 0 && *find_mark(r, own) != 0)
		return 0;
	for (i = 0; i < SLICES; i++)
		if (is_kept(&r->slices[i], own))
			return 0;
	if (make_room(r) == -1)
		return -1;
	*find_mark(r, own) = own;
	r->taken++;
	if (stamp > young->stamp)
		young->stamp = stamp;
	note(young, now_ms);
	return 1;
}

int
replay_number(struct replay *r, uint64_t number, uint64_t now_ms)
{
	uint64_t key = number / 64, bit = (uint64_t)1 << number % 64;
	struct slice *young = &r->slices[0];
	struct row *row;
	unsigned i;

	turn_over(r, now_ms);
	for (i = 0; i < SLICES; i++)
		if (r->slices[i].taken > 0 && (find_row(&r->slices[i], key)->bits & bit))
			return 0;
	if (young->taken >= young->nslots / 4 * 3 &&
	    resize_rows(young, young->nslots == 0 ? START_SLOTS : 2 * young->nslots) ==
		-1)
		return -1;
	row = find_row(young, key);
	young->taken += row->bits == 0;
	row->key = key;
	row->bits |= bit;
	note(young, now_ms);
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
