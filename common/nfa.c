/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching; see nfa.h. Each character moves every state of a list to the next list, in
 * which a state stands once; so time does not depend on what agents wrote but for its
 * length. Judge, workers and the command line, one thread each.
 */
#include "common/nfa_int.h"
#include "common/utf8.h"

struct states {
	int32_t v[NFA_STATES_MAX];
	int32_t n;
};

/* Scratch, so that a search needs no memory. mark[i] == round: i is in the list. */
static struct states list_a, list_b;
static int32_t stack[2 * NFA_STATES_MAX + 2];
static uint64_t mark[NFA_STATES_MAX], round_now;

#define NO_CHAR UINT32_MAX /* before the first character and behind the last */

static bool
is_word(uint32_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' ||
	    (c >= 'a' && c <= 'z');
}

static bool
in_class(const struct nfa *p, const struct nfa_inst *i, uint32_t c)
{
	bool in = false;

	for (int32_t k = i->x; k < i->x + i->y && !in; k++)
		in = c >= p->range[k].lo && c <= p->range[k].hi;
	return in != (i->c != 0);
}

static bool
takes(const struct nfa *p, const struct nfa_inst *i, uint32_t c)
{
	switch (i->op) {
	case NFA_CHAR:
		return c == i->c;
	case NFA_ANY:
		return c != '\n' && c != '\r' && c != 0x2028 && c != 0x2029;
	case NFA_CLASS:
		return in_class(p, i, c);
	default:
		return false;
	}
}

/* Adds a state and what follows from it without a character. True at a match. */
static bool
follow(const struct nfa *p, struct states *to, int32_t from, uint32_t before, uint32_t c)
{
	int32_t n = 0, at;

	stack[n++] = from;
	while (n > 0) {
		const struct nfa_inst *i;

		at = stack[--n];
		if (mark[at] == round_now)
			continue;
		mark[at] = round_now;
		i = &p->code[at];
		switch (i->op) {
		case NFA_MATCH:
			return true;
		case NFA_JUMP:
			stack[n++] = at + i->x;
			break;
		case NFA_SPLIT:
			stack[n++] = at + i->y;
			stack[n++] = at + i->x;
			break;
		case NFA_BEGIN:
			if (before == NO_CHAR)
				stack[n++] = at + 1;
			break;
		case NFA_END:
			if (c == NO_CHAR)
				stack[n++] = at + 1;
			break;
		case NFA_WORD:
			if ((is_word(before) == is_word(c)) == (i->c != 0))
				stack[n++] = at + 1;
			break;
		default:
			to->v[to->n++] = at;
		}
	}
	return false;
}

/* The character at off; octets that are no text have code points of their own. */
static uint32_t
next_char(struct span text, size_t off, size_t *len)
{
	uint32_t c;

	*len = 0;
	if (off >= text.len)
		return NO_CHAR;
	*len = utf8_decode((const uint8_t *)text.p + off, text.len - off, &c);
	if (*len > 0)
		return c;
	*len = 1;
	return 0xdc00u + (unsigned char)text.p[off];
}

bool
nfa_search(const struct nfa *p, struct span text)
{
	struct states *now = &list_a, *next = &list_b, *swap;
	size_t len, off = 0;
	uint32_t c = next_char(text, 0, &len), after;

	now->n = 0;
	round_now++;
	if (follow(p, now, 0, NO_CHAR, c))
		return true;
	while (off < text.len && (now->n > 0 || !nfa_anchored(p))) {
		off += len;
		after = next_char(text, off, &len);
		round_now++;
		next->n = 0;
		for (int32_t k = 0; k < now->n; k++)
			if (takes(p, &p->code[now->v[k]], c) &&
			    follow(p, next, now->v[k] + 1, c, after))
				return true;
		if (follow(p, next, 0, c, after))
			return true;
		c = after;
		swap = now;
		now = next;
		next = swap;
	}
	return false;
}

size_t
nfa_states(const struct nfa *p)
{
	return (size_t)p->n;
}

bool
nfa_anchored(const struct nfa *p)
{
	return p->code[0].op == NFA_BEGIN;
}
