/* SPDX-License-Identifier: Apache-2.0 */
/* From the master key to the keys of one vault file. Runs in vault only. */
#ifndef AEGIS_VAULT_KDF_H
#define AEGIS_VAULT_KDF_H

#include <stddef.h>
#include <stdint.h>

struct secret;

#define KDF_PBKDF2_SHA512 1
#define KDF_ITERATIONS 210000       /* for new files */
#define KDF_ITERATIONS_MAX 10000000 /* of a file that is read: a few seconds */
#define KDF_MASTER_LEN 32
#define KDF_SALT_LEN 32
#define KDF_CHECK_LEN 32
#define KDF_MAC_LEN 64

struct kdf_params {
	uint32_t algorithm, iterations;
	uint8_t salt[KDF_SALT_LEN];
};

struct kdf_keys {
	struct secret *record;        /* seals the records */
	struct secret *file;          /* authenticates the file */
	uint8_t check[KDF_CHECK_LEN]; /* tells a wrong master key; public */
};

/*
 * The master key from its text: 64 hexadecimal digits of either case and at most one line
 * feed. The caller frees it. NULL when the text is anything else, or no memory.
 */
struct secret *kdf_master(const struct secret *text);

/* Parameters for a new file: today's iterations and a random salt. */
void kdf_params_new(struct kdf_params *);

/* 0 when this program would use these parameters, else -1. */
int kdf_params_check(const struct kdf_params *);

/*
 * PBKDF2-HMAC-SHA512 (RFC 8018) over the master key, then HKDF-Expand with SHA-512 (RFC
 * 5869) for each key. Takes about a tenth of a second. 0, and the caller owns the keys
 * (kdf_keys_free); or -1: refused parameters or no memory.
 */
int kdf_derive(const struct kdf_params *, const struct secret *master, struct kdf_keys *);

/* Frees and wipes. Allowed on zeroed keys. */
void kdf_keys_free(struct kdf_keys *);

/* HMAC-SHA512 under keys->file over `len` octets. 0 or -1. */
int kdf_file_mac(
    const struct kdf_keys *, const void *p, size_t len, uint8_t mac[KDF_MAC_LEN]);

#endif
