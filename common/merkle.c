/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See merkle.h. A tree of n leaves is kept as its full subtrees, one for each bit of n,
 * so that a leaf costs two hashes whatever n is, and the root at most 63 more.
 */
#include "common/merkle.h"

#include <stdbool.h>
#include <string.h>

#include "common/sha256.h"

void
merkle_leaf(const void *data, size_t len, uint8_t out[MERKLE_LEN])
{
	static const uint8_t mark = 0;

	sha256_two(&mark, 1, data, len, out);
}

void
merkle_node(const uint8_t left[MERKLE_LEN], const uint8_t right[MERKLE_LEN],
    uint8_t out[MERKLE_LEN])
{
	uint8_t text[1 + 2 * MERKLE_LEN] = {1};

	memcpy(text + 1, left, MERKLE_LEN);
	memcpy(text + 1 + MERKLE_LEN, right, MERKLE_LEN);
	sha256_two(text, sizeof(text), NULL, 0, out);
}

void
merkle_init(struct merkle *m)
{
	m->size = 0;
}

void
merkle_push(struct merkle *m, const uint8_t leaf[MERKLE_LEN])
{
	uint8_t hash[MERKLE_LEN];
	unsigned level;

	memcpy(hash, leaf, MERKLE_LEN);
	for (level = 0; (m->size >> level & 1) != 0; level++)
		merkle_node(m->node[level], hash, hash);
	memcpy(m->node[level], hash, MERKLE_LEN);
	m->size++;
}

void
merkle_root(const struct merkle *m, uint8_t root[MERKLE_LEN])
{
	uint64_t left = m->size;
	unsigned level;

	if (left == 0) {
		sha256_two("", 0, NULL, 0, root);
		return;
	}
	level = (unsigned)__builtin_ctzll(left);
	memcpy(root, m->node[level], MERKLE_LEN);
	for (left &= left - 1; left != 0; left &= left - 1)
		merkle_node(m->node[__builtin_ctzll(left)], root, root);
}

int
merkle_path_verify(const uint8_t leaf[MERKLE_LEN], uint64_t index, uint64_t size,
    const uint8_t (*path)[MERKLE_LEN], size_t n, const uint8_t root[MERKLE_LEN])
{
	uint8_t hash[MERKLE_LEN];
	uint64_t fn = index, sn = size - 1;
	size_t i;

	if (index >= size)
		return -1;
	memcpy(hash, leaf, MERKLE_LEN);
	for (i = 0; i < n; i++) {
		if (sn == 0)
			return -1;
		if ((fn & 1) != 0 || fn == sn) {
			merkle_node(path[i], hash, hash);
			for (; (fn & 1) == 0 && fn != 0; fn >>= 1)
				sn >>= 1;
		} else {
			merkle_node(hash, path[i], hash);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && memcmp(hash, root, MERKLE_LEN) == 0 ? 0 : -1;
}

int
merkle_consistency_verify(uint64_t old_size, const uint8_t old_root[MERKLE_LEN],
    uint64_t size, const uint8_t root[MERKLE_LEN], const uint8_t (*path)[MERKLE_LEN],
    size_t n)
{
	uint8_t was[MERKLE_LEN], is[MERKLE_LEN];
	uint64_t fn = old_size - 1, sn = size - 1;
	bool full = (old_size & (old_size - 1)) == 0; /* its root is a node of the new */
	size_t i = full ? 0 : 1;

	if (old_size == 0 || old_size > size)
		return -1;
	if (old_size == size)
		return n == 0 && memcmp(old_root, root, MERKLE_LEN) == 0 ? 0 : -1;
	if (n == 0)
		return -1;
	for (; (fn & 1) != 0; fn >>= 1)
		sn >>= 1;
	memcpy(was, full ? old_root : path[0], MERKLE_LEN);
	memcpy(is, was, MERKLE_LEN);
	for (; i < n; i++) {
		if (sn == 0)
			return -1;
		if ((fn & 1) != 0 || fn == sn) {
			merkle_node(path[i], was, was);
			merkle_node(path[i], is, is);
			for (; (fn & 1) == 0 && fn != 0; fn >>= 1)
				sn >>= 1;
		} else {
			merkle_node(is, path[i], is);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && memcmp(was, old_root, MERKLE_LEN) == 0 &&
		memcmp(is, root, MERKLE_LEN) == 0
	    ? 0
	    : -1;
}
