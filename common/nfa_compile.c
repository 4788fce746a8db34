/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns into programs; see nfa.h. By recursive descent, one pass, without a tree: what
 * is repeated {m,n} times is read again for each copy, and a branch is put in front of
 * what is there already. Every recursion and every copy is counted, so that neither stack
 * nor time depend on how a pattern is nested.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nfa_int.h"

#define DEPTH_MAX 50    /* groups in groups */
#define WORK_MAX 20000  /* items read, copies included */
#define REPEAT_MAX 1000 /* {m,n} */
#define NO_LIMIT UINT32_MAX

/* In front of what was emitted since `at`, none of which jumps out of itself. */
static int
insert(struct nfa_compiling *c, int32_t at, enum nfa_op op, int32_t x, int32_t y)
{
	struct nfa *p = c->p;

	if (p->n == NFA_STATES_MAX)
		return nfa_too_large(c);
	memmove(&p->code[at + 1], &p->code[at], (size_t)(p->n - at) * sizeof p->code[0]);
	p->code[at] = (struct nfa_inst){op, 0, x, y};
	p->n++;
	return 0;
}

static int alternatives(struct nfa_compiling *);

static int
group(struct nfa_compiling *c)
{
	size_t at = c->pos - 1;

	if (nfa_peek(c) == '?') {
		c->pos++;
		if (nfa_peek(c) != ':')
			return nfa_fail(c, at,
			    "lookaround, names and flags are not possible: write ( ) or "
			    "(?: )");
		c->pos++;
	}
	if (alternatives(c) == -1)
		return -1;
	if (nfa_peek(c) != ')')
		return nfa_fail(c, at, "( without )");
	c->pos++;
	return 0;
}

static int
escape(struct nfa_compiling *c)
{
	int32_t first = c->p->nranges;
	uint32_t ch;
	int r;

	if (nfa_peek(c) == 'b' || nfa_peek(c) == 'B')
		return nfa_emit(c, NFA_WORD, c->in.p[c->pos++] == 'B', 0, 0);
	if (nfa_more(c) && (r = nfa_add_named(c, nfa_peek(c))) != 1) {
		c->pos++;
		return r == -1 ? -1
			       : nfa_emit(c, NFA_CLASS, 0, first, c->p->nranges - first);
	}
	return nfa_take_escape(c, &ch) == -1 ? -1 : nfa_emit(c, NFA_CHAR, ch, 0, 0);
}

/* 0, 1: something that cannot be repeated. */
static int
item(struct nfa_compiling *c)
{
	size_t at = c->pos;
	uint32_t ch;

	if (++c->work > WORK_MAX)
		return nfa_too_large(c);
	if (nfa_take_char(c, &ch) == -1)
		return -1;
	switch (ch) {
	case '.':
		return nfa_emit(c, NFA_ANY, 0, 0, 0);
	case '^':
		return nfa_emit(c, NFA_BEGIN, 0, 0, 0) == -1 ? -1 : 1;
	case '$':
		return nfa_emit(c, NFA_END, 0, 0, 0) == -1 ? -1 : 1;
	case '[':
		return nfa_bracket(c);
	case '(':
		return group(c);
	case '\\':
		if (nfa_peek(c) == 'b' || nfa_peek(c) == 'B')
			return escape(c) == -1 ? -1 : 1;
		return escape(c);
	case '*':
	case '+':
	case '?':
		return nfa_fail(c, at, "nothing before this %c to repeat", (char)ch);
	case '{':
	case '}':
	case ']':
		return nfa_fail(
		    c, at, "write \\%c when the character is meant", (char)ch);
	default:
		return nfa_emit(c, NFA_CHAR, ch, 0, 0);
	}
}

static int
number(struct nfa_compiling *c, uint32_t *out)
{
	size_t at = c->pos;

	for (*out = 0; nfa_peek(c) >= '0' && nfa_peek(c) <= '9'; c->pos++)
		if ((*out = *out * 10 + (uint32_t)(nfa_peek(c) - '0')) > REPEAT_MAX)
			return nfa_fail(c, at, "more than %d repetitions", REPEAT_MAX);
	return c->pos > at
	    ? 0
	    : nfa_fail(c, at, "expected a number, or \\{ when the character is meant");
}

/* How often? 0, 1: no quantifier. */
static int
quantifier(struct nfa_compiling *c, uint32_t *min, uint32_t *max)
{
	size_t at = c->pos;
	char ch = nfa_peek(c);

	if (ch != '*' && ch != '+' && ch != '?' && ch != '{')
		return 1;
	c->pos++;
	*min = ch == '+';
	*max = ch == '?' ? 1 : NO_LIMIT;
	if (ch == '{') {
		if (number(c, min) == -1)
			return -1;
		*max = *min;
		if (nfa_peek(c) == ',') {
			c->pos++;
			*max = NO_LIMIT;
			if (nfa_peek(c) != '}' && number(c, max) == -1)
				return -1;
		}
		if (nfa_peek(c) != '}')
			return nfa_fail(c, at, "{ without }");
		c->pos++;
		if (*max < *min)
			return nfa_fail(c, at, "the numbers are in the wrong order");
	}
	if (nfa_peek(c) == '?')
		c->pos++;
	if (nfa_more(c) && strchr("*+?{", nfa_peek(c)) != NULL)
		return nfa_fail(c, c->pos, "repeated twice: write ( ) around the first");
	return 0;
}

/* The item at `from` once more. */
static int
copy(struct nfa_compiling *c, size_t from)
{
	c->pos = from;
	return item(c) == -1 ? -1 : 0;
}

static int
star(struct nfa_compiling *c, int32_t at)
{
	int32_t len = c->p->n - at;

	return insert(c, at, NFA_SPLIT, 1, len + 2) == -1
	    ? -1
	    : nfa_emit(c, NFA_JUMP, 0, -(len + 1), 0);
}

static int
repeated(struct nfa_compiling *c)
{
	int32_t at = c->p->n, ranges = c->p->nranges;
	size_t from = c->pos, end;
	uint32_t min, max, i;
	int fixed = item(c), r;

	if (fixed == -1)
		return -1;
	end = c->pos;
	if ((r = quantifier(c, &min, &max)) != 0)
		return r == -1 ? -1 : 0;
	if (fixed == 1)
		return nfa_fail(c, end, "this cannot be repeated");
	end = c->pos;
	c->p->n = at;
	c->p->nranges = ranges;
	for (i = 0; i < min; i++)
		if (copy(c, from) == -1)
			return -1;
	if (max == NO_LIMIT) {
		at = c->p->n;
		if (copy(c, from) == -1 || star(c, at) == -1)
			return -1;
	} else {
		for (; i < max; i++) {
			at = c->p->n;
			if (copy(c, from) == -1 ||
			    insert(c, at, NFA_SPLIT, 1, c->p->n - at + 1) == -1)
				return -1;
		}
	}
	c->pos = end;
	return 0;
}

static int
alternatives(struct nfa_compiling *c)
{
	int32_t at = c->p->n, last = -1, before;

	if (c->depth++ == DEPTH_MAX)
		return nfa_fail(c, c->pos, "more than %d groups in groups", DEPTH_MAX);
	for (;;) {
		while (nfa_more(c) && nfa_peek(c) != '|' && nfa_peek(c) != ')')
			if (repeated(c) == -1)
				return -1;
		if (nfa_peek(c) != '|')
			break;
		c->pos++;
		/* where the jumps lead is known at the end: until then they are a list */
		if (insert(c, at, NFA_SPLIT, 1, c->p->n - at + 2) == -1 ||
		    nfa_emit(c, NFA_JUMP, 0, 0, last) == -1)
			return -1;
		last = c->p->n - 1;
		at = c->p->n;
	}
	for (; last != -1; last = before) {
		before = c->p->code[last].y;
		c->p->code[last].x = c->p->n - last;
	}
	c->depth--;
	return 0;
}

static struct nfa *
new_program(int32_t code, int32_t ranges)
{
	struct nfa *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->code = calloc((size_t)code, sizeof p->code[0]);
	p->range = calloc((size_t)ranges + 1, sizeof p->range[0]);
	if (p->code == NULL || p->range == NULL) {
		nfa_free(p);
		return NULL;
	}
	return p;
}

/* A copy that is not larger than it has to be. */
static struct nfa *
fit(const struct nfa *big)
{
	struct nfa *p = new_program(big->n, big->nranges);

	if (p == NULL)
		return NULL;
	p->n = big->n;
	p->nranges = big->nranges;
	memcpy(p->code, big->code, (size_t)big->n * sizeof p->code[0]);
	memcpy(p->range, big->range, (size_t)big->nranges * sizeof p->range[0]);
	return p;
}

struct nfa *
nfa_compile(struct span pattern, char *err, size_t err_size, size_t *at)
{
	struct nfa_compiling c = {.in = pattern, .err = err, .err_size = err_size};
	struct nfa *p = NULL;

	*at = 0;
	if (pattern.len > NFA_PATTERN_MAX) {
		snprintf(err, err_size, "more than %d octets", NFA_PATTERN_MAX);
		return NULL;
	}
	c.p = new_program(NFA_STATES_MAX, NFA_RANGES_MAX);
	if (c.p == NULL)
		goto memory;
	if (alternatives(&c) == 0 && nfa_more(&c))
		(void)nfa_fail(&c, c.pos, ") without (");
	if (!c.failed)
		(void)nfa_emit(&c, NFA_MATCH, 0, 0, 0);
	*at = c.err_at;
	if (!c.failed)
		p = fit(c.p);
	nfa_free(c.p);
	if (p != NULL || c.failed)
		return p;
memory:
	snprintf(err, err_size, "out of memory");
	return NULL;
}

void
nfa_free(struct nfa *p)
{
	if (p == NULL)
		return;
	free(p->code);
	free(p->range);
	free(p);
}
