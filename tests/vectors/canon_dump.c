/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Driver of canon_differential.py: what the C side says about many documents in one run.
 * Input: records of a 4-byte big-endian length and a document. Output for each: one byte
 * 0 and the error and offset (4 bytes each), or one byte 1, one byte for the ambiguity
 * and the canonical forms in the orders UTF-8, UTF-16 and BOOT, each with a 4-byte
 * length.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/canon.h"
#include "common/json.h"

static void
put_u32(uint32_t v)
{
	v = htonl(v);
	fwrite(&v, sizeof(v), 1, stdout);
}

static int
dump(struct json_doc *d, const uint8_t *p, size_t len)
{
	struct buf out;
	enum json_err e;
	int order, r = 0;

	if ((e = json_parse(d, p, len, NULL)) != JSON_OK) {
		putchar(0);
		put_u32((uint32_t)-e);
		put_u32(d->err_at);
		return 0;
	}
	putchar(1);
	putchar(canon_has_astral_ambiguity(d, 0));
	buf_init(&out);
	for (order = CANON_UTF8; order <= CANON_BOOT && r == 0; order++) {
		buf_reset(&out);
		r = canon_value(d, 0, &out, (enum canon_order)order);
		put_u32((uint32_t)out.len);
		fwrite(out.p, 1, out.len, stdout);
	}
	buf_free(&out);
	return r;
}

int
main(void)
{
	struct json_doc d;
	uint32_t n;
	uint8_t *p;
	int r = 0;

	json_init(&d);
	while (r == 0 && fread(&n, sizeof(n), 1, stdin) == 1) {
		n = ntohl(n);
		/* an own allocation for each, so that a sanitizer sees the ends */
		if ((p = malloc(n > 0 ? n : 1)) == NULL || fread(p, 1, n, stdin) != n)
			r = -1;
		else
			r = dump(&d, p, n);
		free(p);
	}
	json_free(&d);
	return r == 0 && fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS
								: EXIT_FAILURE;
}
