/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sliding windows. A ring of (time, count) entries, oldest first; entries older than the
 * window fall out when somebody looks. Judge only; rates come from administrators.
 */
#include "keymasterd/judge/limit.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

#define EXACT_MAX 4096 /* counts up to this keep every millisecond */
#define RING_MAX (EXACT_MAX + 2)

struct entry {
	uint64_t ms;
	uint32_t count;
};

struct limiter {
	struct limit_rate rate;
	uint64_t grain_ms;
	struct entry *ring;
	uint32_t cap, first, n;
	uint32_t total; /* of all entries */
	int dirty;
};

static void
rate_set(struct limiter *l, struct limit_rate rate)
{
	l->rate = rate;
	l->grain_ms =
	    rate.count <= EXACT_MAX ? 1 : (rate.window_ms + EXACT_MAX - 1) / EXACT_MAX;
}

static struct entry *
at(const struct limiter *l, uint32_t i)
{
	return &l->ring[(l->first + i) % l->cap];
}

static int
grow(struct limiter *l)
{
	uint32_t cap = l->cap == 0 ? 16 : l->cap * 2, i;
	struct entry *ring;

	if (cap > RING_MAX)
		cap = RING_MAX;
	if (cap <= l->n)
		return -1;
	ring = reallocarray(NULL, cap, sizeof(*ring));
	if (ring == NULL)
		return -1;
	for (i = 0; i < l->n; i++)
		ring[i] = *at(l, i);
	free(l->ring);
	l->ring = ring;
	l->cap = cap;
	l->first = 0;
	return 0;
}

struct limiter *
limiter_new(struct limit_rate rate)
{
	struct limiter *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	rate_set(l, rate);
	if (grow(l) == -1) { /* so that there is always something to count in */
		free(l);
		return NULL;
	}
	return l;
}

void
limiter_free(struct limiter *l)
{
	if (l == NULL)
		return;
	free(l->ring);
	free(l);
}

void
limiter_set(struct limiter *l, struct limit_rate rate)
{
	rate_set(l, rate);
}

static void
expire(struct limiter *l, uint64_t now_ms)
{
	while (l->n > 0 && at(l, 0)->ms + l->rate.window_ms <= now_ms) {
		l->total -= at(l, 0)->count;
		l->first = (l->first + 1) % l->cap;
		l->n--;
	}
}

uint32_t
limiter_count(struct limiter *l, uint64_t now_ms)
{
	expire(l, now_ms);
	return l->total;
}

uint32_t
limiter_check(struct limiter *l, uint64_t now_ms)
{
	uint64_t free_at, wait;
	uint32_t i, over;

	expire(l, now_ms);
	if (l->total < l->rate.count)
		return 0;
	/* after a lower limit more than one entry has to leave first */
	over = l->total - l->rate.count;
	for (i = 0; i + 1 < l->n && at(l, i)->count <= over; i++)
		over -= at(l, i)->count;
	free_at = at(l, i)->ms + l->rate.window_ms;
	wait = free_at > now_ms ? (free_at - now_ms + 999) / 1000 : 1;
	return wait > 0 ? (uint32_t)wait : 1;
}

static void
add(struct limiter *l, uint64_t ms, uint32_t count)
{
	struct entry *e;

	if (l->n > 0) {
		e = at(l, l->n - 1);
		if (ms <= e->ms) {
			e->count += count;
			l->total += count;
			return;
		}
	}
	if (l->n == l->cap && grow(l) == -1) {
		/* no room: the youngest entry stands for this one too, later than it was
		 */
		e = at(l, l->n - 1);
		e->ms = ms;
		e->count += count;
		l->total += count;
		return;
	}
	l->n++;
	e = at(l, l->n - 1);
	e->ms = ms;
	e->count = count;
	l->total += count;
}

void
limiter_take(struct limiter *l, uint64_t now_ms)
{
	uint64_t ms = (now_ms + l->grain_ms - 1) / l->grain_ms * l->grain_ms;

	expire(l, now_ms);
	add(l, ms, 1);
	l->dirty = 1;
}

int
limiter_dirty(const struct limiter *l)
{
	return l->dirty;
}

/* Twelve octets an entry, network order. */
int
limiter_dump(const struct limiter *l, struct buf *out)
{
	uint32_t i, count;
	uint64_t ms;

	for (i = 0; i < l->n; i++) {
		ms = __builtin_bswap64(at(l, i)->ms);
		count = __builtin_bswap32(at(l, i)->count);
		if (buf_put(out, &ms, sizeof(ms)) == -1 ||
		    buf_put(out, &count, sizeof(count)) == -1)
			return -1;
	}
	return 0;
}

int
limiter_load(struct limiter *l, const void *p, size_t len, uint64_t now_ms)
{
	const uint8_t *in = p;
	uint32_t count;
	uint64_t ms;

	if (len % 12 != 0 || len / 12 > RING_MAX)
		return -1;
	for (; len > 0; in += 12, len -= 12) {
		memcpy(&ms, in, 8);
		memcpy(&count, in + 8, 4);
		ms = __builtin_bswap64(ms);
		count = __builtin_bswap32(count);
		if (count == 0 || count > 1000000)
			return -1;
		add(l, ms < now_ms ? ms : now_ms, count);
	}
	expire(l, now_ms);
	return 0;
}

void
limiter_dirty_set(struct limiter *l, int dirty)
{
	l->dirty = dirty;
}

void
limiter_count_past(struct limiter *l, uint64_t ms, uint64_t now_ms)
{
	if (ms > now_ms)
		ms = now_ms;
	if (ms + l->rate.window_ms > now_ms) {
		add(l, ms, 1);
		l->dirty = 1;
	}
}
