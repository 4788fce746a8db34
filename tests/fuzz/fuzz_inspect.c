/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body inspector: what it finds and releases does not depend on how the body was cut
 * into pieces, and never more is released than has come.
 */
#include <stdlib.h>
#include <string.h>

#include "gated/inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Bit 0: sure, bit 1: broken. */
static int
look(enum inspect_coding coding, const uint8_t *p, size_t n, size_t piece)
{
	struct inspect *s = inspect_new(coding);
	size_t at, k;
	uint64_t clean = 0;
	char words[256];
	int bad = 0, hit;

	if (s == NULL)
		abort();
	for (at = 0; at < n && !bad; at += k) {
		k = n - at < piece ? n - at : piece;
		bad = inspect_feed(s, p + at, k) == -1;
		if (inspect_clean(s) > at + k || clean > inspect_clean(s))
			abort();
		clean = inspect_clean(s);
	}
	bad = bad || inspect_end(s) == -1;
	if (!bad && inspect_clean(s) != n)
		abort();
	hit = inspect_hit(s);
	inspect_words(s, true, words, sizeof(words));
	if (hit != (words[0] != '\0'))
		abort();
	inspect_free(s);
	return hit | bad << 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t piece;

	if (n < 2)
		return 0;
	piece = (size_t)p[0] + 1;
	if (p[1] % 3 == 0) {
		if (look(INSPECT_PLAIN, p + 2, n - 2, n) !=
		    look(INSPECT_PLAIN, p + 2, n - 2, piece))
			abort();
	} else {
		(void)look(
		    p[1] % 3 == 1 ? INSPECT_GZIP : INSPECT_DEFLATE, p + 2, n - 2, piece);
	}
	return 0;
}
