/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing; removal shifts back, so there are no tombstones.
 */
#include "keymasterd/judge/map.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "keymasterd/judge/judge.h"

static uint64_t
hash_of(const void *key, size_t len)
{
	static uint8_t sip[crypto_shorthash_KEYBYTES];
	static int have;
	uint64_t h;

	if (!have) {
		judge_random(sip, sizeof(sip));
		have = 1;
	}
	crypto_shorthash((uint8_t *)&h, key, len, sip);
	return h;
}

static struct map_slot *
find(const struct map *m, uint64_t h, const void *key, size_t len)
{
	size_t i;

	if (m->cap == 0)
		return NULL;
	for (i = h & (m->cap - 1); m->slots[i].key != NULL; i = (i + 1) & (m->cap - 1))
		if (m->slots[i].hash == h && m->slots[i].len == len &&
		    memcmp(m->slots[i].key, key, len) == 0)
			return &m->slots[i];
	return NULL;
}

void *
map_get(const struct map *m, const void *key, size_t len)
{
	struct map_slot *s = find(m, hash_of(key, len), key, len);

	return s != NULL ? s->value : NULL;
}

static void
insert(struct map *m, struct map_slot slot)
{
	size_t i;

	for (i = slot.hash & (m->cap - 1); m->slots[i].key != NULL;
	     i = (i + 1) & (m->cap - 1))
		;
	m->slots[i] = slot;
}

static int
grow(struct map *m)
{
	struct map bigger = {.cap = m->cap == 0 ? 64 : m->cap * 2, .n = m->n};
	size_t i;

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return -1;
	for (i = 0; i < m->cap; i++)
		if (m->slots[i].key != NULL)
			insert(&bigger, m->slots[i]);
	free(m->slots);
	*m = bigger;
	return 0;
}

int
map_put(struct map *m, const void *key, size_t len, void *value)
{
	struct map_slot slot = {hash_of(key, len), key, len, value}, *s;

	s = find(m, slot.hash, key, len);
	if (s != NULL) {
		*s = slot;
		return 0;
	}
	if (m->n * 2 >= m->cap && grow(m) == -1)
		return -1;
	insert(m, slot);
	m->n++;
	return 0;
}

void
map_del(struct map *m, const void *key, size_t len)
{
	struct map_slot *s = find(m, hash_of(key, len), key, len);
	size_t hole, i, home, mask = m->cap - 1;

	if (s == NULL)
		return;
	hole = (size_t)(s - m->slots);
	for (i = (hole + 1) & mask; m->slots[i].key != NULL; i = (i + 1) & mask) {
		home = m->slots[i].hash & mask;
		/* may it move to the hole without coming before its home? */
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole].key = NULL;
	m->n--;
}

void
map_clear(struct map *m)
{
	free(m->slots);
	memset(m, 0, sizeof(*m));
}
