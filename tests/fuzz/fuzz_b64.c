/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: base64 and hexadecimal. What decodes must encode to the very same text,
 * and what is encoded must decode to the same bytes.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static bool
same(const struct buf *b, const void *p, size_t n)
{
	return b->len == n && (n == 0 || memcmp(b->p, p, n) == 0);
}

static void
check_b64(enum b64_kind kind, const uint8_t *data, size_t size)
{
	struct buf a, b;

	buf_init(&a);
	buf_init(&b);
	if (b64_put_decoded(kind, &a, (const char *)data, size) == 0) {
		must(b64_put(kind, &b, a.p, a.len) == 0);
		must(same(&b, data, size));
	}
	buf_reset(&a);
	buf_reset(&b);
	must(b64_put(kind, &a, data, size) == 0 && a.len < B64_SIZE(size));
	must(b64_put_decoded(kind, &b, (const char *)a.p, a.len) == 0);
	must(same(&b, data, size));
	buf_free(&a);
	buf_free(&b);
}

static void
check_hex(const uint8_t *data, size_t size)
{
	char *text = malloc(2 * size + 1);
	uint8_t *back = malloc(size + 1);

	must(text != NULL && back != NULL);
	must(hex_encode(data, size, text, 2 * size + 1) == (ssize_t)(2 * size));
	must(hex_decode(text, 2 * size, back, size) == (ssize_t)size);
	must(size == 0 || memcmp(back, data, size) == 0);
	hex_decode((const char *)data, size, back, size / 2);
	free(text);
	free(back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_b64(B64_STD, data, size);
	check_b64(B64_URL, data, size);
	check_hex(data, size);
	return 0;
}
