/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree against the vectors of merkle_model.py, which has it from the RFC
 * alone: each root, each path, each proof, and no proof of anything else.
 * AEGIS_MERKLE_VECTORS names another file of vectors.
 */
#include "common/merkle.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"

#define LEAVES_MAX 256

static uint8_t leaves[LEAVES_MAX][32], roots[LEAVES_MAX + 1][32];
static unsigned nleaves, nroots;
static uint8_t path[MERKLE_PATH_MAX + 1][32];
static size_t npath;

#define CONST(p) ((const uint8_t(*)[32])(p))

static void
take_nodes(const char *text)
{
	npath = 0;
	if (strcmp(text, "-") == 0)
		return;
	for (;; text += 65) {
		ck_assert_uint_lt(npath, MERKLE_PATH_MAX);
		ck_assert_int_eq(hex_decode(text, 64, path[npath++], 32), 32);
		if (text[64] == '\0')
			return;
	}
}

static bool
path_good(uint64_t index, uint64_t size, const uint8_t leaf[32])
{
	return merkle_path_verify(leaf, index, size, CONST(path), npath, roots[size]) ==
	    0;
}

/* What is not so is not shown, whatever is wrong with it. */
static void
check_path(uint64_t index, uint64_t size)
{
	uint8_t other[32];
	uint64_t i;

	ck_assert(path_good(index, size, leaves[index]));
	for (i = 0; i < nleaves; i++)
		ck_assert(i == index || !path_good(index, size, leaves[i]));
	for (i = 0; i < size + 2; i++)
		ck_assert(i == index || !path_good(i, size, leaves[index]));
	/* another size may have a path of the same shape, but never the same root */
	for (i = 0; i <= nleaves; i++)
		ck_assert(i == size || !path_good(index, i, leaves[index]));
	for (i = 0; i < npath; i++) {
		path[i][i % 32] ^= 0x10;
		ck_assert(!path_good(index, size, leaves[index]));
		path[i][i % 32] ^= 0x10;
	}
	memcpy(other, roots[size], 32);
	other[31] ^= 1;
	ck_assert_int_eq(
	    merkle_path_verify(leaves[index], index, size, CONST(path), npath, other),
	    -1);
	memset(path[npath++], 0, 32);
	ck_assert(!path_good(index, size, leaves[index]));
	npath -= 2;
	ck_assert(npath == SIZE_MAX || !path_good(index, size, leaves[index]));
}

static bool
proof_good(uint64_t old, uint64_t size)
{
	return merkle_consistency_verify(
		   old, roots[old], size, roots[size], CONST(path), npath) == 0;
}

static void
check_proof(uint64_t old, uint64_t size)
{
	uint64_t i;

	ck_assert(proof_good(old, size));
	for (i = 0; i <= nleaves; i++) {
		ck_assert(i == old || (i == size && npath == 0) || !proof_good(i, size));
		ck_assert(i == size || (i == old && npath == 0) || !proof_good(old, i));
	}
	for (i = 0; i < npath; i++) {
		path[i][i % 32] ^= 0x10;
		ck_assert(!proof_good(old, size));
		path[i][i % 32] ^= 0x10;
	}
	ck_assert_int_eq(merkle_consistency_verify(
			     old, leaves[0], size, leaves[1], CONST(path), npath),
	    -1);
	memset(path[npath++], 0, 32);
	ck_assert(!proof_good(old, size));
	npath -= 2;
	ck_assert(npath == SIZE_MAX || !proof_good(old, size));
}

START_TEST(vectors)
{
	const char *name = getenv("AEGIS_MERKLE_VECTORS");
	char *line = NULL, *word[4], *rest;
	unsigned count = 0, i;
	struct merkle m;
	uint8_t data[64], got[32], want[32];
	size_t size = 0;
	ssize_t n;
	FILE *f = fopen(name == NULL ? SRCDIR_VECTORS "/merkle.txt" : name, "re");

	ck_assert_ptr_nonnull(f);
	merkle_init(&m);
	while ((n = getline(&line, &size, f)) > 0) {
		line[n - 1] = '\0';
		for (i = 0, rest = line; i < 4; i++)
			word[i] = strsep(&rest, " ");
		if (strcmp(word[0], "leaf") == 0) {
			n = strcmp(word[1], "-") == 0
			    ? 0
			    : hex_decode(word[1], strlen(word[1]), data, sizeof(data));
			ck_assert_int_ge(n, 0);
			merkle_leaf(data, (size_t)n, leaves[nleaves]);
			ck_assert_int_eq(hex_decode(word[2], 64, want, 32), 32);
			ck_assert_mem_eq(leaves[nleaves], want, 32);
			ck_assert_uint_lt(++nleaves, LEAVES_MAX);
		} else if (strcmp(word[0], "root") == 0) {
			ck_assert_uint_eq(strtoul(word[1], NULL, 10), nroots);
			ck_assert_int_eq(hex_decode(word[2], 64, want, 32), 32);
			merkle_root(&m, got);
			ck_assert_mem_eq(got, want, 32);
			memcpy(roots[nroots++], got, 32);
			merkle_push(&m, leaves[m.size]);
		} else {
			take_nodes(word[3]);
			(strcmp(word[0], "path") == 0 ? check_path : check_proof)(
			    strtoul(word[1], NULL, 10), strtoul(word[2], NULL, 10));
		}
		count++;
	}
	free(line);
	fclose(f);
	ck_assert_uint_ge(nleaves, 13);
	ck_assert_uint_eq(count, nleaves + nroots + nleaves * (nleaves + 1));
}
END_TEST

/* A path longer than any tree is high, and trees as large as numbers go. */
START_TEST(extremes)
{
	static const uint8_t nodes[65][32];
	uint8_t leaf[32] = {0};
	size_t n;

	for (n = 0; n <= 65; n++) {
		ck_assert_int_eq(
		    merkle_path_verify(leaf, 0, UINT64_MAX, nodes, n, leaf), -1);
		ck_assert_int_eq(
		    merkle_path_verify(leaf, UINT64_MAX - 1, UINT64_MAX, nodes, n, leaf),
		    -1);
		ck_assert_int_eq(
		    merkle_path_verify(leaf, UINT64_MAX, UINT64_MAX, nodes, n, leaf), -1);
		ck_assert_int_eq(merkle_path_verify(leaf, 0, 0, nodes, n, leaf), -1);
		ck_assert_int_eq(
		    merkle_consistency_verify(1, leaf, UINT64_MAX, leaf, nodes, n), -1);
		ck_assert_int_eq(merkle_consistency_verify(
				     UINT64_MAX - 1, leaf, UINT64_MAX, leaf, nodes, n),
		    -1);
		ck_assert_int_eq(
		    merkle_consistency_verify(0, leaf, 5, leaf, nodes, n), -1);
		ck_assert_int_eq(
		    merkle_consistency_verify(6, leaf, 5, leaf, nodes, n), -1);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("merkle");
	TCase *tc = tcase_create("merkle");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, vectors);
	tcase_add_test(tc, extremes);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
