/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What compiling and matching share: the program. Jumps are relative, so that a piece of
 * program can be moved.
 */
#ifndef AEGIS_COMMON_NFA_INT_H
#define AEGIS_COMMON_NFA_INT_H

#include <stdint.h>

#include "common/nfa.h"

#define NFA_RANGES_MAX 1000

enum nfa_op {
	NFA_CHAR,  /* c */
	NFA_ANY,   /* but line ends */
	NFA_CLASS, /* ranges x to x + y; c: not these */
	NFA_SPLIT, /* both x and y */
	NFA_JUMP,  /* x */
	NFA_BEGIN,
	NFA_END,
	NFA_WORD, /* c: no boundary */
	NFA_MATCH
};

struct nfa_inst {
	enum nfa_op op;
	uint32_t c;
	int32_t x, y;
};

struct nfa_range {
	uint32_t lo, hi;
};

struct nfa {
	struct nfa_inst *code;
	struct nfa_range *range;
	int32_t n, nranges;
};

#endif
