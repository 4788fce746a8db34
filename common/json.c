/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON parser; see json.h. One pass without recursion over bytes from anybody, in
 * judge and wherever else JSON is read. Accessors are in json_get.c, names in
 * json_name.c.
 */
#include "common/json.h"

#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

#define SIZE_DEFAULT ((size_t)1 << 20)
#define SIZE_CEILING ((size_t)1 << 30) /* offsets are 32 bit */
#define NODES_DEFAULT 65536u
#define NODES_CEILING (1u << 28)
#define DEPTH_DEFAULT 64u
#define NODES_FIRST 128u

struct parser {
	struct json_doc *d;
	const uint8_t *p, *end;
	uint32_t max_nodes, max_depth, depth;
	uint32_t stack[JSON_DEPTH_CEILING]; /* open containers */
};

void
json_init(struct json_doc *d)
{
	memset(d, 0, sizeof(*d));
}

void
json_free(struct json_doc *d)
{
	free(d->nodes);
	free(d->order);
	json_init(d);
}

static enum json_err
fail(struct parser *s, enum json_err e, const uint8_t *at)
{
	s->d->err_at = (uint32_t)(at - s->d->base);
	return e;
}

/* The error for a byte that does not belong here, or for the end of the input. */
static enum json_err
unexpected(struct parser *s)
{
	return fail(s, s->p == s->end ? JSON_E_EOF : JSON_E_SYNTAX, s->p);
}

static void
skip_space(struct parser *s)
{
	while (s->p < s->end &&
	    (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

/* nodes and order grow together: there are never more names than nodes */
static enum json_err
grow(struct parser *s)
{
	struct json_doc *d = s->d;
	struct json_node *nodes;
	uint32_t *order, cap;

	cap = d->cap == 0 ? NODES_FIRST : d->cap * 2; /* <= 2 * NODES_CEILING */
	if ((nodes = reallocarray(d->nodes, cap, sizeof(*nodes))) == NULL)
		return fail(s, JSON_E_MEMORY, s->p);
	d->nodes = nodes;
	if ((order = reallocarray(d->order, cap, sizeof(*order))) == NULL)
		return fail(s, JSON_E_MEMORY, s->p);
	d->order = order;
	d->cap = cap;
	return JSON_OK;
}

/* Appends a node that starts at the current byte; its length is set later. */
static enum json_err
add_node(struct parser *s, enum json_type type, uint32_t *idx)
{
	struct json_doc *d = s->d;
	struct json_node *n;
	enum json_err e;

	if (d->nnodes >= s->max_nodes)
		return fail(s, JSON_E_NODES, s->p);
	if (d->nnodes == d->cap && (e = grow(s)) != JSON_OK)
		return e;
	*idx = d->nnodes++;
	n = &d->nodes[*idx];
	n->start = (uint32_t)(s->p - d->base);
	n->len = 0;
	n->next = d->nnodes;
	n->count = n->order = 0;
	n->type = (uint8_t)type;
	n->flags = 0;
	return JSON_OK;
}

static enum json_err
parse_string(struct parser *s, uint32_t *idx)
{
	struct json_node *n;
	const uint8_t *p;
	enum json_err e;
	uint32_t cp;
	uint8_t flags = 0;
	int used;

	if ((e = add_node(s, JT_STRING, idx)) != JSON_OK)
		return e;
	p = s->p + 1;
	for (;;) {
		p = json_skip_plain(p, s->end);
		if (p == s->end)
			return fail(s, JSON_E_EOF, p);
		if (*p == '"')
			break;
		if (*p == '\\') {
			used = json_unescape(p, (size_t)(s->end - p), &cp);
			if (used < 0)
				return fail(s, (enum json_err)used, p);
			flags |= JSON_F_ESC;
		} else if (*p < 0x20) {
			return fail(s, JSON_E_CONTROL, p);
		} else {
			used = (int)utf8_decode(p, (size_t)(s->end - p), &cp);
			if (used == 0)
				return fail(s, JSON_E_UTF8, p);
			flags |= JSON_F_HIGH;
		}
		p += used;
	}
	n = &s->d->nodes[*idx];
	n->flags = flags;
	n->len = (uint32_t)(p + 1 - s->p);
	s->p = p + 1;
	return JSON_OK;
}

static const uint8_t *
digits(const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* RFC 8259 section 6 */
static enum json_err
parse_number(struct parser *s)
{
	const uint8_t *p = s->p, *q;
	enum json_err e;
	uint32_t idx;

	if ((e = add_node(s, JT_NUMBER, &idx)) != JSON_OK)
		return e;
	if (*p == '-')
		p++;
	q = digits(p, s->end);
	if (q == p || (*p == '0' && q - p > 1))
		return fail(s, JSON_E_NUMBER, p);
	p = q;
	if (p < s->end && *p == '.') {
		p++;
		if ((q = digits(p, s->end)) == p)
			return fail(s, JSON_E_NUMBER, p);
		p = q;
	}
	if (p < s->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < s->end && (*p == '+' || *p == '-'))
			p++;
		if ((q = digits(p, s->end)) == p)
			return fail(s, JSON_E_NUMBER, p);
		p = q;
	}
	s->d->nodes[idx].len = (uint32_t)(p - s->p);
	s->p = p;
	return JSON_OK;
}

static enum json_err
parse_word(struct parser *s, enum json_type type, const char *word)
{
	size_t len = strlen(word), i;
	enum json_err e;
	uint32_t idx;

	if ((e = add_node(s, type, &idx)) != JSON_OK)
		return e;
	for (i = 0; i < len; i++, s->p++)
		if (s->p == s->end || *s->p != (uint8_t)word[i])
			return unexpected(s);
	s->d->nodes[idx].len = (uint32_t)len;
	return JSON_OK;
}

static enum json_err
parse_name(struct parser *s)
{
	enum json_err e;
	uint32_t idx;

	skip_space(s);
	if (s->p == s->end || *s->p != '"')
		return unexpected(s);
	if ((e = parse_string(s, &idx)) != JSON_OK)
		return e;
	skip_space(s);
	if (s->p == s->end || *s->p != ':')
		return unexpected(s);
	s->p++;
	return JSON_OK;
}

static enum json_err
open_container(struct parser *s, enum json_type type)
{
	enum json_err e;
	uint32_t idx;

	if (s->depth >= s->max_depth)
		return fail(s, JSON_E_DEPTH, s->p);
	if ((e = add_node(s, type, &idx)) != JSON_OK)
		return e;
	s->stack[s->depth++] = idx;
	s->p++;
	return JSON_OK;
}

/* Sorts the names of a finished object, which also brings equal ones together. */
static enum json_err
sort_names(struct parser *s, struct json_node *obj)
{
	struct json_doc *d = s->d;
	uint32_t *o, i, name;

	obj->order = d->norder;
	o = d->order + d->norder;
	name = (uint32_t)(obj - d->nodes) + 1;
	for (i = 0; i < obj->count; i++) {
		o[i] = name;
		name = d->nodes[name + 1].next;
	}
	d->norder += obj->count;
	json_name_sort(d, o, obj->count, false);
	for (i = 1; i < obj->count; i++) {
		if (json_name_cmp(d, o[i - 1], o[i], false) == 0) {
			name = o[i] > o[i - 1] ? o[i] : o[i - 1];
			return fail(s, JSON_E_DUPLICATE, d->base + d->nodes[name].start);
		}
	}
	return JSON_OK;
}

/* Closes the innermost container at its bracket. */
static enum json_err
close_container(struct parser *s)
{
	struct json_node *n = &s->d->nodes[s->stack[--s->depth]];

	s->p++;
	n->len = (uint32_t)(s->p - s->d->base) - n->start;
	n->next = s->d->nnodes;
	return n->type == JT_OBJECT ? sort_names(s, n) : JSON_OK;
}

/*
 * After a value: closes what ends here and stops before the next value.
 * *done is set when the root is complete.
 */
static enum json_err
after_value(struct parser *s, bool *done)
{
	struct json_node *n;
	enum json_err e;

	while (s->depth > 0) {
		n = &s->d->nodes[s->stack[s->depth - 1]];
		n->count++;
		skip_space(s);
		if (s->p == s->end)
			return unexpected(s);
		if (*s->p == ',') {
			s->p++;
			return n->type == JT_OBJECT ? parse_name(s) : JSON_OK;
		}
		if (*s->p != (n->type == JT_OBJECT ? '}' : ']'))
			return unexpected(s);
		if ((e = close_container(s)) != JSON_OK)
			return e;
	}
	*done = true;
	return JSON_OK;
}

/* Parses a scalar, or opens a container; *inside tells that its first child is next. */
static enum json_err
parse_value(struct parser *s, bool *inside)
{
	enum json_type type;
	enum json_err e;
	uint32_t idx;
	uint8_t c;

	*inside = false;
	skip_space(s);
	if (s->p == s->end)
		return unexpected(s);
	switch (c = *s->p) {
	case '"':
		return parse_string(s, &idx);
	case 't':
		return parse_word(s, JT_TRUE, "true");
	case 'f':
		return parse_word(s, JT_FALSE, "false");
	case 'n':
		return parse_word(s, JT_NULL, "null");
	case '{':
	case '[':
		type = c == '{' ? JT_OBJECT : JT_ARRAY;
		if ((e = open_container(s, type)) != JSON_OK)
			return e;
		skip_space(s);
		if (s->p < s->end && *s->p == (c == '{' ? '}' : ']'))
			return close_container(s);
		*inside = true;
		return c == '{' ? parse_name(s) : JSON_OK;
	default:
		if (c == '-' || (c >= '0' && c <= '9'))
			return parse_number(s);
		return unexpected(s);
	}
}

static enum json_err
parse_document(struct parser *s)
{
	bool inside, done = false;
	enum json_err e;

	while (!done) {
		if ((e = parse_value(s, &inside)) != JSON_OK)
			return e;
		if (!inside && (e = after_value(s, &done)) != JSON_OK)
			return e;
	}
	skip_space(s);
	return s->p == s->end ? JSON_OK : fail(s, JSON_E_TRAILING, s->p);
}

enum json_err
json_parse(
    struct json_doc *d, const void *p, size_t len, const struct json_limits *limits)
{
	static const struct json_limits none;
	struct parser
	    s; /* stack[] stays unset on purpose: it is written before it is read */
	enum json_err e;
	size_t size;

	if (limits == NULL)
		limits = &none;
	size = limits->size == 0 ? SIZE_DEFAULT : limits->size;
	s.max_nodes = limits->nodes == 0 ? NODES_DEFAULT : limits->nodes;
	s.max_depth = limits->depth == 0 ? DEPTH_DEFAULT : limits->depth;
	if (s.max_nodes > NODES_CEILING)
		s.max_nodes = NODES_CEILING;
	if (s.max_depth > JSON_DEPTH_CEILING)
		s.max_depth = JSON_DEPTH_CEILING;

	d->base = p == NULL ? (const uint8_t *)"" : p; /* NULL goes with len 0 */
	d->len = len;
	d->nnodes = d->norder = d->err_at = 0;
	if (len > size || len > SIZE_CEILING) {
		d->len = 0;
		return JSON_E_SIZE;
	}
	s.d = d;
	s.p = d->base;
	s.end = s.p + len;
	s.depth = 0;
	if ((e = parse_document(&s)) != JSON_OK)
		d->nnodes = d->norder = 0;
	return e;
}

const char *
json_strerror(enum json_err e)
{
	switch (e) {
	case JSON_OK:
		return "no error";
	case JSON_E_EOF:
		return "unexpected end of input";
	case JSON_E_SYNTAX:
		return "unexpected character";
	case JSON_E_NUMBER:
		return "malformed number";
	case JSON_E_ESCAPE:
		return "malformed escape";
	case JSON_E_SURROGATE:
		return "lone surrogate";
	case JSON_E_NUL:
		return "U+0000 in a string";
	case JSON_E_CONTROL:
		return "control character in a string";
	case JSON_E_UTF8:
		return "invalid UTF-8";
	case JSON_E_DUPLICATE:
		return "duplicate member name";
	case JSON_E_TRAILING:
		return "data after the value";
	case JSON_E_DEPTH:
		return "nested too deeply";
	case JSON_E_NODES:
		return "too many values";
	case JSON_E_SIZE:
		return "too large";
	case JSON_E_MEMORY:
		return "out of memory";
	}
	return "unknown error";
}
