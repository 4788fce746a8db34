/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA for tokens of nodes; see node_key.h. Runs in vault on octets that sign.c built. The
 * key is made when the first node attests, so that a gate without a cluster starts as
 * fast as before. It is opened for the length of one call.
 */
#include "keymasterd/vault/node_key.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "common/log.h"
#include "common/secret.h"

static const struct span nothing;

static enum store_code
keep(struct store *st, EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int n = i2d_PrivateKey(key, &der);
	struct secret *s = n > 0 ? secret_new(der, (size_t)n) : NULL;
	struct record *rec = s == NULL
	    ? NULL
	    : record_seal(st->keys.record, RECORD_NODE_KEY, st->counter + 1, NULL, s);

	if (n > 0)
		OPENSSL_clear_free(der, (size_t)n);
	secret_free(s);
	return rec == NULL ? STORE_MEMORY : store_put(st, rec);
}

/* secret_use() callback */
static int
parse(const void *p, size_t len, void *arg)
{
	const unsigned char *der = p;
	EVP_PKEY **key = arg;

	*key = d2i_AutoPrivateKey(NULL, &der, (long)len);
	return *key == NULL ? -1 : 0;
}

/* The key, the caller's to free; NULL when there is none and none was to be made. */
static EVP_PKEY *
open_key(struct store *st, int make)
{
	const struct record *rec = store_find(st, RECORD_NODE_KEY, nothing, nothing);
	struct secret *s;
	EVP_PKEY *key = NULL;

	if (rec != NULL) {
		s = record_open(st->keys.record, rec);
		if (s == NULL || secret_use(s, parse, &key) == -1)
			key = NULL;
		secret_free(s);
		return key;
	}
	if (!make || (key = EVP_RSA_gen(8 * VAULT_RSA_LEN)) == NULL)
		return NULL;
	if (keep(st, key) != STORE_OK) {
		EVP_PKEY_free(key);
		return NULL;
	}
	LOG_INFO("vault.node_key", LU("bits", 8 * VAULT_RSA_LEN));
	return key;
}

int
node_key_modulus(struct store *st, int make, uint8_t modulus[VAULT_RSA_LEN])
{
	EVP_PKEY *key = open_key(st, make);
	BIGNUM *n = NULL;
	int r = -1;

	if (key != NULL && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
	    BN_bn2binpad(n, modulus, VAULT_RSA_LEN) == VAULT_RSA_LEN)
		r = 0;
	BN_free(n);
	EVP_PKEY_free(key);
	return r;
}

int
node_key_sign(
    struct store *st, const void *p, size_t len, uint8_t signature[VAULT_RSA_LEN])
{
	EVP_PKEY *key = open_key(st, 0);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = VAULT_RSA_LEN;
	int r = -1;

	if (key != NULL && ctx != NULL &&
	    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(ctx, signature, &n, p, len) == 1 && n == VAULT_RSA_LEN)
		r = 0;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return r;
}
