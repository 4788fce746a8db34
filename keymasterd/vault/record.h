/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record of a vault file, in memory exactly as in the file: its description in clear,
 * its secret sealed. doc/vault-format.md has the layout. Runs in vault only.
 */
#ifndef AEGIS_VAULT_RECORD_H
#define AEGIS_VAULT_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "keymasterd/vault/credential.h"

struct secret;

enum record_kind {
	RECORD_TOKEN_KEY = 1,
	RECORD_LEDGER_KEY,
	RECORD_CREDENTIAL,
	RECORD_TOKEN_OLD, /* a public key that still verifies: name its kid, service the
			     Unix second it ends at */
	RECORD_NODE_KEY,  /* RSA, PKCS #8 in DER */
	RECORD_BOARD_KEY, /* of a tenant's blackboards: name is its version, ten digits */
	RECORD_GRACE /* the secret before a rotation: service the Unix millisecond it ends
			at, port for how many seconds it is kept */
};

#define RECORD_KEY_LEN 32 /* octets of a signing key's seed */
#define RECORD_MAX 40000  /* octets of a record */

struct record {
	enum record_kind kind;
	uint64_t version;       /* the file's counter when it was sealed */
	struct credential meta; /* points into octets */
	const uint8_t *nonce, *sealed;
	size_t sealed_len;
	size_t aad_len; /* leading octets that are the associated data */
	size_t len;
	uint8_t octets[];
};

/*
 * Seals a secret together with its description. Copies everything. For signing keys
 * `meta` is NULL. The caller frees (record_free). NULL: a text too long or not UTF-8, a
 * secret of no or too many octets, or no memory.
 */
struct record *record_seal(const struct secret *key, enum record_kind, uint64_t version,
    const struct credential *meta, const struct secret *);

/*
 * Reads one record from `len` octets of a file, all of which it must use. Copies them.
 * NULL when they are not exactly what record_seal() could have written.
 */
struct record *record_decode(const uint8_t *, size_t len);

/* Its secret, the caller's to free. NULL: not sealed under this key, or no memory. */
struct secret *record_open(const struct secret *key, const struct record *);

void record_free(struct record *);

/* Order of records in a file: kind, tenant, name, octet by octet. <0, 0, >0. */
int record_compare(
    enum record_kind, struct span tenant, struct span name, const struct record *);

#endif
