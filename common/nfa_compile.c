/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns into programs; see nfa.h. By recursive descent, one pass, without a tree: what
 * is repeated {m,n} times is read again for each copy, and a branch is put in front of
 * what is there already. Every recursion and every copy is counted, so that neither stack
 * nor time depend on how a pattern is nested.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nfa_int.h"
#include "common/utf8.h"

#define DEPTH_MAX 50    /* groups in groups */
#define WORK_MAX 20000  /* items read, copies included */
#define REPEAT_MAX 1000 /* {m,n} */
#define NO_LIMIT UINT32_MAX

struct compiling {
	struct span in;
	size_t pos;
	struct nfa *p;
	unsigned depth, work;
	char *err;
	size_t err_size, err_at;
	bool failed;
};

__attribute__((format(printf, 3, 4))) static int
fail(struct compiling *c, size_t at, const char *fmt, ...)
{
	va_list ap;

	if (!c->failed) {
		va_start(ap, fmt);
		vsnprintf(c->err, c->err_size, fmt, ap);
		va_end(ap);
		c->err_at = at;
	}
	c->failed = true;
	return -1;
}

static int
too_large(struct compiling *c)
{
	return fail(c, c->pos,
	    "the pattern is too large: write smaller repetitions, or several patterns");
}

/* ---- the program ---- */

static int
emit(struct compiling *c, enum nfa_op op, uint32_t ch, int32_t x, int32_t y)
{
	if (c->p->n == NFA_STATES_MAX)
		return too_large(c);
	c->p->code[c->p->n++] = (struct nfa_inst){op, ch, x, y};
	return 0;
}

/* In front of what was emitted since `at`, none of which jumps out of itself. */
static int
insert(struct compiling *c, int32_t at, enum nfa_op op, int32_t x, int32_t y)
{
	struct nfa *p = c->p;

	if (p->n == NFA_STATES_MAX)
		return too_large(c);
	memmove(&p->code[at + 1], &p->code[at], (size_t)(p->n - at) * sizeof p->code[0]);
	p->code[at] = (struct nfa_inst){op, 0, x, y};
	p->n++;
	return 0;
}

static int
add_range(struct compiling *c, uint32_t lo, uint32_t hi)
{
	if (c->p->nranges == NFA_RANGES_MAX)
		return too_large(c);
	c->p->range[c->p->nranges++] = (struct nfa_range){lo, hi};
	return 0;
}

/* ---- characters ---- */

static bool
more(const struct compiling *c)
{
	return c->pos < c->in.len;
}

static char
peek(const struct compiling *c)
{
	return more(c) ? c->in.p[c->pos] : '\0';
}

static int
take_char(struct compiling *c, uint32_t *out)
{
	size_t n =
	    utf8_decode((const uint8_t *)c->in.p + c->pos, c->in.len - c->pos, out);

	if (n == 0 || *out < 0x20 || *out == 0x7f)
		return fail(c, c->pos, "a control character, or not UTF-8");
	c->pos += n;
	return 0;
}

static int
take_hex(struct compiling *c, unsigned digits, uint32_t *out)
{
	unsigned i;
	char ch;

	*out = 0;
	for (i = 0; i < digits; i++, c->pos++) {
		ch = peek(c);
		if (ch >= '0' && ch <= '9')
			*out = *out * 16 + (uint32_t)(ch - '0');
		else if ((ch >= 'a' && ch <= 'f') || (ch >= 'A' && ch <= 'F'))
			*out = *out * 16 + (uint32_t)((ch | 0x20) - 'a') + 10;
		else
			return fail(c, c->pos, "expected %u hexadecimal digits", digits);
	}
	return 0;
}

/* The classes behind \d, \w, \s; their complements for capitals. 0, 1: not one. */
static int
add_named(struct compiling *c, char name)
{
	static const struct nfa_range digit[] = {{'0', '9'}},
				      word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'},
					  {'a', 'z'}},
				      space[] = {{'\t', '\r'}, {' ', ' '}};
	const struct nfa_range *r;
	uint32_t from = 0;
	size_t n, i;

	switch (name | 0x20) {
	case 'd':
		r = digit, n = 1;
		break;
	case 'w':
		r = word, n = 4;
		break;
	case 's':
		r = space, n = 2;
		break;
	default:
		return 1;
	}
	for (i = 0; i < n; i++) {
		if ((name & 0x20) != 0) {
			if (add_range(c, r[i].lo, r[i].hi) == -1)
				return -1;
			continue;
		}
		if (r[i].lo > from && add_range(c, from, r[i].lo - 1) == -1)
			return -1;
		from = r[i].hi + 1;
	}
	return (name & 0x20) == 0 ? add_range(c, from, UINT32_MAX) : 0;
}

/* Behind a backslash, what stands for one character. */
static int
take_escape(struct compiling *c, uint32_t *out)
{
	static const char letters[] = "tnrfv", values[] = "\t\n\r\f\v";
	size_t at = c->pos - 1;
	char ch = peek(c);
	const char *p;

	if (!more(c))
		return fail(c, at, "a backslash at the end");
	c->pos++;
	if ((p = strchr(letters, ch)) != NULL && ch != '\0') {
		*out = (uint32_t)(unsigned char)values[p - letters];
		return 0;
	}
	if (ch == 'x')
		return take_hex(c, 2, out);
	if (ch == 'u')
		return take_hex(c, 4, out);
	if (ch >= '0' && ch <= '9')
		return fail(c, at,
		    "references to groups are not possible, since matching takes linear "
		    "time");
	if ((unsigned char)ch <= 0x20 || (unsigned char)ch >= 0x7f ||
	    ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z'))
		return fail(c, at, "this escape has no meaning");
	*out = (uint32_t)(unsigned char)ch;
	return 0;
}

/* ---- [...] ---- */

/* One end of a range. 1: it was a class such as \d instead. */
static int
class_item(struct compiling *c, uint32_t *out)
{
	int r;

	if (peek(c) != '\\')
		return take_char(c, out);
	c->pos++;
	if (more(c) && (r = add_named(c, peek(c))) != 1) {
		c->pos++;
		return r == -1 ? -1 : 1;
	}
	return take_escape(c, out);
}

static int
class_range(struct compiling *c)
{
	size_t at = c->pos;
	uint32_t lo, hi;
	int r = class_item(c, &lo);

	if (r != 0)
		return r == -1 ? -1 : 0;
	hi = lo;
	if (peek(c) == '-' && c->pos + 1 < c->in.len && c->in.p[c->pos + 1] != ']') {
		c->pos++;
		if ((r = class_item(c, &hi)) != 0)
			return r == -1 ? -1 : fail(c, at, "a range ends in a class");
		if (hi < lo)
			return fail(c, at, "the range is in the wrong order");
	}
	return add_range(c, lo, hi);
}

static int
bracket(struct compiling *c)
{
	size_t at = c->pos - 1;
	int32_t first = c->p->nranges;
	bool not = peek(c) == '^';

	c->pos += not ;
	if (peek(c) == ']')
		return fail(c, at, "an empty class: write \\] for a bracket");
	while (more(c) && peek(c) != ']')
		if (class_range(c) == -1)
			return -1;
	if (!more(c))
		return fail(c, at, "[ without ]");
	c->pos++;
	return emit(c, NFA_CLASS, not, first, c->p->nranges - first);
}

/* ---- the rest ---- */

static int alternatives(struct compiling *);

static int
group(struct compiling *c)
{
	size_t at = c->pos - 1;

	if (peek(c) == '?') {
		c->pos++;
		if (peek(c) != ':')
			return fail(c, at,
			    "lookaround, names and flags are not possible: write ( ) or "
			    "(?: )");
		c->pos++;
	}
	if (alternatives(c) == -1)
		return -1;
	if (peek(c) != ')')
		return fail(c, at, "( without )");
	c->pos++;
	return 0;
}

static int
escape(struct compiling *c)
{
	int32_t first = c->p->nranges;
	uint32_t ch;
	int r;

	if (peek(c) == 'b' || peek(c) == 'B')
		return emit(c, NFA_WORD, c->in.p[c->pos++] == 'B', 0, 0);
	if (more(c) && (r = add_named(c, peek(c))) != 1) {
		c->pos++;
		return r == -1 ? -1 : emit(c, NFA_CLASS, 0, first, c->p->nranges - first);
	}
	return take_escape(c, &ch) == -1 ? -1 : emit(c, NFA_CHAR, ch, 0, 0);
}

/* 0, 1: something that cannot be repeated. */
static int
item(struct compiling *c)
{
	size_t at = c->pos;
	uint32_t ch;

	if (++c->work > WORK_MAX)
		return too_large(c);
	if (take_char(c, &ch) == -1)
		return -1;
	switch (ch) {
	case '.':
		return emit(c, NFA_ANY, 0, 0, 0);
	case '^':
		return emit(c, NFA_BEGIN, 0, 0, 0) == -1 ? -1 : 1;
	case '$':
		return emit(c, NFA_END, 0, 0, 0) == -1 ? -1 : 1;
	case '[':
		return bracket(c);
	case '(':
		return group(c);
	case '\\':
		if (peek(c) == 'b' || peek(c) == 'B')
			return escape(c) == -1 ? -1 : 1;
		return escape(c);
	case '*':
	case '+':
	case '?':
		return fail(c, at, "nothing before this %c to repeat", (char)ch);
	case '{':
	case '}':
	case ']':
		return fail(c, at, "write \\%c when the character is meant", (char)ch);
	default:
		return emit(c, NFA_CHAR, ch, 0, 0);
	}
}

static int
number(struct compiling *c, uint32_t *out)
{
	size_t at = c->pos;

	for (*out = 0; peek(c) >= '0' && peek(c) <= '9'; c->pos++)
		if ((*out = *out * 10 + (uint32_t)(peek(c) - '0')) > REPEAT_MAX)
			return fail(c, at, "more than %d repetitions", REPEAT_MAX);
	return c->pos > at
	    ? 0
	    : fail(c, at, "expected a number, or \\{ when the character is meant");
}

/* How often? 0, 1: no quantifier. */
static int
quantifier(struct compiling *c, uint32_t *min, uint32_t *max)
{
	size_t at = c->pos;
	char ch = peek(c);

	if (ch != '*' && ch != '+' && ch != '?' && ch != '{')
		return 1;
	c->pos++;
	*min = ch == '+';
	*max = ch == '?' ? 1 : NO_LIMIT;
	if (ch == '{') {
		if (number(c, min) == -1)
			return -1;
		*max = *min;
		if (peek(c) == ',') {
			c->pos++;
			*max = NO_LIMIT;
			if (peek(c) != '}' && number(c, max) == -1)
				return -1;
		}
		if (peek(c) != '}')
			return fail(c, at, "{ without }");
		c->pos++;
		if (*max < *min)
			return fail(c, at, "the numbers are in the wrong order");
	}
	if (peek(c) == '?')
		c->pos++;
	if (more(c) && strchr("*+?{", peek(c)) != NULL)
		return fail(c, c->pos, "repeated twice: write ( ) around the first");
	return 0;
}

/* The item at `from` once more. */
static int
copy(struct compiling *c, size_t from)
{
	c->pos = from;
	return item(c) == -1 ? -1 : 0;
}

static int
star(struct compiling *c, int32_t at)
{
	int32_t len = c->p->n - at;

	return insert(c, at, NFA_SPLIT, 1, len + 2) == -1
	    ? -1
	    : emit(c, NFA_JUMP, 0, -(len + 1), 0);
}

static int
repeated(struct compiling *c)
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
		return fail(c, end, "this cannot be repeated");
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
alternatives(struct compiling *c)
{
	int32_t at = c->p->n, last = -1, before;

	if (c->depth++ == DEPTH_MAX)
		return fail(c, c->pos, "more than %d groups in groups", DEPTH_MAX);
	for (;;) {
		while (more(c) && peek(c) != '|' && peek(c) != ')')
			if (repeated(c) == -1)
				return -1;
		if (peek(c) != '|')
			break;
		c->pos++;
		/* where the jumps lead is known at the end: until then they are a list */
		if (insert(c, at, NFA_SPLIT, 1, c->p->n - at + 2) == -1 ||
		    emit(c, NFA_JUMP, 0, 0, last) == -1)
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
	struct compiling c = {.in = pattern, .err = err, .err_size = err_size};
	struct nfa *p = NULL;

	*at = 0;
	if (pattern.len > NFA_PATTERN_MAX) {
		snprintf(err, err_size, "more than %d octets", NFA_PATTERN_MAX);
		return NULL;
	}
	c.p = new_program(NFA_STATES_MAX, NFA_RANGES_MAX);
	if (c.p == NULL)
		goto memory;
	if (alternatives(&c) == 0 && more(&c))
		(void)fail(&c, c.pos, ") without (");
	if (!c.failed)
		(void)emit(&c, NFA_MATCH, 0, 0, 0);
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
