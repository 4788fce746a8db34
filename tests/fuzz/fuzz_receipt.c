/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: receipts, under the key whose secret half the corpus was made with. What
 * is refused says why and shows nothing; what is accepted stands in the receipt as it is,
 * and is refused under another key.
 */
#include <stdlib.h>
#include <string.h>

#include "aegis/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* Of the seed that is 32 times 7, and of the one that is 32 times 8. */
static const uint8_t key[32] = {0xea, 0x4a, 0x6c, 0x63, 0xe2, 0x9c, 0x52, 0x0a, 0xbe,
    0xf5, 0x50, 0x7b, 0x13, 0x2e, 0xc5, 0xf9, 0x95, 0x47, 0x76, 0xae, 0xbe, 0xbe, 0x7b,
    0x92, 0x42, 0x1e, 0xea, 0x69, 0x14, 0x46, 0xd2, 0x2c};
static const uint8_t other[32] = {0x13, 0x98, 0xf6, 0x2c, 0x6d, 0x1a, 0x45, 0x7c, 0x51,
    0xba, 0x6a, 0x4b, 0x5f, 0x3d, 0xbd, 0x2f, 0x69, 0xfc, 0xa9, 0x32, 0x16, 0x21, 0x8d,
    0xc8, 0x99, 0x7e, 0x41, 0x6b, 0xd1, 0x7d, 0x93, 0xca};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *json = (const char *)data;
	struct verify_receipt r;
	char err[200] = "";

	if (verify_receipt(json, size, key, &r, err, sizeof(err)) == 0) {
		must(err[0] == '\0' && r.row > 0 && r.row <= r.sealed_row);
		must(r.completion == 0 || r.completion > r.row);
		must(r.text > json && r.text + r.text_len < json + size);
		must(memmem(r.text, r.text_len, r.chain, strlen(r.chain)) != NULL);
		must(verify_receipt(json, size, other, &r, err, sizeof(err)) == -1);
	} else {
		must(err[0] != '\0');
	}
	must(r.row != 0 || (r.text == NULL && r.completion == 0));
	return 0;
}
