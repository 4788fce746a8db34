/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key derivation of a vault file; see kdf.h. Runs in vault, on a file's header before
 * anything of it is known to be ours: hence the bounds on its parameters.
 */
#include "keymasterd/vault/kdf.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <string.h>

#include "common/hex.h"
#include "common/secret.h"
#include "keymasterd/vault/pbkdf2.h"
#include "keymasterd/vault/seal.h"

#define ROOT_LEN PBKDF2_OUT_LEN

struct octets {
	const void *p;
	size_t len;
};

struct pbkdf2 {
	const struct kdf_params *params;
	struct octets master;
};

struct expand {
	struct octets root;
	const char *info;
};

/* secret_use() callback: lends the octets for the time of one nested call. */
struct lend {
	size_t max;
	long (*fn)(void *, size_t, void *);
	void *arg;
	struct octets *to;
	struct secret *made;
};

static int
lend_octets(const void *p, size_t len, void *arg)
{
	struct lend *l = arg;

	*l->to = (struct octets){p, len};
	l->made = secret_new_fill(l->max, l->fn, l->arg);
	*l->to = (struct octets){NULL, 0};
	return 0;
}

/* A new secret of up to `max` octets that fn makes while *to shows the octets of `from`.
 */
static struct secret *
derive(const struct secret *from, struct octets *to, size_t max,
    long (*fn)(void *, size_t, void *), void *arg)
{
	struct lend l = {max, fn, arg, to, NULL};

	secret_use(from, lend_octets, &l);
	return l.made;
}

static long
fill_master(void *p, size_t max, void *arg)
{
	const struct octets *text = arg;
	const char *t = text->p;
	size_t len = text->len;

	if (len == 2 * max + 1 && t[len - 1] == '\n')
		len--;
	return len == 2 * max && hex_decode(t, len, p, max) == (ssize_t)max ? (long)max
									    : -1;
}

struct secret *
kdf_master(const struct secret *text)
{
	struct octets o = {NULL, 0};

	return derive(text, &o, KDF_MASTER_LEN, fill_master, &o);
}

void
kdf_params_new(struct kdf_params *k)
{
	k->algorithm = KDF_PBKDF2_SHA512;
	k->iterations = KDF_ITERATIONS;
	randombytes_buf(k->salt, sizeof(k->salt));
}

int
kdf_params_check(const struct kdf_params *k)
{
	return k->algorithm == KDF_PBKDF2_SHA512 && k->iterations >= KDF_ITERATIONS &&
		k->iterations <= KDF_ITERATIONS_MAX
	    ? 0
	    : -1;
}

static long
fill_root(void *p, size_t max, void *arg)
{
	const struct pbkdf2 *b = arg;
	const struct pbkdf2_in in = {b->master.p, b->master.len, b->params->salt,
	    KDF_SALT_LEN, b->params->iterations};

	return max == PBKDF2_OUT_LEN && pbkdf2_sha512(&in, p) == 0 ? (long)max : -1;
}

/* HKDF-Expand for up to one block of SHA-512: T(1) = HMAC(root, info || 0x01). */
static long
fill_expanded(void *p, size_t max, void *arg)
{
	const struct expand *e = arg;
	uint8_t input[64], block[64];
	size_t n = strlen(e->info);
	long r = -1;

	if (max > sizeof(block) || n >= sizeof(input))
		return -1;
	memcpy(input, e->info, n);
	input[n] = 1;
	if (HMAC(EVP_sha512(), e->root.p, (int)e->root.len, input, n + 1, block, NULL) !=
	    NULL) {
		memcpy(p, block, max);
		r = (long)max;
	}
	explicit_bzero(block, sizeof(block));
	return r;
}

static struct secret *
expand(const struct secret *root, const char *info, size_t len)
{
	struct expand e = {.info = info};

	return derive(root, &e.root, len, fill_expanded, &e);
}

static int
copy_check(const void *p, size_t len, void *arg)
{
	memcpy(arg, p, len);
	return 0;
}

int
kdf_derive(const struct kdf_params *k, const struct secret *master, struct kdf_keys *keys)
{
	struct pbkdf2 b = {.params = k};
	struct secret *root = NULL, *check = NULL;
	int r = -1;

	memset(keys, 0, sizeof(*keys));
	if (kdf_params_check(k) == -1 || secret_len(master) != KDF_MASTER_LEN)
		return -1;
	root = derive(master, &b.master, ROOT_LEN, fill_root, &b);
	if (root == NULL)
		goto out;
	keys->record = expand(root, "aegis-vault-1 records", SEAL_KEY_LEN);
	keys->file = expand(root, "aegis-vault-1 file", KDF_MAC_LEN);
	check = expand(root, "aegis-vault-1 check", KDF_CHECK_LEN);
	if (keys->record == NULL || keys->file == NULL || check == NULL)
		goto out;
	secret_use(check, copy_check, keys->check);
	r = 0;
out:
	secret_free(check);
	secret_free(root);
	if (r == -1)
		kdf_keys_free(keys);
	return r;
}

void
kdf_keys_free(struct kdf_keys *keys)
{
	secret_free(keys->record);
	secret_free(keys->file);
	memset(keys, 0, sizeof(*keys));
}

struct mac {
	struct octets data;
	uint8_t *out;
};

static int
mac_with_key(const void *p, size_t len, void *arg)
{
	const struct mac *m = arg;

	return HMAC(EVP_sha512(), p, (int)len, m->data.p, m->data.len, m->out, NULL) !=
		NULL
	    ? 0
	    : -1;
}

int
kdf_file_mac(
    const struct kdf_keys *keys, const void *p, size_t len, uint8_t mac[KDF_MAC_LEN])
{
	struct mac m = {{p, len}, mac};

	return secret_use(keys->file, mac_with_key, &m);
}
