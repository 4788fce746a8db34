/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test helper: the SEAL vectors of tests/vectors/seal.json, read with our own reader.
 * SRCDIR_VECTORS is set by the build.
 */
#ifndef AEGIS_TESTS_UNIT_VECTORS_H
#define AEGIS_TESTS_UNIT_VECTORS_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/hex.h"
#include "common/json.h"

struct vectors {
	struct buf text;
	struct json_doc doc;
};

static inline void
vectors_load(struct vectors *v)
{
	char tmp[4096];
	size_t n;
	FILE *f;

	buf_init(&v->text);
	json_init(&v->doc);
	f = fopen(SRCDIR_VECTORS "/seal.json", "re");
	ck_assert_ptr_nonnull(f);
	while ((n = fread(tmp, 1, sizeof(tmp), f)) > 0)
		ck_assert_int_eq(buf_put(&v->text, tmp, n), 0);
	fclose(f);
	ck_assert_int_eq(json_parse(&v->doc, v->text.p, v->text.len, NULL), JSON_OK);
}

static inline void
vectors_free(struct vectors *v)
{
	json_free(&v->doc);
	buf_free(&v->text);
}

/* Decoded text of a member, which must exist; the caller frees it. */
static inline char *
vectors_text(const struct vectors *v, uint32_t node, const char *name, size_t *len)
{
	uint32_t member = json_get(&v->doc, node, name);
	const uint8_t *raw;
	size_t size, n;
	char *out;

	ck_assert_int_eq(json_raw(&v->doc, member, &raw, &size), 0);
	ck_assert_ptr_nonnull(out = malloc(size));
	ck_assert_int_eq(json_str_copy(&v->doc, member, out, size, &n), 0);
	if (len != NULL)
		*len = n;
	return out;
}

/* A member in hexadecimal that must have exactly n bytes. */
static inline void
vectors_hex(const struct vectors *v, uint32_t node, const char *name, void *out, size_t n)
{
	size_t len;
	char *s = vectors_text(v, node, name, &len);

	ck_assert_int_eq(hex_decode(s, len, out, n), (ssize_t)n);
	free(s);
}

#endif
