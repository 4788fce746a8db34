/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table from octets to a pointer: agents by token, credentials by service,
 * requests by id. Keys may come from agents: SipHash under a key of this process spreads
 * them. The key's octets stay where the value keeps them. Judge only.
 */
#ifndef AEGIS_JUDGE_MAP_H
#define AEGIS_JUDGE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t hash;
	const void *key; /* NULL: free */
	size_t len;
	void *value;
};

struct map {
	struct map_slot *slots;
	size_t cap, n;
};

/* NULL when absent. */
void *map_get(const struct map *, const void *key, size_t len);
/* Adds; an equal key is replaced. 0, or -1 when out of memory. */
int map_put(struct map *, const void *key, size_t len, void *value);
/* Removes; absent is fine. */
void map_del(struct map *, const void *key, size_t len);
/* Empties and frees. */
void map_clear(struct map *);

#endif
