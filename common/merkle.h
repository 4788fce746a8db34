/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree over the ledger's rows (RFC 9162 section 2.1): the judge grows it, the
 * verifier grows it again and checks paths and roots, which may come from anywhere.
 * Numbers of leaves count from 0. Main thread only (sha256.h).
 */
#ifndef AEGIS_MERKLE_H
#define AEGIS_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#define MERKLE_LEN 32
#define MERKLE_PATH_MAX 64 /* nodes of a path in the largest tree */

/* A tree that grows: for each bit of its size the root of a full subtree. */
struct merkle {
	uint64_t size; /* leaves */
	uint8_t node[64][MERKLE_LEN];
};

/* The hash of a leaf, SHA-256(0x00 || data), and of a node, SHA-256(0x01 || left ||
 * right); out may be one of the inputs. */
void merkle_leaf(const void *data, size_t len, uint8_t out[MERKLE_LEN]);
void merkle_node(const uint8_t left[MERKLE_LEN], const uint8_t right[MERKLE_LEN],
    uint8_t out[MERKLE_LEN]);

/* The empty tree. */
void merkle_init(struct merkle *);
/* One leaf more, as merkle_leaf() made it. Up to 2^63 leaves. */
void merkle_push(struct merkle *, const uint8_t leaf[MERKLE_LEN]);
/* The root over the leaves so far, MTH(D_n) of section 2.1.1; of none, SHA-256(""). */
void merkle_root(const struct merkle *, uint8_t root[MERKLE_LEN]);

/*
 * Whether leaf number `index` is in the tree of `size` leaves with this root; path is
 * from the leaf upwards (section 2.1.3.2). 0, or -1 when it is not shown.
 */
int merkle_path_verify(const uint8_t leaf[MERKLE_LEN], uint64_t index, uint64_t size,
    const uint8_t (*path)[MERKLE_LEN], size_t n, const uint8_t root[MERKLE_LEN]);

/*
 * Whether the tree of `size` leaves continues the one of `old_size` (section 2.1.4.2).
 * 0, or -1 when it is not shown; of an empty tree nothing can be shown.
 */
int merkle_consistency_verify(uint64_t old_size, const uint8_t old_root[MERKLE_LEN],
    uint64_t size, const uint8_t root[MERKLE_LEN], const uint8_t (*path)[MERKLE_LEN],
    size_t n);

#endif
