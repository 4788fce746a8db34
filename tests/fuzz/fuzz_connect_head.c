/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tool server's CONNECT: however it comes in pieces, the end is the same, and what is
 * taken for an authority is printable and in the request line.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "toolhostd/toolexec/connect_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	char authority[CONNECT_AUTHORITY_MAX + 1], again[CONNECT_AUTHORITY_MAX + 1];
	uint8_t *copy;
	int whole, part = 0;
	size_t n, i;

	memset(authority, 'x', sizeof(authority));
	whole = connect_head(p, len, authority);
	if (whole > 0) {
		if ((size_t)whole > len || memcmp(p + whole - 4, "\r\n\r\n", 4) != 0)
			abort();
		n = strnlen(authority, sizeof(authority));
		if (n == 0 || n == sizeof(authority) ||
		    memcmp(p + 8, authority, n) != 0 || p[8 + n] != ' ')
			abort();
		for (i = 0; i < n; i++)
			if (authority[i] <= ' ' || authority[i] > '~')
				abort();
	}
	/* octet by octet, in memory of just that size */
	for (n = 1; n <= len && len <= 512 && part == 0; n++) {
		copy = malloc(n);
		if (copy == NULL)
			return 0;
		memcpy(copy, p, n);
		part = connect_head(copy, n, again);
		free(copy);
	}
	if (len > 0 && len <= 512 && part != whole)
		abort();
	return 0;
}
