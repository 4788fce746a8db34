/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: timestamps. What is accepted must, unless its offset leaves the years
 * 0-9999, be formatted again and parse to the same second.
 */
#include <stdlib.h>
#include <string.h>

#include "common/rfc3339.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char out[RFC3339_SIZE], *text;
	int64_t sec, again;
	uint32_t ns, ns2;
	ssize_t n;

	if (rfc3339_parse((const char *)data, size, &sec, &ns) == 0) {
		must(size >= 20 && size <= 35 && ns < 1000000000);
		if ((n = rfc3339_format(sec, ns, 6, out, sizeof(out))) >= 0) {
			must(rfc3339_parse(out, (size_t)n, &again, &ns2) == 0);
			must(again == sec && ns2 == ns / 1000 * 1000);
		} else {
			must(sec < -62167219200 || sec >= 253402300800);
		}
	}
	must((text = malloc(size + 1)) != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (since_parse(text, 1771338721, &sec) == 0)
		must(strlen(text) >= 2);
	free(text);
	if (size >= 8) {
		memcpy(&sec, data, 8);
		if ((n = rfc3339_format(sec, 0, 0, out, sizeof(out))) >= 0)
			must(rfc3339_parse(out, (size_t)n, &again, &ns) == 0 &&
			    again == sec);
	}
	return 0;
}
