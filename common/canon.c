/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canonical form of SEAL v1; see canon.h. Runs in judge. The document comes from json.c,
 * which has refused everything that could have two readings.
 */
#include "common/canon.h"

#include <stdlib.h>

#include "common/jsonw.h"
#include "common/utf8.h"

struct canon {
	const struct json_doc *d;
	struct buf *out;
	enum canon_order order;
};

static int put_value(const struct canon *c, uint32_t node);

/* Writes the inside of a string from decoded or still escaped text. */
static int
put_text(struct buf *out, const uint8_t *p, size_t len, bool escaped, bool ascii)
{
	const uint8_t *end = p + len, *plain;
	uint32_t cp;
	int used;

	while (p < end) {
		if (!ascii && (plain = json_skip_plain(p, end)) != p) {
			if (buf_put(out, p, (size_t)(plain - p)) != 0)
				return -1;
			p = plain;
			continue;
		}
		if (escaped && *p == '\\')
			used = json_unescape(p, (size_t)(end - p), &cp);
		else
			used = (int)utf8_decode(p, (size_t)(end - p), &cp);
		if (used <= 0 || jsonw_put_char(out, cp, ascii) != 0)
			return -1;
		p += used;
	}
	return 0;
}

static int
put_string(const struct canon *c, const struct json_node *n)
{
	const uint8_t *p = c->d->base + n->start;
	bool ascii = c->order == CANON_BOOT;

	/* without an escape the lexeme is its own canonical form */
	if (!ascii && (n->flags & JSON_F_ESC) == 0)
		return buf_put(c->out, p, n->len);
	if (buf_putc(c->out, '"') != 0 ||
	    put_text(c->out, p + 1, n->len - 2, true, ascii) != 0)
		return -1;
	return buf_putc(c->out, '"');
}

static int
put_separator(const struct canon *c, uint8_t sep)
{
	if (buf_putc(c->out, sep) != 0)
		return -1;
	return c->order == CANON_BOOT ? buf_putc(c->out, ' ') : 0;
}

static int
put_members(const struct canon *c, const uint32_t *names, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (i > 0 && put_separator(c, ',') != 0)
			return -1;
		if (put_string(c, &c->d->nodes[names[i]]) != 0 ||
		    put_separator(c, ':') != 0 || put_value(c, names[i] + 1) != 0)
			return -1;
	}
	return 0;
}

static int
put_object(const struct canon *c, const struct json_node *n)
{
	const uint32_t *names = c->d->order + n->order;
	uint32_t *sorted = NULL;
	int r = -1;

	if (c->order == CANON_UTF16 && n->count > 1) {
		if ((sorted = reallocarray(NULL, n->count, sizeof(*sorted))) == NULL)
			return -1;
		memcpy(sorted, names, n->count * sizeof(*sorted));
		json_name_sort(c->d, sorted, n->count, true);
		names = sorted;
	}
	if (buf_putc(c->out, '{') == 0 && put_members(c, names, n->count) == 0)
		r = buf_putc(c->out, '}');
	free(sorted);
	return r;
}

static int
put_array(const struct canon *c, uint32_t node)
{
	struct json_iter it;
	bool first = true;

	if (buf_putc(c->out, '[') != 0)
		return -1;
	json_iter_init(&it, c->d, node);
	for (; json_iter_next(&it, c->d); first = false)
		if ((!first && put_separator(c, ',') != 0) || put_value(c, it.value) != 0)
			return -1;
	return buf_putc(c->out, ']');
}

static int
put_value(const struct canon *c, uint32_t node)
{
	const struct json_node *n = &c->d->nodes[node];

	switch (n->type) {
	case JT_OBJECT:
		return put_object(c, n);
	case JT_ARRAY:
		return put_array(c, node);
	case JT_STRING:
		return put_string(c, n);
	default:
		return buf_put(c->out, c->d->base + n->start, n->len);
	}
}

int
canon_value(
    const struct json_doc *d, uint32_t node, struct buf *out, enum canon_order order)
{
	struct canon c = {.d = d, .out = out, .order = order};

	return json_type(d, node) == JT_NONE ? -1 : put_value(&c, node);
}

bool
canon_has_astral_ambiguity(const struct json_doc *d, uint32_t node)
{
	const uint32_t *names;
	uint32_t i, k, end;

	if (json_type(d, node) == JT_NONE)
		return false;
	/* names sorted by bytes are sorted by UTF-16 too if all neighbours are */
	end = d->nodes[node].next;
	for (i = node; i < end; i++) {
		if (d->nodes[i].type != JT_OBJECT)
			continue;
		names = d->order + d->nodes[i].order;
		for (k = 1; k < d->nodes[i].count; k++)
			if (json_name_cmp(d, names[k - 1], names[k], true) > 0)
				return true;
	}
	return false;
}

static int
put_name(const struct canon *c, const char *name)
{
	if (buf_putc(c->out, '"') != 0 || buf_puts(c->out, name) != 0 ||
	    buf_putc(c->out, '"') != 0)
		return -1;
	return put_separator(c, ':');
}

static int
put_token(const struct canon *c, const char *name, const void *token, size_t len)
{
	if (put_name(c, name) != 0 || buf_putc(c->out, '"') != 0 ||
	    put_text(c->out, token, len, false, c->order == CANON_BOOT) != 0)
		return -1;
	return buf_putc(c->out, '"');
}

static int
put_payload(const struct canon *c, uint32_t payload)
{
	if (json_type(c->d, payload) == JT_NONE || put_name(c, "payload") != 0)
		return -1;
	return put_value(c, payload);
}

static int
put_timestamp(const struct canon *c, int64_t ts)
{
	if (put_separator(c, ',') != 0 || put_name(c, "timestamp") != 0)
		return -1;
	return buf_printf(c->out, "%lld}", (long long)ts);
}

int
canon_seal(const struct json_doc *d, uint32_t payload, const void *token,
    size_t token_len, int64_t ts, enum canon_order order, struct buf *out)
{
	struct canon c = {.d = d, .out = out, .order = order};

	if (buf_putc(out, '{') != 0 || put_payload(&c, payload) != 0 ||
	    put_separator(&c, ',') != 0 ||
	    put_token(&c, "security_token", token, token_len) != 0)
		return -1;
	return put_timestamp(&c, ts);
}

int
canon_seal_node(const struct json_doc *d, uint32_t payload, const void *token,
    size_t token_len, int64_t ts, enum canon_order order, struct buf *out)
{
	struct canon c = {.d = d, .out = out, .order = order};

	if (buf_putc(out, '{') != 0 ||
	    put_token(&c, "node_security_token", token, token_len) != 0 ||
	    put_separator(&c, ',') != 0 || put_payload(&c, payload) != 0)
		return -1;
	return put_timestamp(&c, ts);
}
