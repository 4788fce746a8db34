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

/* A pattern on its way; err and err_at are set by the first nfa_fail(). */
struct nfa_compiling {
	struct span in;
	size_t pos;
	struct nfa *p;
	unsigned depth, work;
	char *err;
	size_t err_size, err_at;
	bool failed;
};

int nfa_fail(struct nfa_compiling *, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int nfa_too_large(struct nfa_compiling *);
int nfa_emit(struct nfa_compiling *, enum nfa_op, uint32_t ch, int32_t x, int32_t y);
/* A character of the pattern as it stands. */
int nfa_take_char(struct nfa_compiling *, uint32_t *out);
/* Behind a backslash, what stands for one character. */
int nfa_take_escape(struct nfa_compiling *, uint32_t *out);
/* The ranges behind \d, \w, \s; their complements for capitals. 0, 1: not one. */
int nfa_add_named(struct nfa_compiling *, char name);
/* Behind "[", up to "]". */
int nfa_bracket(struct nfa_compiling *);

static inline bool
nfa_more(const struct nfa_compiling *c)
{
	return c->pos < c->in.len;
}

static inline char
nfa_peek(const struct nfa_compiling *c)
{
	return nfa_more(c) ? c->in.p[c->pos] : '\0';
}

#endif
