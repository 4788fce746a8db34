/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: JSON reader, accessors and canonical form. What is accepted must have a
 * canonical form that is accepted, is its own canonical form, and differs between the
 * orders exactly when canon_has_astral_ambiguity() says so.
 */
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/canon.h"
#include "common/json.h"
#include "common/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
check_string(const struct json_doc *d, uint32_t node)
{
	struct buf b;
	size_t len;
	char *s;

	buf_init(&b);
	must(json_str_put(d, node, &b) == 0);
	must(b.len <= d->nodes[node].len - 2);
	must(utf8_valid(b.p, b.len) && (b.len == 0 || memchr(b.p, 0, b.len) == NULL));
	must((s = malloc(b.len + 1)) != NULL);
	must(json_str_copy(d, node, s, b.len, &len) == -1);
	must(json_str_copy(d, node, s, b.len + 1, &len) == 0 && len == b.len);
	must(strlen(s) == len && (len == 0 || memcmp(s, b.p, len) == 0));
	must(json_str_eq(d, node, s));
	free(s);
	buf_free(&b);
}

/* children, spans and look-up agree with each other */
static void
check_container(const struct json_doc *d, uint32_t node)
{
	const struct json_node *n = &d->nodes[node];
	struct json_iter it;
	uint32_t count = 0;
	struct buf name;

	buf_init(&name);
	json_iter_init(&it, d, node);
	while (json_iter_next(&it, d)) {
		const struct json_node *v = &d->nodes[it.value];

		count++;
		must(v->start > n->start && v->start + v->len < n->start + n->len);
		must(v->next <= n->next);
		if (it.name == JSON_NONE)
			continue;
		buf_reset(&name);
		must(json_str_put(d, it.name, &name) == 0);
		must(json_getn(d, node, name.p, name.len) == it.value);
	}
	must(count == json_count(d, node));
	buf_free(&name);
}

static void
check_nodes(const struct json_doc *d)
{
	const uint8_t *p;
	uint32_t i;
	int64_t v;
	size_t n;

	for (i = 0; i < d->nnodes; i++) {
		must(json_raw(d, i, &p, &n) == 0 && n > 0);
		must(p >= d->base && n <= d->len - (size_t)(p - d->base));
		json_int64(d, i, &v);
		if (json_type(d, i) == JT_STRING)
			check_string(d, i);
		else if (json_type(d, i) >= JT_ARRAY)
			check_container(d, i);
	}
}

static bool
same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf utf8, utf16, boot, again;
	struct json_doc d, c;
	bool ambiguous;

	json_init(&d);
	json_init(&c);
	buf_init(&utf8);
	buf_init(&utf16);
	buf_init(&boot);
	buf_init(&again);
	if (json_parse(&d, data, size, NULL) != JSON_OK) {
		must(d.err_at <= size && json_root(&d) == JSON_NONE);
		goto out;
	}
	check_nodes(&d);
	must(canon_value(&d, 0, &utf8, CANON_UTF8) == 0);
	must(canon_value(&d, 0, &utf16, CANON_UTF16) == 0);
	must(canon_value(&d, 0, &boot, CANON_BOOT) == 0);
	ambiguous = canon_has_astral_ambiguity(&d, 0);
	must(same(&utf8, &utf16) == !ambiguous);

	must(json_parse(&c, utf8.p, utf8.len, NULL) == JSON_OK && c.nnodes == d.nnodes);
	must(canon_value(&c, 0, &again, CANON_UTF8) == 0 && same(&utf8, &again));
	must(canon_has_astral_ambiguity(&c, 0) == ambiguous);
	must(json_parse(&c, boot.p, boot.len, NULL) == JSON_OK);
	buf_reset(&again);
	must(canon_value(&c, 0, &again, CANON_UTF8) == 0 && same(&utf8, &again));
	must(json_parse(&c, utf16.p, utf16.len, NULL) == JSON_OK);
	buf_reset(&again);
	must(canon_value(&c, 0, &again, CANON_UTF8) == 0 && same(&utf8, &again));
out:
	buf_free(&utf8);
	buf_free(&utf16);
	buf_free(&boot);
	buf_free(&again);
	json_free(&d);
	json_free(&c);
	return 0;
}
