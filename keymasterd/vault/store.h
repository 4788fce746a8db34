/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vault file and its image in memory: sorted records, still sealed. Every change is
 * saved before it is in force. doc/vault-format.md has the layout. Runs in vault only.
 */
#ifndef AEGIS_VAULT_STORE_H
#define AEGIS_VAULT_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "keymasterd/vault/kdf.h"
#include "keymasterd/vault/record.h"

#define STORE_FILE_MAX (64u * 1024 * 1024)
#define STORE_NAME_MAX 64

enum store_code {
	STORE_OK = 0,
	STORE_ABSENT,    /* no such file */
	STORE_PRESENT,   /* to be created, but it exists */
	STORE_IO,        /* errno says what */
	STORE_KEY,       /* the master key is not this file's */
	STORE_DAMAGED,   /* not what we wrote */
	STORE_TOO_LARGE, /* would exceed STORE_FILE_MAX */
	STORE_MEMORY
};

struct store {
	int dirfd; /* borrowed */
	char file[STORE_NAME_MAX + 8], temp[STORE_NAME_MAX + 16];
	struct kdf_params kdf;
	struct kdf_keys keys;
	uint64_t counter; /* of saves */
	struct record **records;
	size_t n;
};

/*
 * An empty store for `name` (1 to 64 of A-Z a-z 0-9 _ - .; no leading dot) in a
 * directory. 0, or -1 for another name.
 */
int store_init(struct store *, int dirfd, const char *name);
void store_free(struct store *);

/* Makes the file with these two signing keys (32 octets each) in it. */
enum store_code store_create(struct store *, const struct secret *master,
    const struct secret *token_key, const struct secret *ledger_key);
/* Reads the file that is there. */
enum store_code store_open(struct store *, const struct secret *master);

/* The record, valid until the next change; or NULL. Tenant and name are empty for keys.
 */
const struct record *store_find(
    const struct store *, enum record_kind, struct span tenant, struct span name);
/*
 * One save for all of it: takes up to two records, each in place of the one of its kind,
 * tenant and name, and removes `gone`, if not NULL. After an error all is as it was.
 */
enum store_code store_change(
    struct store *, struct record *const put[2], const struct record *gone);
/* Takes a record, in place of the one of its kind, tenant and name if there is one. */
enum store_code store_put(struct store *, struct record *);
/* Removes a record, which must be one of the store's. */
enum store_code store_remove(struct store *, const struct record *);

/*
 * Octets of a file into an empty store whose keys are set already. For store_open and the
 * tests. STORE_OK, STORE_KEY, STORE_DAMAGED or STORE_MEMORY.
 */
enum store_code store_decode(struct store *, const uint8_t *, size_t len);

#endif
