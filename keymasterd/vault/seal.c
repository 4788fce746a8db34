/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256-GCM of one record; see seal.h. Runs in vault. The key schedule lives in a
 * libcrypto context for the length of one call, and is wiped when that is freed. Nonces
 * are random: at 96 bits the chance of a repetition stays below 2^-32 for 2^32 seals (SP
 * 800-38D, 8.3), and a vault seals when an operator types.
 */
#include "keymasterd/vault/seal.h"

#include <limits.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "common/secret.h"

/* Keeps a seal from being taken for another use of the same key. */
static const uint8_t label[] = "aegis-vault-record-1";

struct job {
	EVP_CIPHER_CTX *ctx;
	int encrypt;
	const uint8_t *nonce;
	uint8_t *out;
	const uint8_t *sealed;
};

/* secret_use() callback over the key. */
static int
set_key(const void *p, size_t len, void *arg)
{
	struct job *j = arg;

	if (len != SEAL_KEY_LEN)
		return -1;
	return EVP_CipherInit_ex(
		   j->ctx, EVP_aes_256_gcm(), NULL, p, j->nonce, j->encrypt) == 1
	    ? 0
	    : -1;
}

/* A context with key, nonce, label and associated data in it, or -1. */
static int
job_begin(struct job *j, const struct secret *key, const void *aad, size_t aad_len)
{
	int n;

	j->ctx = EVP_CIPHER_CTX_new();
	if (j->ctx == NULL || aad_len > INT_MAX || secret_use(key, set_key, j) == -1)
		return -1;
	if (EVP_CipherUpdate(j->ctx, NULL, &n, label, sizeof(label) - 1) != 1 ||
	    EVP_CipherUpdate(j->ctx, NULL, &n, aad, (int)aad_len) != 1)
		return -1;
	return 0;
}

/* secret_use() callback over the plaintext. */
static int
encrypt(const void *p, size_t len, void *arg)
{
	struct job *j = arg;
	int n, end;

	if (len > INT_MAX || EVP_CipherUpdate(j->ctx, j->out, &n, p, (int)len) != 1 ||
	    (size_t)n != len || EVP_CipherFinal_ex(j->ctx, j->out + n, &end) != 1 ||
	    end != 0)
		return -1;
	return EVP_CIPHER_CTX_ctrl(
		   j->ctx, EVP_CTRL_GCM_GET_TAG, SEAL_TAG_LEN, j->out + n) == 1
	    ? 0
	    : -1;
}

int
seal_close(const struct secret *key, const void *aad, size_t aad_len,
    const struct secret *plain, uint8_t nonce[SEAL_NONCE_LEN], uint8_t *out)
{
	struct job j = {.encrypt = 1, .nonce = nonce, .out = out};
	int r = -1;

	randombytes_buf(nonce, SEAL_NONCE_LEN);
	if (job_begin(&j, key, aad, aad_len) == 0)
		r = secret_use(plain, encrypt, &j);
	EVP_CIPHER_CTX_free(j.ctx);
	return r;
}

/* secret_new_fill() callback: a negative answer makes it wipe what was written. */
static long
decrypt(void *p, size_t max, void *arg)
{
	struct job *j = arg;
	uint8_t tag[SEAL_TAG_LEN];
	int n, end;

	for (n = 0; n < SEAL_TAG_LEN; n++)
		tag[n] = j->sealed[max + (size_t)n];
	if (EVP_CipherUpdate(j->ctx, p, &n, j->sealed, (int)max) != 1 ||
	    (size_t)n != max ||
	    EVP_CIPHER_CTX_ctrl(j->ctx, EVP_CTRL_GCM_SET_TAG, SEAL_TAG_LEN, tag) != 1 ||
	    EVP_CipherFinal_ex(j->ctx, (uint8_t *)p + n, &end) != 1 || end != 0)
		return -1;
	return n;
}

struct secret *
seal_open(const struct secret *key, const void *aad, size_t aad_len,
    const uint8_t nonce[SEAL_NONCE_LEN], const uint8_t *sealed, size_t len)
{
	struct job j = {.nonce = nonce, .sealed = sealed};
	struct secret *s = NULL;

	if (len <= SEAL_TAG_LEN || len > INT_MAX)
		return NULL;
	if (job_begin(&j, key, aad, aad_len) == 0)
		s = secret_new_fill(len - SEAL_TAG_LEN, decrypt, &j);
	EVP_CIPHER_CTX_free(j.ctx);
	return s;
}
