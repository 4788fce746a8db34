/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accessors of a parsed JSON document; see json.h. They run in whichever process parsed
 * it. The document is trusted to be what json.c left, the values in it are not.
 */
#include "common/json.h"

#include <string.h>

#include "common/buf.h"
#include "common/utf8.h"

static const struct json_node *
node_of(const struct json_doc *d, uint32_t node)
{
	return node < d->nnodes ? &d->nodes[node] : NULL;
}

uint32_t
json_root(const struct json_doc *d)
{
	return d->nnodes > 0 ? 0 : JSON_NONE;
}

enum json_type
json_type(const struct json_doc *d, uint32_t node)
{
	const struct json_node *n = node_of(d, node);

	return n == NULL ? JT_NONE : (enum json_type)n->type;
}

uint32_t
json_count(const struct json_doc *d, uint32_t node)
{
	const struct json_node *n = node_of(d, node);

	return n == NULL ? 0 : n->count;
}

/* Compares a string node, decoded, with len bytes. */
static int
cmp_bytes(const struct json_doc *d, const struct json_node *n, const void *s, size_t len)
{
	const uint8_t *p = d->base + n->start + 1, *end = p + n->len - 2, *q = s;
	const uint8_t *qend = q + len;
	size_t size = (size_t)(end - p), used, m;
	uint8_t tmp[4];
	uint32_t cp;
	int c, k;

	if ((n->flags & JSON_F_ESC) == 0) {
		m = size < len ? size : len;
		c = m == 0 ? 0 : memcmp(p, q, m);
		return c != 0 ? c : (size > len) - (size < len);
	}
	while (p < end) {
		tmp[0] = *p;
		m = used = 1;
		if (*p == '\\') {
			if ((k = json_unescape(p, (size_t)(end - p), &cp)) < 0)
				return -1; /* cannot be: the parser has accepted it */
			used = (size_t)k;
			m = utf8_encode(cp, tmp);
		}
		for (k = 0; k < (int)m; k++, q++) {
			if (q == qend)
				return 1;
			if (tmp[k] != *q)
				return tmp[k] > *q ? 1 : -1;
		}
		p += used;
	}
	return q == qend ? 0 : -1;
}

uint32_t
json_getn(const struct json_doc *d, uint32_t node, const void *name, size_t len)
{
	const struct json_node *n = node_of(d, node);
	uint32_t lo = 0, hi, mid, idx;
	int c;

	if (n == NULL || n->type != JT_OBJECT)
		return JSON_NONE;
	for (hi = n->count; lo < hi;) {
		mid = lo + (hi - lo) / 2;
		idx = d->order[n->order + mid];
		if ((c = cmp_bytes(d, &d->nodes[idx], name, len)) == 0)
			return idx + 1;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return JSON_NONE;
}

uint32_t
json_get(const struct json_doc *d, uint32_t node, const char *name)
{
	return json_getn(d, node, name, strlen(name));
}

void
json_iter_init(struct json_iter *it, const struct json_doc *d, uint32_t node)
{
	const struct json_node *n = node_of(d, node);

	it->name = it->value = JSON_NONE;
	it->left = n == NULL ? 0 : n->count;
	it->next = node + 1;
	it->object = n != NULL && n->type == JT_OBJECT;
}

bool
json_iter_next(struct json_iter *it, const struct json_doc *d)
{
	if (it->left == 0)
		return false;
	it->left--;
	it->name = it->object ? it->next : JSON_NONE;
	it->value = it->object ? it->next + 1 : it->next;
	it->next = d->nodes[it->value].next;
	return true;
}

/* Decodes up to room bytes of a string into out. Returns the length, -1 if it is longer.
 */
static ptrdiff_t
decode(const struct json_doc *d, const struct json_node *n, uint8_t *out, size_t room)
{
	const uint8_t *p = d->base + n->start + 1, *end = p + n->len - 2;
	size_t len = 0, m;
	uint8_t tmp[4];
	uint32_t cp;
	int used;

	if ((n->flags & JSON_F_ESC) == 0) {
		len = (size_t)(end - p);
		if (len > room)
			return -1;
		memcpy(out, p, len);
		return (ptrdiff_t)len;
	}
	while (p < end) {
		used = 1;
		m = 1;
		tmp[0] = *p;
		if (*p == '\\') {
			if ((used = json_unescape(p, (size_t)(end - p), &cp)) < 0)
				return -1; /* cannot be: the parser has accepted it */
			m = utf8_encode(cp, tmp);
		}
		if (m > room - len)
			return -1;
		memcpy(out + len, tmp, m);
		len += m;
		p += used;
	}
	return (ptrdiff_t)len;
}

int
json_str_copy(
    const struct json_doc *d, uint32_t node, char *out, size_t size, size_t *len)
{
	const struct json_node *n = node_of(d, node);
	ptrdiff_t k;

	if (n == NULL || n->type != JT_STRING || size == 0)
		return -1;
	if ((k = decode(d, n, (uint8_t *)out, size - 1)) < 0) {
		out[0] = '\0';
		return -1;
	}
	out[k] = '\0';
	if (len != NULL)
		*len = (size_t)k;
	return 0;
}

int
json_str_put(const struct json_doc *d, uint32_t node, struct buf *out)
{
	const struct json_node *n = node_of(d, node);
	ptrdiff_t k;

	if (n == NULL || n->type != JT_STRING || buf_reserve(out, n->len) != 0)
		return -1;
	/* decoding never makes a string longer than its lexeme */
	if ((k = decode(d, n, out->p + out->len, out->cap - out->len)) < 0)
		return -1;
	out->len += (size_t)k;
	return 0;
}

bool
json_str_eq(const struct json_doc *d, uint32_t node, const char *s)
{
	const struct json_node *n = node_of(d, node);

	return n != NULL && n->type == JT_STRING && cmp_bytes(d, n, s, strlen(s)) == 0;
}

int
json_raw(const struct json_doc *d, uint32_t node, const uint8_t **p, size_t *len)
{
	const struct json_node *n = node_of(d, node);

	if (n == NULL)
		return -1;
	*p = d->base + n->start;
	*len = n->len;
	return 0;
}

int
json_int64(const struct json_doc *d, uint32_t node, int64_t *v)
{
	const struct json_node *n = node_of(d, node);
	const uint8_t *p;
	uint32_t i = 0;
	bool minus;
	int64_t r = 0;
	int digit;

	if (n == NULL || n->type != JT_NUMBER)
		return -1;
	p = d->base + n->start;
	if ((minus = p[0] == '-'))
		i = 1;
	for (; i < n->len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		digit = p[i] - '0';
		/* downwards for negative numbers, or INT64_MIN would not fit */
		if (__builtin_mul_overflow(r, 10, &r) ||
		    __builtin_add_overflow(r, minus ? -digit : digit, &r))
			return -1;
	}
	*v = r;
	return 0;
}

int
json_bool(const struct json_doc *d, uint32_t node, bool *v)
{
	enum json_type t = json_type(d, node);

	if (t != JT_TRUE && t != JT_FALSE)
		return -1;
	*v = t == JT_TRUE;
	return 0;
}
