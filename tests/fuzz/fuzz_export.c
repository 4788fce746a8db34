/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the verifier of the ledger's files, under a key whose secret half the
 * corpus was made with. Whatever comes in, the result is consistent, and is the same a
 * second time and when it comes as two files; with evidence and without.
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

/* Of the seed that is 32 times 7. */
static const uint8_t key[32] = {0xea, 0x4a, 0x6c, 0x63, 0xe2, 0x9c, 0x52, 0x0a, 0xbe,
    0xf5, 0x50, 0x7b, 0x13, 0x2e, 0xc5, 0xf9, 0x95, 0x47, 0x76, 0xae, 0xbe, 0xbe, 0x7b,
    0x92, 0x42, 0x1e, 0xea, 0x69, 0x14, 0x46, 0xd2, 0x2c};

static void
verify(struct verify *v, const uint8_t *data, size_t size, size_t cut, bool signatures)
{
	char text[700];
	bool good;
	unsigned i;

	must(verify_begin(v, key) == 0);
	v->signatures = signatures;
	verify_text(v, (const char *)data, cut);
	verify_text(v, (const char *)data + cut, size - cut);
	good = verify_end(v);
	verify_free(v);
	must(good == (v->nfindings == 0));
	must(!v->complete || (good && v->first_row == 1 && v->sealed_row == v->last_row));
	must(!v->complete || v->rooted);
	must(!good || (v->checkpoints > 0 && v->rows > 0));
	must(signatures || v->verified == 0);
	for (i = 0; i < v->nfindings && i < VERIFY_FINDINGS_MAX; i++) {
		verify_describe(&v->findings[i], text, sizeof(text));
		must(text[0] != '\0' && verify_kind_name(v->findings[i].kind) != NULL);
	}
}

/* The first line's end, so that what follows is whole lines. */
static size_t
first_line(const uint8_t *data, size_t size)
{
	const uint8_t *nl = size > 0 ? memchr(data, '\n', size) : NULL;

	return nl != NULL ? (size_t)(nl - data) + 1 : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct verify a, b, c;

	verify(&a, data, size, 0, false);
	verify(&b, data, size, first_line(data, size), false);
	must(a.nfindings == b.nfindings && a.rows == b.rows &&
	    memcmp(a.findings, b.findings, sizeof(a.findings)) == 0);
	verify(&c, data, size, 0, true);
	must(c.nfindings >= a.nfindings && c.sealed_row == a.sealed_row);
	return 0;
}
