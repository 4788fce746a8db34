/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vault file as somebody who has its keys could write it: the input is everything
 * behind the key check (counter, number of records, records), and gets a right header and
 * a right MAC. What is accepted must come out in order, and as the same octets.
 */
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "keymasterd/vault/store.h"

#define FIXED 84 /* octets of the header up to the counter */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct kdf_keys keys;
static uint8_t head[FIXED] = "AEGISVLT";

static void
start(void)
{
	static const uint8_t zeros[KDF_MAC_LEN];

	if (sodium_init() == -1)
		abort();
	keys.record = secret_new(zeros, 32);
	keys.file = secret_new(zeros, KDF_MAC_LEN);
	memset(keys.check, 'c', sizeof(keys.check));
	head[11] = 1; /* version */
	head[15] = KDF_PBKDF2_SHA512;
	head[17] = 0x03; /* 210000 */
	head[18] = 0x34;
	head[19] = 0x50;
	memcpy(head + 52, keys.check, sizeof(keys.check));
}

static void
check(const struct store *st, const uint8_t *body, size_t len)
{
	size_t i, at = 12; /* behind counter and number */

	for (i = 0; i < st->n; i++) {
		const struct record *rec = st->records[i];

		if (at + 4 + rec->len > len ||
		    memcmp(body + at + 4, rec->octets, rec->len) != 0)
			abort();
		at += 4 + rec->len;
		if (store_find(st, rec->kind, rec->meta.tenant, rec->meta.name) != rec)
			abort();
		secret_free(record_open(st->keys.record, rec));
	}
	if (at != len)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct store st;
	uint8_t *file;

	if (keys.file == NULL)
		start();
	if (len > 100000)
		return 0;
	file = malloc(FIXED + len + KDF_MAC_LEN);
	if (file == NULL || store_init(&st, -1, "fuzz") == -1)
		abort();
	memcpy(file, head, FIXED);
	if (len > 0)
		memcpy(file + FIXED, p, len);
	if (kdf_file_mac(&keys, file, FIXED + len, file + FIXED + len) == -1)
		abort();
	st.keys = keys;
	if (store_decode(&st, file, FIXED + len + KDF_MAC_LEN) == STORE_OK)
		check(&st, p, len);
	memset(&st.keys, 0, sizeof(st.keys)); /* borrowed */
	store_free(&st);

	/* and without a right MAC nothing may get in */
	file[FIXED + len] ^= 1;
	if (store_init(&st, -1, "fuzz") == -1)
		abort();
	st.keys = keys;
	if (store_decode(&st, file, FIXED + len + KDF_MAC_LEN) == STORE_OK)
		abort();
	memset(&st.keys, 0, sizeof(st.keys));
	store_free(&st);
	free(file);
	return 0;
}
