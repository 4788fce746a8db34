/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aho-Corasick over the spellings of a secret, with a table in front that jumps over what
 * cannot begin one (Wu and Manber, "A fast algorithm for multi-pattern searching", 1994).
 * Jumps happen in the automaton's initial state only, so one node is all that is carried
 * from piece to piece, and every octet is looked at a bounded number of times.
 */
#include "common/reflect.h"

#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "common/reflect_forms.h"

#define SHIFT_BITS 13
#define SHIFT_SIZE (1u << SHIFT_BITS)
#define WINDOW_MAX 255
#define NODES_MAX UINT16_MAX

struct node {
	uint16_t child, next; /* first child, next sibling; 0: none */
	uint16_t fail;
	uint16_t depth;
	uint8_t c; /* the octet on the way here */
	uint8_t hit;
};

struct area {
	uint8_t fold[256];
	uint16_t root[256]; /* first steps, by folded octet */
	uint8_t
	    shift[SHIFT_SIZE]; /* how far to jump, by the last two octets of a window */
	uint32_t window;       /* length of the shortest spelling; 0: nothing to find */
	uint32_t nnodes, cap;
	uint8_t work[REFLECT_FORM_MAX];
	struct node nodes[]; /* 0 is the initial state */
};

struct reflect {
	struct secret *mem; /* a struct area */
};

/* -- making -- */

struct count {
	size_t octets, shortest;
};

static void
count_form(const uint8_t *form, size_t len, void *arg)
{
	struct count *n = arg;

	(void)form;
	n->octets += len;
	if (n->shortest == 0 || len < n->shortest)
		n->shortest = len;
}

static uint16_t
area_child(struct area *a, uint16_t at, uint8_t c)
{
	uint16_t k;

	for (k = a->nodes[at].child; k != 0; k = a->nodes[k].next)
		if (a->nodes[k].c == c)
			return k;
	return 0;
}

static unsigned
pair_hash(uint8_t a, uint8_t b)
{
	return ((unsigned)a << 5 ^ b) & (SHIFT_SIZE - 1);
}

static void
add_form(const uint8_t *form, size_t len, void *arg)
{
	struct area *a = arg;
	uint16_t at = 0, k;

	for (size_t i = 0; i < len; i++) {
		k = area_child(a, at, form[i]);
		if (k == 0) {
			if (a->nnodes == a->cap)
				return; /* cannot be: cap is the sum of all lengths */
			k = (uint16_t)a->nnodes++;
			a->nodes[k].c = form[i];
			a->nodes[k].depth = (uint16_t)(i + 1);
			a->nodes[k].next = a->nodes[at].child;
			a->nodes[at].child = k;
		}
		at = k;
	}
	a->nodes[at].hit = 1;
	for (size_t i = 1; i < a->window; i++) {
		unsigned h = pair_hash(form[i - 1], form[i]);
		size_t jump = a->window - 1 - i;

		if (a->shift[h] > jump)
			a->shift[h] = (uint8_t)jump;
	}
}

static uint16_t
step(const struct area *a, uint16_t at, uint8_t c)
{
	const struct node *nodes = a->nodes;
	uint16_t k;

	while (at != 0) {
		for (k = nodes[at].child; k != 0; k = nodes[k].next)
			if (nodes[k].c == c)
				return k;
		at = nodes[at].fail;
	}
	return a->root[c];
}

/* Failure links, nearest nodes first. order: room for every node's number. */
static void
link_nodes(struct area *a, uint16_t *order)
{
	struct node *nodes = a->nodes;
	size_t head = 0, tail = 0;
	uint16_t at, k;

	for (k = nodes[0].child; k != 0; k = nodes[k].next) {
		a->root[nodes[k].c] = k;
		order[tail++] = k;
	}
	while (head < tail) {
		at = order[head++];
		for (k = nodes[at].child; k != 0; k = nodes[k].next) {
			nodes[k].fail = step(a, nodes[at].fail, nodes[k].c);
			nodes[k].hit |= nodes[nodes[k].fail].hit;
			order[tail++] = k;
		}
	}
}

struct build {
	bool basic;
	struct count n;
	const uint8_t *secret;
	size_t len;
	size_t password; /* where it begins; 0: none */
	struct reflect *out;
};

static long
build_area(void *p, size_t max, void *arg)
{
	struct build *b = arg;
	struct area *a = p;
	uint16_t *order;

	for (unsigned c = 0; c < 256; c++)
		a->fold[c] = reflect_fold((uint8_t)c);
	a->cap = (uint32_t)((max - sizeof(*a)) / sizeof(a->nodes[0]));
	a->nnodes = 1;
	a->window = b->n.shortest > WINDOW_MAX ? WINDOW_MAX : (uint32_t)b->n.shortest;
	memset(a->shift, a->window == 0 ? 0 : (int)a->window - 1, sizeof(a->shift));
	reflect_forms(b->secret, b->len, a->work, add_form, a);
	if (b->password != 0)
		reflect_forms(
		    b->secret + b->password, b->len - b->password, a->work, add_form, a);
	order = calloc(a->nnodes, sizeof(*order));
	if (order == NULL)
		return -1;
	link_nodes(a, order);
	explicit_bzero(order, a->nnodes * sizeof(*order));
	free(order);
	return (long)(sizeof(*a) + a->nnodes * sizeof(a->nodes[0]));
}

/* Spellings are counted in a scratch of the arena too. */
static long
count_all(void *p, size_t max, void *arg)
{
	struct build *b = arg;

	(void)max;
	reflect_forms(b->secret, b->len, p, count_form, &b->n);
	if (b->password != 0)
		reflect_forms(
		    b->secret + b->password, b->len - b->password, p, count_form, &b->n);
	return 0;
}

static int
build_with(const void *p, size_t len, void *arg)
{
	struct build *b = arg;
	struct secret *scratch;
	const uint8_t *colon;
	size_t nodes;

	b->secret = p;
	b->len = len;
	colon = b->basic && len > 0 ? memchr(p, ':', len) : NULL;
	if (colon != NULL && len - (size_t)(colon + 1 - b->secret) >= REFLECT_FORMED)
		b->password = (size_t)(colon + 1 - b->secret);
	scratch = secret_new_fill(REFLECT_FORM_MAX, count_all, b);
	if (scratch == NULL)
		return -1;
	secret_free(scratch);
	nodes = b->n.octets + 1;
	if (nodes > NODES_MAX)
		return -1;
	b->out->mem = secret_new_fill(
	    sizeof(struct area) + nodes * sizeof(struct node), build_area, b);
	return b->out->mem == NULL ? -1 : 0;
}

struct reflect *
reflect_new(const struct secret *secret, bool basic)
{
	struct build b = {.basic = basic};

	b.out = calloc(1, sizeof(*b.out));
	if (b.out == NULL)
		return NULL;
	if (secret_use(secret, build_with, &b) == -1) {
		free(b.out);
		return NULL;
	}
	return b.out;
}

void
reflect_free(struct reflect *r)
{
	if (r == NULL)
		return;
	secret_free(r->mem);
	free(r);
}

/* -- searching -- */

struct feed {
	struct reflect_at *at;
	const uint8_t *p;
	size_t len;
};

static int
feed_area(const void *mem, size_t size, void *arg)
{
	const struct area *a = mem;
	struct feed *f = arg;
	const uint8_t *p = f->p, *end = p + f->len;
	size_t window = a->window;
	uint16_t at = f->at->node;

	(void)size;
	if (window == 0)
		return 0;
	while (p < end) {
		if (at == 0) {
			while ((size_t)(end - p) >= window) {
				unsigned jump = a->shift[pair_hash(
				    a->fold[p[window - 2]], a->fold[p[window - 1]])];

				if (jump == 0)
					break;
				p += jump;
			}
			at = a->root[a->fold[*p++]];
		} else {
			at = step(a, at, a->fold[*p++]);
		}
		if (a->nodes[at].hit)
			return 1;
	}
	f->at->node = at;
	return 0;
}

bool
reflect_feed(const struct reflect *r, struct reflect_at *at, const void *p, size_t len)
{
	struct feed f = {at, p, len};

	return len > 0 && secret_use(r->mem, feed_area, &f) == 1;
}

static int
depth_of(const void *mem, size_t size, void *arg)
{
	const struct area *a = mem;

	(void)size;
	return a->nodes[*(const uint16_t *)arg].depth;
}

size_t
reflect_hold(const struct reflect *r, const struct reflect_at *at)
{
	uint16_t node = at->node;

	return node == 0 ? 0 : (size_t)secret_use(r->mem, depth_of, &node);
}
