/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded provider: one encrypted file. Runs in vault. Secrets and signing keys stay
 * sealed in memory and are opened for the length of one call.
 */
#include "keymasterd/vault/provider.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/reference.h"
#include "common/secret.h"
#include "keymasterd/vault/board.h"
#include "keymasterd/vault/grace.h"
#include "keymasterd/vault/node_key.h"
#include "keymasterd/vault/seal.h"
#include "keymasterd/vault/sign.h"
#include "keymasterd/vault/store.h"

static struct store store;
static uint8_t public_keys[2][VAULT_PUBLIC_LEN];

static enum record_kind
kind_of(enum vault_key key)
{
	return key == VAULT_KEY_TOKEN ? RECORD_TOKEN_KEY : RECORD_LEDGER_KEY;
}

/* What an operator has to know, by store_code. */
static void
explain(const struct vault_open *o, enum store_code code, char *why, size_t size)
{
	switch (code) {
	case STORE_OK:
		snprintf(why, size, "no error");
		break;
	case STORE_ABSENT:
		snprintf(why, size,
		    "there is no vault %s/%s: run \"aegis init\", or bring it back from "
		    "a backup",
		    o->path, store.file);
		break;
	case STORE_PRESENT:
		snprintf(why, size,
		    "the vault %s/%s exists already and was left alone: move it away if "
		    "a new "
		    "one is really wanted; its secrets can only be read with its own "
		    "master key",
		    o->path, store.file);
		break;
	case STORE_IO:
		snprintf(why, size, "the vault %s/%s: %s", o->path, store.file,
		    strerror(errno));
		break;
	case STORE_KEY:
		snprintf(why, size,
		    "Invalid master key for the vault %s/%s: check that AEGIS_MASTER_KEY "
		    "matches "
		    "the key from \"aegis init\"; if it does, the file's header was "
		    "changed: "
		    "bring the file back from a backup",
		    o->path, store.file);
		break;
	case STORE_DAMAGED:
		snprintf(why, size,
		    "the vault %s/%s was damaged or changed by somebody: it is not used; "
		    "bring "
		    "it back from a backup",
		    o->path, store.file);
		break;
	case STORE_TOO_LARGE:
	case STORE_MEMORY:
		snprintf(
		    why, size, "the vault %s/%s: not enough memory", o->path, store.file);
		break;
	}
}

/* secret_use() callback: the public half of a seed. */
static int
public_of_seed(const void *p, size_t len, void *arg)
{
	unsigned char sk[crypto_sign_SECRETKEYBYTES];
	int r;

	if (len != crypto_sign_SEEDBYTES)
		return -1;
	r = crypto_sign_seed_keypair(arg, sk, p);
	sodium_memzero(sk, sizeof(sk));
	return r;
}

static struct secret *
signing_seed(enum vault_key key)
{
	const struct record *rec = store_find(
	    &store, kind_of(key), (struct span){NULL, 0}, (struct span){NULL, 0});

	return rec == NULL ? NULL : record_open(store.keys.record, rec);
}

/* Reading the public keys also proves that both private ones can be opened. */
static int
load_public(enum vault_key key)
{
	struct secret *seed = signing_seed(key);
	int r = seed == NULL ? -1 : secret_use(seed, public_of_seed, public_keys[key]);

	secret_free(seed);
	return r;
}

static enum store_code
create(const struct vault_open *o)
{
	struct secret *token = secret_new_random(RECORD_KEY_LEN);
	struct secret *ledger = secret_new_random(RECORD_KEY_LEN);
	enum store_code code = STORE_MEMORY;

	if (token != NULL && ledger != NULL)
		code = store_create(&store, o->master_key, token, ledger);
	secret_free(token);
	secret_free(ledger);
	return code;
}

static void
embedded_close(void)
{
	store_free(&store);
	memset(public_keys, 0, sizeof(public_keys));
}

static uint32_t
embedded_count(void)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < store.n; i++)
		n += store.records[i]->kind == RECORD_CREDENTIAL;
	return n;
}

static uint64_t
embedded_saves(void)
{
	return store.counter;
}

static int
embedded_open(const struct vault_open *o, char *why, size_t size)
{
	enum store_code code;

	if (store_init(&store, o->dirfd, o->name) == -1) {
		snprintf(why, size,
		    "the vault's name must be 1 to %d of A-Z a-z 0-9 _ - . without a "
		    "leading dot",
		    STORE_NAME_MAX);
		return -1;
	}
	code = o->create ? create(o) : store_open(&store, o->master_key);
	if (code == STORE_OK &&
	    (load_public(VAULT_KEY_TOKEN) == -1 || load_public(VAULT_KEY_LEDGER) == -1))
		code = STORE_DAMAGED;
	if (code != STORE_OK) {
		explain(o, code, why, size);
		embedded_close();
		return -1;
	}
	LOG_INFO(o->create ? "vault.create" : "vault.open", LS("file", store.file),
	    LU("credentials", embedded_count()), LU("counter", store.counter));
	return 0;
}

static enum vault_code
code_of(enum store_code code)
{
	switch (code) {
	case STORE_OK:
		return VAULT_OK;
	case STORE_TOO_LARGE:
		return VAULT_TOO_LARGE;
	case STORE_ABSENT:
		return VAULT_MISSING;
	default:
		LOG_ERROR("vault.save", LI("code", code), LE("error", errno));
		return VAULT_IO;
	}
}

/* The secret in force, to be replaced, as the record that is kept for its grace; without
 * one *kept stays NULL, and what was kept goes. */
static enum vault_code
keep_before(const struct record *now, const struct credential *c, struct record **kept)
{
	struct secret *s;

	if (c->grace_s == 0 || now->meta.reference)
		return VAULT_OK;
	s = record_open(store.keys.record, now);
	if (s != NULL && secret_len(s) > GRACE_SECRET_MAX) {
		secret_free(s);
		return VAULT_REFUSED;
	}
	if (s != NULL)
		*kept = grace_record(&store, c, s, grace_now_ms(), c->grace_s);
	secret_free(s);
	return *kept != NULL ? VAULT_OK : code_of(STORE_MEMORY);
}

static enum vault_code
embedded_seal(const struct credential *c, const struct secret *secret, int replace)
{
	const struct record *old =
	    store_find(&store, RECORD_CREDENTIAL, c->tenant, c->name);
	struct secret *kept = NULL;
	struct credential meta = *c;
	struct record *put[2] = {NULL};
	const struct record *gone = NULL;

	if (old == NULL && replace)
		return VAULT_MISSING;
	if (old != NULL && !replace)
		return VAULT_EXISTS;
	if (secret != NULL && old != NULL) {
		enum vault_code code = keep_before(old, c, &put[1]);

		if (code != VAULT_OK)
			return code;
		if (put[1] == NULL)
			gone = store_find(&store, RECORD_GRACE, c->tenant, c->name);
	}
	if (secret == NULL) {
		if (old == NULL)
			return VAULT_REFUSED;
		secret = kept = record_open(store.keys.record, old);
		meta.reference = old->meta.reference;
		if (kept == NULL)
			return VAULT_IO;
	}
	put[0] = record_seal(
	    store.keys.record, RECORD_CREDENTIAL, store.counter + 1, &meta, secret);
	secret_free(kept);
	if (put[0] == NULL) {
		record_free(put[1]);
		return VAULT_REFUSED;
	}
	return code_of(store_change(&store, put, gone));
}

static uint64_t
embedded_expire(uint64_t now_ms, void (*over)(struct span, struct span))
{
	return grace_sweep(&store, now_ms, over);
}

static enum vault_code
embedded_drop(struct span tenant, struct span name)
{
	const struct record *rec = store_find(&store, RECORD_CREDENTIAL, tenant, name);

	if (rec != NULL && grace_drop(&store, tenant, name) != STORE_OK)
		return code_of(STORE_IO);
	rec = store_find(&store, RECORD_CREDENTIAL, tenant, name);
	return rec == NULL ? VAULT_MISSING : code_of(store_remove(&store, rec));
}

static int
embedded_describe(struct span tenant, struct span name, struct credential *out)
{
	const struct record *rec = store_find(&store, RECORD_CREDENTIAL, tenant, name);

	if (rec != NULL)
		*out = rec->meta;
	return rec != NULL ? 0 : -1;
}

static void
embedded_fetch(struct span tenant, struct span name, vault_done_fn done, void *arg)
{
	const struct record *rec = store_find(&store, RECORD_CREDENTIAL, tenant, name);
	struct vault_answer a = {.code = VAULT_MISSING};

	if (rec != NULL) {
		a.secret = record_open(store.keys.record, rec);
		a.meta = &rec->meta;
		a.old = grace_secret(&store, tenant, name, grace_now_ms(), &a.old_ms);
		/* without memory only: the file's MAC was right */
		a.code = a.secret == NULL ? VAULT_IO : VAULT_OK;
	}
	done(&a, arg);
	secret_free(a.secret);
	secret_free(a.old);
}

/* secret:NAME, the secret of a credential. */
static void
embedded_resolve(const struct vault_question *q, vault_done_fn done, void *arg)
{
	static const size_t scheme = sizeof(REFERENCE_SECRET) - 1;
	const struct vault_answer a = {.code = VAULT_BAD_REFERENCE};
	const struct record *rec;
	struct span name;

	if (q->reference.len > scheme &&
	    memcmp(q->reference.p, REFERENCE_SECRET, scheme) == 0) {
		name = span_mem(q->reference.p + scheme, q->reference.len - scheme);
		rec = store_find(&store, RECORD_CREDENTIAL, q->tenant, name);
		if (rec == NULL || !rec->meta.reference) {
			embedded_fetch(q->tenant, name, done, arg);
			return;
		}
	}
	done(&a, arg);
}

static void
embedded_lease(
    const struct vault_holder *h, struct span reference, vault_done_fn done, void *arg)
{
	static const struct vault_answer no = {.code = VAULT_BAD_REFERENCE,
	    .why = "a dynamic credential needs vault.provider: openbao and "
		   "secrets.openbao"};

	(void)h;
	(void)reference;
	done(&no, arg);
}

static void
embedded_lease_over(uint32_t instance, int ended)
{
	(void)instance;
	(void)ended;
}

static void
embedded_refresh(void)
{
	/* the file is the only copy */
}

struct signing {
	const void *p;
	size_t len;
	uint8_t *signature;
};

/* secret_use() callback over the seed. */
static int
sign_with_seed(const void *seed, size_t len, void *arg)
{
	unsigned char pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
	const struct signing *s = arg;
	int r = -1;

	if (len == crypto_sign_SEEDBYTES && crypto_sign_seed_keypair(pk, sk, seed) == 0)
		r = crypto_sign_detached(s->signature, NULL, s->p, s->len, sk);
	sodium_memzero(sk, sizeof(sk));
	return r;
}

static void
embedded_sign(
    enum vault_key key, const void *p, size_t len, vault_done_fn done, void *arg)
{
	uint8_t signature[VAULT_SIGNATURE_LEN];
	struct signing s = {p, len, signature};
	struct vault_answer a = {.code = VAULT_IO, .signature = signature};
	struct secret *seed = signing_seed(key);

	if (seed != NULL && secret_use(seed, sign_with_seed, &s) == 0)
		a.code = VAULT_OK;
	secret_free(seed);
	done(&a, arg);
}

static const uint8_t *
embedded_public_key(enum vault_key key)
{
	return public_keys[key];
}

static void
embedded_wait(vault_done_fn done, void *arg)
{
	static const struct vault_answer known = {.code = VAULT_OK};

	done(&known, arg);
}

static uint64_t
retires(const struct record *rec)
{
	char text[24];

	return span_copy(rec->meta.service, text, sizeof(text)) == -1
	    ? 0
	    : strtoull(text, NULL, 10);
}

/* secret_use() callback */
static int
copy_public(const void *p, size_t len, void *arg)
{
	if (len != VAULT_PUBLIC_LEN)
		return -1;
	memcpy(arg, p, len);
	return 0;
}

static size_t
embedded_old_keys(uint64_t now_s, struct vault_old_key out[VAULT_OLD_MAX])
{
	struct secret *pub;
	size_t i, n = 0;

	for (i = 0; i < store.n && n < VAULT_OLD_MAX; i++) {
		if (store.records[i]->kind != RECORD_TOKEN_OLD ||
		    retires(store.records[i]) <= now_s)
			continue;
		pub = record_open(store.keys.record, store.records[i]);
		out[n].retires_s = retires(store.records[i]);
		if (pub != NULL && secret_use(pub, copy_public, out[n].pub) == 0)
			n++;
		secret_free(pub);
	}
	return n;
}

/* What verifies no more goes from the file. */
static enum vault_code
forget_retired(uint64_t now_s)
{
	enum vault_code code = VAULT_OK;
	size_t i = 0;

	while (i < store.n && code == VAULT_OK)
		if (store.records[i]->kind == RECORD_TOKEN_OLD &&
		    retires(store.records[i]) <= now_s)
			code = code_of(store_remove(&store, store.records[i]));
		else
			i++;
	return code;
}

/* The public half of the key in force, as a record of its own. */
static enum vault_code
keep_public(uint64_t retires_s)
{
	const uint8_t *now = public_keys[VAULT_KEY_TOKEN];
	struct secret *pub = secret_new(now, VAULT_PUBLIC_LEN);
	char kid[SIGN_KID_SIZE], until[24];
	struct credential meta = {.name = span_str(kid), .service = span_str(until)};
	struct record *rec = NULL;

	sign_kid(now, kid);
	(void)snprintf(until, sizeof(until), "%llu", (unsigned long long)retires_s);
	meta.name = span_str(kid);
	meta.service = span_str(until);
	if (pub != NULL)
		rec = record_seal(
		    store.keys.record, RECORD_TOKEN_OLD, store.counter + 1, &meta, pub);
	secret_free(pub);
	return rec == NULL ? VAULT_IO : code_of(store_put(&store, rec));
}

static void
embedded_rotate(uint64_t now_s, uint64_t retires_s, vault_done_fn done, void *arg)
{
	struct vault_old_key old[VAULT_OLD_MAX];
	struct vault_answer a = {.code = forget_retired(now_s)};
	struct secret *seed = secret_new_random(RECORD_KEY_LEN);
	struct record *rec = NULL;

	/* first what keeps old tokens good, then what signs new ones: a crash between the
	 * two leaves the key in force */
	if (a.code == VAULT_OK && seed == NULL)
		a.code = VAULT_IO;
	if (a.code == VAULT_OK && retires_s > now_s) {
		if (embedded_old_keys(now_s, old) == VAULT_OLD_MAX) {
			a.code = VAULT_REFUSED;
			a.why = "too many old keys still verify";
		} else {
			a.code = keep_public(retires_s);
		}
	}
	if (a.code == VAULT_OK) {
		rec = record_seal(
		    store.keys.record, RECORD_TOKEN_KEY, store.counter + 1, NULL, seed);
		a.code = rec == NULL ? VAULT_IO : code_of(store_put(&store, rec));
	}
	if (a.code == VAULT_OK && load_public(VAULT_KEY_TOKEN) == -1)
		a.code = VAULT_IO;
	secret_free(seed);
	done(&a, arg);
}

static int
embedded_node_key(int make, uint8_t modulus[VAULT_RSA_LEN])
{
	return node_key_modulus(&store, make, modulus);
}

static void
embedded_node_sign(const void *p, size_t len, vault_done_fn done, void *arg)
{
	uint8_t signature[VAULT_RSA_LEN];
	struct vault_answer a = {.code = VAULT_IO, .signature = signature};

	if (node_key_sign(&store, p, len, signature) == 0)
		a.code = VAULT_OK;
	done(&a, arg);
}

static long
fill_subkey(void *p, size_t max, void *arg)
{
	const char *name = arg;
	uint8_t mac[KDF_MAC_LEN];
	int r = kdf_file_mac(&store.keys, name, strlen(name), mac);

	if (r == 0 && max <= sizeof(mac))
		memcpy(p, mac, max);
	sodium_memzero(mac, sizeof(mac));
	return r == 0 && max <= sizeof(mac) ? (long)max : -1;
}

struct secret *
provider_embedded_subkey(const char *name)
{
	return secret_new_fill(SEAL_KEY_LEN, fill_subkey, (void *)(uintptr_t)name);
}

static void
embedded_encrypt(const struct vault_object *o, int new_key, const struct secret *plain,
    vault_done_fn done, void *arg)
{
	struct vault_answer a = {.code = VAULT_OK};
	struct buf text;

	buf_init(&text);
	a.code = board_encrypt(&store, o, new_key, plain, &text, &a.version, &a.why);
	a.text = span_mem(text.p, text.len);
	done(&a, arg);
	buf_free(&text);
}

static void
embedded_decrypt(
    const struct vault_object *o, struct span text, vault_done_fn done, void *arg)
{
	struct vault_answer a = {.code = VAULT_OK};

	a.secret = board_decrypt(&store, o, text, &a.code, &a.why, &a.version);
	if (a.code == VAULT_OK)
		a.why = NULL;
	done(&a, arg);
	secret_free(a.secret);
}

const struct vault_provider provider_embedded = {
    .name = "embedded",
    .open = embedded_open,
    .count = embedded_count,
    .saves = embedded_saves,
    .seal = embedded_seal,
    .drop = embedded_drop,
    .expire = embedded_expire,
    .describe = embedded_describe,
    .fetch = embedded_fetch,
    .resolve = embedded_resolve,
    .lease = embedded_lease,
    .lease_over = embedded_lease_over,
    .refresh = embedded_refresh,
    .sign = embedded_sign,
    .public_key = embedded_public_key,
    .wait = embedded_wait,
    .rotate = embedded_rotate,
    .old_keys = embedded_old_keys,
    .node_key = embedded_node_key,
    .node_sign = embedded_node_sign,
    .encrypt = embedded_encrypt,
    .decrypt = embedded_decrypt,
    .close = embedded_close,
};
