/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A master key in shares, so that any `threshold` of them give it back and fewer say
 * nothing about it: Shamir's scheme over GF(2^8), the arithmetic is libgfshare's. What
 * vault keeps of a split is who has a share of it, never a share: NAME.split beside the
 * vault file (doc/vault-format.md). Runs in vault only.
 */
#ifndef AEGIS_VAULT_SPLIT_H
#define AEGIS_VAULT_SPLIT_H

#include "keymasterd/vault/share.h"

struct split {
	uint8_t threshold, shares; /* 0: there is none */
	uint8_t group[SHARE_GROUP_LEN];
	uint64_t made_s; /* Unix seconds */
	uint8_t hashes[SHARE_MAX][SHARE_HASH_LEN];
};

#define SPLIT_FILE_MAX 8400

/* NULL, or why there cannot be so many of so many. */
const char *split_refuses_numbers(unsigned threshold, unsigned shares);

/*
 * Shares of a key of SHARE_LEN octets: their texts, a line each, which is the caller's;
 * and in *out what is kept of them. NULL without memory.
 */
struct secret *split_make(const struct secret *key, unsigned threshold, unsigned shares,
    uint64_t now_s, struct split *out);

/* NULL when the share is one of this split's, else why it does not count. */
const char *split_refuses(const struct split *, const struct share *);

/* The key of n shares with different numbers, n being the threshold; NULL without memory.
 */
struct secret *split_join(const struct share *shares, unsigned n);

/* NAME.split. 0, or -1 with errno: ENOENT when there is none, EINVAL when it is damaged.
 */
int split_load(int dirfd, const char *name, struct split *);
int split_save(int dirfd, const char *name, const struct split *);
/* The octets of such a file. 0 or -1. */
int split_decode(const uint8_t *, size_t len, struct split *);

#endif
