/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vault file and what is signed: roundtrips, and every way in which a file can be
 * changed, cut or mixed up must be refused.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/ed25519.h"
#include "common/jwt.h"
#include "common/secret.h"
#include "keymasterd/vault/board.h"
#include "keymasterd/vault/file.h"
#include "keymasterd/vault/grace.h"
#include "keymasterd/vault/pbkdf2.h"
#include "keymasterd/vault/provider.h"
#include "keymasterd/vault/seal.h"
#include "keymasterd/vault/sign.h"
#include "keymasterd/vault/store.h"

#define P (&provider_embedded)

static char dir[] = "/tmp/aegis-vault-XXXXXX";
static int dirfd_;
static struct secret *master;

static void
setup(void)
{
	uint8_t key[32];

	for (int i = 0; i < 32; i++)
		key[i] = (uint8_t)i;
	ck_assert_int_ne(sodium_init(), -1);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dirfd_, 0);
	master = secret_new(key, sizeof(key));
	ck_assert_ptr_nonnull(master);
}

static void
teardown(void)
{
	P->close();
	secret_free(master);
	(void)unlinkat(dirfd_, "v.vault", 0);
	(void)unlinkat(dirfd_, ".v.vault.new", 0);
	(void)rmdir(dir);
	close(dirfd_);
}

static int
vault_open_with(const struct secret *key, int create, char *why)
{
	const struct vault_open o = {dirfd_, dir, "v", key, create, NULL};

	return P->open(&o, why, 1024);
}

static void
must_open(int create)
{
	char why[1024] = "";

	ck_assert_msg(vault_open_with(master, create, why) == 0, "%s", why);
}

static struct credential
cred(const char *tenant, const char *name)
{
	struct credential c = {.tenant = span_str(tenant),
	    .name = span_str(name),
	    .service = span_str("stripe"),
	    .domains = span_str("api.stripe.com,*.example.org"),
	    .auth_type = span_str("header"),
	    .header_name = span_str("X-Api-Key"),
	    .query_param = span_str(""),
	    .scheme = span_str("https"),
	    .port = 8443,
	    .allow_private = 1};

	return c;
}

static enum vault_code
put(const char *tenant, const char *name, const char *value, int replace)
{
	struct credential c = cred(tenant, name);
	struct secret *s = value == NULL ? NULL : secret_new(value, strlen(value));
	enum vault_code code = P->seal(&c, s, replace);

	secret_free(s);
	return code;
}

/* What the provider said; with the embedded one it is there when the function returns. */
struct said {
	enum vault_code code;
	int times;
	struct credential meta;
	struct secret *secret; /* a copy, ours */
	uint8_t signature[VAULT_SIGNATURE_LEN];
};

static int
copy_secret(const void *p, size_t len, void *arg)
{
	*(struct secret **)arg = secret_new(p, len);
	return 0;
}

static void
hear(const struct vault_answer *a, void *arg)
{
	struct said *s = arg;

	s->times++;
	s->code = a->code;
	if (a->meta != NULL)
		s->meta = *a->meta;
	if (a->secret != NULL)
		secret_use(a->secret, copy_secret, &s->secret);
	if (a->signature != NULL)
		memcpy(s->signature, a->signature, sizeof(s->signature));
}

static enum vault_code
fetch(const char *tenant, const char *name, struct credential *c, struct secret **secret)
{
	struct said s = {0};

	P->fetch(span_str(tenant), span_str(name), hear, &s);
	ck_assert_int_eq(s.times, 1);
	*secret = s.secret;
	if (c != NULL)
		*c = s.meta;
	return s.code;
}

/* A whole token, or why not. */
static const char *
make_token(const struct msg_token_sign *m, uint64_t now, struct buf *token)
{
	const char *why = sign_token(P, m, now, token);
	struct said s = {0};

	if (why != NULL)
		return why;
	P->sign(VAULT_KEY_TOKEN, token->p, token->len, hear, &s);
	ck_assert_int_eq(s.times, 1);
	ck_assert_int_eq(s.code, VAULT_OK);
	ck_assert_int_eq(sign_token_end(token, s.signature, VAULT_SIGNATURE_LEN), 0);
	return NULL;
}

static const char *
make_checkpoint(const struct msg_checkpoint_sign *m, uint8_t signature[64])
{
	struct said s = {0};
	struct buf text;
	const char *why;

	buf_init(&text);
	why = sign_checkpoint(m, &text);
	if (why == NULL) {
		P->sign(VAULT_KEY_LEDGER, text.p, text.len, hear, &s);
		ck_assert_int_eq(s.code, VAULT_OK);
		memcpy(signature, s.signature, 64);
	}
	buf_free(&text);
	return why;
}

static void
must_have(const char *tenant, const char *name, const char *value)
{
	struct credential c;
	struct secret *s = NULL;

	ck_assert_int_eq(fetch(tenant, name, &c, &s), VAULT_OK);
	ck_assert(secret_eq_mem(s, value, strlen(value)));
	ck_assert(span_eq(c.tenant, tenant) && span_eq(c.name, name));
	secret_free(s);
}

static void
must_miss(const char *tenant, const char *name)
{
	struct secret *s = NULL;

	ck_assert_int_eq(fetch(tenant, name, NULL, &s), VAULT_MISSING);
	ck_assert_ptr_null(s);
}

/* The file as it is on disk. */
static uint8_t *
slurp(size_t *len)
{
	uint8_t *p;

	ck_assert_int_eq(file_read(dirfd_, "v.vault", STORE_FILE_MAX, &p, len), 0);
	return p;
}

static void
spew(const char *name, const void *p, size_t len)
{
	int fd = openat(dirfd_, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, len), (ssize_t)len);
	close(fd);
}

/* A store with the keys of the file `p`, ready for store_decode() without PBKDF2. */
static void
keys_of(struct kdf_keys *keys, const uint8_t *p)
{
	struct kdf_params k = {KDF_PBKDF2_SHA512, KDF_ITERATIONS, {0}};

	memcpy(k.salt, p + 20, sizeof(k.salt));
	ck_assert_int_eq(kdf_derive(&k, master, keys), 0);
}

static enum store_code
decode(const struct kdf_keys *keys, const uint8_t *p, size_t len)
{
	struct store st;
	enum store_code code;

	ck_assert_int_eq(store_init(&st, dirfd_, "v"), 0);
	st.keys = *keys;
	code = store_decode(&st, p, len);
	memset(&st.keys, 0, sizeof(st.keys)); /* borrowed */
	store_free(&st);
	return code;
}

/* As whoever knows the keys would: a right MAC over changed octets. */
static enum store_code
decode_remaced(const struct kdf_keys *keys, uint8_t *p, size_t len)
{
	ck_assert_int_eq(
	    kdf_file_mac(keys, p, len - KDF_MAC_LEN, p + len - KDF_MAC_LEN), 0);
	return decode(keys, p, len);
}

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Start of record i, its length word included. */
static size_t
record_at(const uint8_t *p, unsigned i)
{
	size_t at = 96;

	while (i-- > 0)
		at += 4 + be32(p + at);
	return at;
}

/* -- keys -- */

static int
master_ok(const char *text)
{
	struct secret *t = secret_new(text, strlen(text)), *m = kdf_master(t);
	int ok = m != NULL && secret_len(m) == 32;

	secret_free(t);
	secret_free(m);
	return ok;
}

START_TEST(master_key_text)
{
	char hex[70] = "00112233445566778899aabbccddeeffAABBCCDDEEFF00112233445566778899";

	ck_assert(master_ok(hex));
	hex[64] = '\n';
	ck_assert(master_ok(hex));
	hex[65] = '\n';
	ck_assert(!master_ok(hex));
	hex[64] = '0';
	hex[65] = '\0';
	ck_assert(!master_ok(hex));
	hex[64] = '\0';
	hex[3] = 'g';
	ck_assert(!master_ok(hex));
	hex[3] = ' ';
	ck_assert(!master_ok(hex));
	hex[3] = '1';
	ck_assert(master_ok(hex));
	hex[63] = '\0';
	ck_assert(!master_ok(hex));
	hex[63] = '\n';
	ck_assert(!master_ok(hex));
	ck_assert(!master_ok(""));
	ck_assert(!master_ok("\n"));
}
END_TEST

/* Computed with Python's hashlib and hmac. */
START_TEST(keys_are_those_of_the_document)
{
	static const char record[] =
	    "266d3d166c9eaf0d8d90b0da60c4135d33b078a7b4f658867e4063c4ba5bbbeb";
	static const char check[] =
	    "1902658f16dba4e250537e1d3fe189cb967935123c6b704f054721bc150a7dd7";
	struct kdf_params k = {KDF_PBKDF2_SHA512, 210000, {0}};
	struct kdf_keys keys;
	uint8_t want[32];

	for (int i = 0; i < 32; i++)
		k.salt[i] = (uint8_t)(32 + i);
	ck_assert_int_eq(kdf_derive(&k, master, &keys), 0);
	sodium_hex2bin(want, sizeof(want), record, 64, NULL, NULL, NULL);
	ck_assert(secret_eq_mem(keys.record, want, 32));
	sodium_hex2bin(want, sizeof(want), check, 64, NULL, NULL, NULL);
	ck_assert_mem_eq(keys.check, want, 32);
	ck_assert(!secret_eq_mem(keys.file, want, 32));
	kdf_keys_free(&keys);

	k.iterations = 209999;
	ck_assert_int_eq(kdf_derive(&k, master, &keys), -1);
	k.iterations = KDF_ITERATIONS_MAX + 1;
	ck_assert_int_eq(kdf_derive(&k, master, &keys), -1);
	k.iterations = 210000;
	k.algorithm = 2;
	ck_assert_int_eq(kdf_derive(&k, master, &keys), -1);
	ck_assert_ptr_null(keys.record);
}
END_TEST

START_TEST(pbkdf2_is_that_of_openssl)
{
	uint8_t password[PBKDF2_PASSWORD_MAX + 1], salt[PBKDF2_SALT_MAX + 1];
	uint8_t got[PBKDF2_OUT_LEN], want[PBKDF2_OUT_LEN];
	struct pbkdf2_in in = {password, 0, salt, 0, 0};

	randombytes_buf(password, sizeof(password));
	randombytes_buf(salt, sizeof(salt));
	for (; in.password_len <= PBKDF2_PASSWORD_MAX; in.password_len += 32)
		for (in.salt_len = 0; in.salt_len <= PBKDF2_SALT_MAX; in.salt_len++) {
			in.iterations = 1 + (unsigned)in.salt_len % 5;
			ck_assert_int_eq(pbkdf2_sha512(&in, got), 0);
			ck_assert_int_eq(
			    PKCS5_PBKDF2_HMAC((const char *)password,
				(int)in.password_len, salt, (int)in.salt_len,
				(int)in.iterations, EVP_sha512(), PBKDF2_OUT_LEN, want),
			    1);
			ck_assert_mem_eq(got, want, PBKDF2_OUT_LEN);
		}
	in = (struct pbkdf2_in){password, PBKDF2_PASSWORD_MAX + 1, salt, 0, 1};
	ck_assert_int_eq(pbkdf2_sha512(&in, got), -1);
	in = (struct pbkdf2_in){password, 0, salt, PBKDF2_SALT_MAX + 1, 1};
	ck_assert_int_eq(pbkdf2_sha512(&in, got), -1);
	in = (struct pbkdf2_in){password, 0, salt, 0, 0};
	ck_assert_int_eq(pbkdf2_sha512(&in, got), -1);
}
END_TEST

START_TEST(seal_binds_everything)
{
	struct secret *key = secret_new_random(32), *other = secret_new_random(32);
	struct secret *plain = secret_new("sk_live_1", 9), *s;
	uint8_t nonce[12], nonce2[12], box[9 + 16], box2[9 + 16], aad[5] = "hello";
	size_t i;

	ck_assert_int_eq(seal_close(key, aad, 5, plain, nonce, box), 0);
	ck_assert_int_eq(seal_close(key, aad, 5, plain, nonce2, box2), 0);
	ck_assert_mem_ne(nonce, nonce2, 12);
	ck_assert_mem_ne(box, box2, sizeof(box));
	s = seal_open(key, aad, 5, nonce, box, sizeof(box));
	ck_assert(secret_eq(s, plain));
	secret_free(s);
	ck_assert_ptr_null(seal_open(other, aad, 5, nonce, box, sizeof(box)));
	ck_assert_ptr_null(seal_open(key, aad, 4, nonce, box, sizeof(box)));
	ck_assert_ptr_null(seal_open(key, aad, 5, nonce2, box, sizeof(box)));
	ck_assert_ptr_null(seal_open(plain, aad, 5, nonce, box, sizeof(box)));
	for (i = 0; i < sizeof(box) * 8; i++) {
		box[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert_ptr_null(seal_open(key, aad, 5, nonce, box, sizeof(box)));
		box[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < sizeof(box); i++)
		ck_assert_ptr_null(seal_open(key, aad, 5, nonce, box, i));
	aad[0] ^= 1;
	ck_assert_ptr_null(seal_open(key, aad, 5, nonce, box, sizeof(box)));
	secret_free(key);
	secret_free(other);
	secret_free(plain);
}
END_TEST

/* -- the store through its provider -- */

START_TEST(roundtrip)
{
	struct credential c;
	struct secret *s;
	struct stat st;
	uint8_t token[32], ledger[32], *p;
	size_t len;

	must_open(1);
	memcpy(token, P->public_key(VAULT_KEY_TOKEN), 32);
	memcpy(ledger, P->public_key(VAULT_KEY_LEDGER), 32);
	ck_assert_mem_ne(token, ledger, 32);
	ck_assert_uint_eq(P->count(), 0);
	ck_assert_int_eq(put("default", "stripe", "sk_live_4242", 0), VAULT_OK);
	ck_assert_int_eq(put("default", "github", "ghp_0000", 0), VAULT_OK);
	P->close();
	must_open(0);
	ck_assert_uint_eq(P->count(), 2);
	ck_assert_mem_eq(token, P->public_key(VAULT_KEY_TOKEN), 32);
	ck_assert_mem_eq(ledger, P->public_key(VAULT_KEY_LEDGER), 32);
	ck_assert_int_eq(fetch("default", "stripe", &c, &s), VAULT_OK);
	ck_assert(secret_eq_mem(s, "sk_live_4242", 12));
	ck_assert(span_eq(c.tenant, "default") && span_eq(c.name, "stripe") &&
	    span_eq(c.service, "stripe") &&
	    span_eq(c.domains, "api.stripe.com,*.example.org") &&
	    span_eq(c.auth_type, "header") && span_eq(c.header_name, "X-Api-Key") &&
	    span_eq(c.query_param, "") && span_eq(c.scheme, "https"));
	ck_assert_uint_eq(c.port, 8443);
	ck_assert_uint_eq(c.allow_private, 1);
	secret_free(s);
	must_have("default", "github", "ghp_0000");
	ck_assert_int_eq(P->drop(span_str("default"), span_str("stripe")), VAULT_OK);
	ck_assert_int_eq(P->drop(span_str("default"), span_str("stripe")), VAULT_MISSING);
	P->close();
	must_open(0);
	must_miss("default", "stripe");
	must_have("default", "github", "ghp_0000");
	ck_assert_int_eq(fstatat(dirfd_, "v.vault", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	p = slurp(&len);
	ck_assert_ptr_null(memmem(p, len, "ghp_0000", 8));
	free(p);
}
END_TEST

START_TEST(start_up_says_what_to_do)
{
	struct secret *wrong = secret_new_random(32);
	uint8_t *p, *q;
	size_t len, len2;
	char why[1024];

	ck_assert_int_eq(vault_open_with(master, 0, why), -1);
	ck_assert_ptr_nonnull(strstr(why, "aegis init"));
	must_open(1);
	P->close();
	p = slurp(&len);
	ck_assert_int_eq(vault_open_with(master, 1, why), -1);
	ck_assert_ptr_nonnull(strstr(why, "exists already"));
	ck_assert_int_eq(vault_open_with(wrong, 1, why), -1);
	ck_assert_int_eq(vault_open_with(wrong, 0, why), -1);
	ck_assert_int_eq(strncmp(why, "Invalid master key", 18), 0);
	ck_assert_ptr_nonnull(strstr(why, "AEGIS_MASTER_KEY"));
	q = slurp(&len2);
	ck_assert_uint_eq(len, len2);
	ck_assert_mem_eq(p, q, len);
	p[len - 1] ^= 1;
	spew("v.vault", p, len);
	ck_assert_int_eq(vault_open_with(master, 0, why), -1);
	ck_assert_ptr_nonnull(strstr(why, "damaged or changed"));
	spew("v.vault", "", 0);
	ck_assert_int_eq(vault_open_with(master, 0, why), -1);
	ck_assert_ptr_nonnull(strstr(why, "damaged or changed"));
	spew("v.vault", q, len);
	must_open(0);
	free(p);
	free(q);
	secret_free(wrong);
}
END_TEST

START_TEST(names_of_vaults)
{
	struct store st;
	char name[80];

	memset(name, 'a', sizeof(name));
	name[64] = '\0';
	ck_assert_int_eq(store_init(&st, 0, name), 0);
	name[64] = 'a';
	name[65] = '\0';
	ck_assert_int_eq(store_init(&st, 0, name), -1);
	ck_assert_int_eq(store_init(&st, 0, ""), -1);
	ck_assert_int_eq(store_init(&st, 0, ".v"), -1);
	ck_assert_int_eq(store_init(&st, 0, "../v"), -1);
	ck_assert_int_eq(store_init(&st, 0, "a/b"), -1);
	ck_assert_int_eq(store_init(&st, 0, "my-vault_1.x"), 0);
}
END_TEST

START_TEST(no_name_twice_and_tenants_apart)
{
	must_open(1);
	ck_assert_int_eq(put("a", "k", "one", 0), VAULT_OK);
	ck_assert_int_eq(put("a", "k", "two", 0), VAULT_EXISTS);
	must_have("a", "k", "one");
	ck_assert_int_eq(put("b", "k", "x", 1), VAULT_MISSING);
	ck_assert_int_eq(put("b", "k", "three", 0), VAULT_OK);
	must_have("a", "k", "one");
	must_have("b", "k", "three");
	ck_assert_int_eq(put("a", "k", "four", 1), VAULT_OK);
	must_have("a", "k", "four");
	must_have("b", "k", "three");
	must_miss("", "k");
	must_miss("a", "");
	must_miss("ab", "k");
	must_miss("a", "kk");
	ck_assert_int_eq(P->drop(span_str("a"), span_str("k")), VAULT_OK);
	must_miss("a", "k");
	must_have("b", "k", "three");
	ck_assert_uint_eq(P->count(), 1);
}
END_TEST

START_TEST(many_in_any_order)
{
	char name[8];
	int i;

	must_open(1);
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%d", i * 17 % 40);
		ck_assert_int_eq(put(i % 2 ? "t" : "u", name, name, 0), VAULT_OK);
	}
	P->close();
	must_open(0);
	ck_assert_uint_eq(P->count(), 40);
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%d", i * 17 % 40);
		must_have(i % 2 ? "t" : "u", name, name);
		must_miss(i % 2 ? "u" : "t", name);
	}
}
END_TEST

START_TEST(sizes)
{
	static char big[CREDENTIAL_SECRET_MAX + 1];
	struct credential c = cred("t", "big");
	struct secret *s;
	char long_text[4098];

	must_open(1);
	memset(big, 'x', sizeof(big));
	s = secret_new(big, 0);
	ck_assert_int_eq(P->seal(&c, s, 0), VAULT_REFUSED);
	secret_free(s);
	s = secret_new(big, sizeof(big));
	ck_assert_int_eq(P->seal(&c, s, 0), VAULT_REFUSED);
	secret_free(s);
	must_miss("t", "big");
	s = secret_new(big, sizeof(big) - 1);
	ck_assert_int_eq(P->seal(&c, s, 0), VAULT_OK);
	secret_free(s);
	ck_assert_int_eq(put("t", "small", "1", 0), VAULT_OK);
	memset(long_text, 'd', sizeof(long_text) - 1);
	long_text[4097] = '\0';
	c = cred("t", "long");
	c.domains = span_str(long_text);
	s = secret_new("s", 1);
	ck_assert_int_eq(P->seal(&c, s, 0), VAULT_REFUSED);
	c.domains = span_str(long_text + 1);
	ck_assert_int_eq(P->seal(&c, s, 0), VAULT_OK);
	c = cred("t", "notutf8\xff");
	ck_assert_int_eq(P->seal(&c, s, 0), VAULT_REFUSED);
	c = cred("t", "port");
	c.port = 65536;
	ck_assert_int_eq(P->seal(&c, s, 0), VAULT_REFUSED);
	c = cred("", "tenant");
	ck_assert_int_eq(P->seal(&c, s, 0), VAULT_REFUSED);
	secret_free(s);
	P->close();
	must_open(0);
	ck_assert_uint_eq(P->count(), 3);
	must_have("t", "small", "1");
	ck_assert_int_eq(fetch("t", "big", NULL, &s), VAULT_OK);
	ck_assert(secret_eq_mem(s, big, sizeof(big) - 1));
	secret_free(s);
}
END_TEST

START_TEST(update_keeps_the_secret)
{
	struct credential c = cred("t", "k");
	struct secret *s;

	must_open(1);
	ck_assert_int_eq(put("t", "k", NULL, 0), VAULT_REFUSED);
	ck_assert_int_eq(put("t", "k", NULL, 1), VAULT_MISSING);
	ck_assert_int_eq(put("t", "k", "s3cret", 0), VAULT_OK);
	c.domains = span_str("other.example");
	c.allow_private = 0;
	ck_assert_int_eq(P->seal(&c, NULL, 1), VAULT_OK);
	P->close();
	must_open(0);
	ck_assert_int_eq(fetch("t", "k", &c, &s), VAULT_OK);
	ck_assert(secret_eq_mem(s, "s3cret", 6));
	ck_assert(span_eq(c.domains, "other.example"));
	ck_assert_uint_eq(c.allow_private, 0);
	secret_free(s);
}
END_TEST

/* -- a file that somebody touched -- */

START_TEST(every_bit_counts)
{
	struct kdf_keys keys;
	uint8_t *p;
	size_t len, i;

	must_open(1);
	ck_assert_int_eq(put("t", "k", "s", 0), VAULT_OK);
	p = slurp(&len);
	keys_of(&keys, p);
	ck_assert_int_eq(decode(&keys, p, len), STORE_OK);
	for (i = 0; i < len * 8; i++) {
		enum store_code code;

		p[i / 8] ^= (uint8_t)(1 << i % 8);
		code = decode(&keys, p, len);
		ck_assert_msg(code == STORE_DAMAGED || code == STORE_KEY, "bit %zu", i);
		p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < len; i++)
		ck_assert_int_eq(decode(&keys, p, i), STORE_DAMAGED);
	p = realloc(p, len + 1);
	p[len] = 0;
	ck_assert_int_eq(decode(&keys, p, len + 1), STORE_DAMAGED);
	kdf_keys_free(&keys);
	free(p);
}
END_TEST

/* The salt, the iterations and the key check, through the whole start-up path. */
START_TEST(every_octet_of_the_key_header)
{
	struct store st;
	uint8_t *p;
	size_t len, i;

	must_open(1);
	P->close();
	p = slurp(&len);
	for (i = 0; i < 96; i += i < 20 ? 1 : 4) {
		p[i] ^= 0xff;
		spew("v.vault", p, len);
		ck_assert_int_eq(store_init(&st, dirfd_, "v"), 0);
		ck_assert_int_ne(store_open(&st, master), STORE_OK);
		store_free(&st);
		p[i] ^= 0xff;
	}
	spew("v.vault", p, len);
	must_open(0);
	free(p);
}
END_TEST

START_TEST(records_cannot_be_mixed_up)
{
	struct kdf_keys keys;
	struct store st;
	const struct record *rec;
	uint8_t *p, *q, tmp[400];
	size_t len, a, b, n;

	must_open(1);
	ck_assert_int_eq(put("t", "aaa", "secret-a", 0), VAULT_OK);
	ck_assert_int_eq(put("t", "bbb", "secret-b", 0), VAULT_OK);
	p = slurp(&len);
	q = malloc(len + sizeof(tmp));
	keys_of(&keys, p);
	a = record_at(p, 2);
	b = record_at(p, 3);
	n = b - a;
	ck_assert_uint_eq(len, b + n + KDF_MAC_LEN);
	ck_assert_uint_le(n, sizeof(tmp));

	/* swapped: by whoever has no key, and by whoever has the file's */
	memcpy(q, p, len);
	memcpy(q + a, p + b, n);
	memcpy(q + b, p + a, n);
	ck_assert_int_eq(decode(&keys, q, len), STORE_DAMAGED);
	ck_assert_int_eq(decode_remaced(&keys, q, len), STORE_DAMAGED);

	/* twice the same */
	memcpy(q, p, len);
	memcpy(q + b, p + a, n);
	ck_assert_int_eq(decode_remaced(&keys, q, len), STORE_DAMAGED);

	/* removed, with and without the right number of records */
	memcpy(q, p, len);
	memmove(q + a, q + b, n + KDF_MAC_LEN);
	ck_assert_int_eq(decode(&keys, q, len - n), STORE_DAMAGED);
	ck_assert_int_eq(decode_remaced(&keys, q, len - n), STORE_DAMAGED);
	q[95]--;
	ck_assert_int_eq(decode_remaced(&keys, q, len - n), STORE_OK);

	/* a signing key gone */
	memcpy(q, p, len);
	memmove(q + record_at(p, 0), q + record_at(p, 1), len - record_at(p, 1));
	q[95]--;
	ck_assert_int_eq(
	    decode_remaced(&keys, q, len - (record_at(p, 1) - record_at(p, 0))),
	    STORE_DAMAGED);

	/* a record from the future */
	memcpy(q, p, len);
	q[a + 5] = 1;
	ck_assert_int_eq(decode_remaced(&keys, q, len), STORE_DAMAGED);

	/* b's secret under a's description: the file is whole, the secret is not given
	 * out */
	memcpy(q, p, len);
	memcpy(q + b - (8 + 16 + 4 + 12), p + b + n - (8 + 16 + 4 + 12), 8 + 16 + 4 + 12);
	ck_assert_int_eq(
	    kdf_file_mac(&keys, q, len - KDF_MAC_LEN, q + len - KDF_MAC_LEN), 0);
	ck_assert_int_eq(store_init(&st, dirfd_, "v"), 0);
	st.keys = keys;
	ck_assert_int_eq(store_decode(&st, q, len), STORE_OK);
	rec = store_find(&st, RECORD_CREDENTIAL, span_str("t"), span_str("aaa"));
	ck_assert_ptr_nonnull(rec);
	ck_assert_ptr_null(record_open(keys.record, rec));
	rec = store_find(&st, RECORD_CREDENTIAL, span_str("t"), span_str("bbb"));
	ck_assert_ptr_nonnull(rec);
	secret_free(record_open(keys.record, rec));

	/* one more domain than was sealed */
	memcpy(q, p, len);
	*(uint8_t *)memmem(q + a, n, "api.stripe.com", 14) = 'x';
	store_free(&st); /* frees the keys, too */
	keys_of(&keys, p);
	ck_assert_int_eq(
	    kdf_file_mac(&keys, q, len - KDF_MAC_LEN, q + len - KDF_MAC_LEN), 0);
	ck_assert_int_eq(store_init(&st, dirfd_, "v"), 0);
	st.keys = keys;
	ck_assert_int_eq(store_decode(&st, q, len), STORE_OK);
	rec = store_find(&st, RECORD_CREDENTIAL, span_str("t"), span_str("aaa"));
	ck_assert_ptr_nonnull(rec);
	ck_assert_ptr_null(record_open(keys.record, rec));
	store_free(&st);
	free(p);
	free(q);
}
END_TEST

/* -- crashes and full disks -- */

START_TEST(leftovers_of_a_crash_change_nothing)
{
	uint8_t *before, *after;
	size_t len, len2;

	must_open(1);
	ck_assert_int_eq(put("t", "k", "old", 0), VAULT_OK);
	before = slurp(&len);
	ck_assert_int_eq(put("t", "k", "new", 1), VAULT_OK);
	after = slurp(&len2);
	P->close();
	/* killed with nothing, with half, and with all of the new file written */
	for (size_t part = 0; part <= len2; part += len2 / 2) {
		spew("v.vault", before, len);
		spew(".v.vault.new", after, part);
		must_open(0);
		must_have("t", "k", "old");
		ck_assert_int_eq(put("t", "k2", "works", 0), VAULT_OK);
		ck_assert_int_eq(faccessat(dirfd_, ".v.vault.new", F_OK, 0), -1);
		P->close();
		must_open(0);
		must_have("t", "k", "old");
		must_have("t", "k2", "works");
		P->close();
	}
	/* killed after the rename */
	spew("v.vault", after, len2);
	must_open(0);
	must_have("t", "k", "new");
	free(before);
	free(after);
}
END_TEST

START_TEST(failed_save_leaves_the_old_one)
{
	struct rlimit none = {100, RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};
	uint8_t *before, *after;
	size_t len, len2;

	must_open(1);
	ck_assert_int_eq(put("t", "k", "old", 0), VAULT_OK);
	before = slurp(&len);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	ck_assert_int_eq(put("t", "k", "new", 1), VAULT_IO);
	ck_assert_int_eq(put("t", "k2", "new", 0), VAULT_IO);
	ck_assert_int_eq(P->drop(span_str("t"), span_str("k")), VAULT_IO);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
	must_have("t", "k", "old");
	must_miss("t", "k2");
	after = slurp(&len2);
	ck_assert_uint_eq(len, len2);
	ck_assert_mem_eq(before, after, len);
	ck_assert_int_eq(faccessat(dirfd_, ".v.vault.new", F_OK, 0), -1);
	ck_assert_int_eq(put("t", "k2", "new", 0), VAULT_OK);
	P->close();
	must_open(0);
	must_have("t", "k2", "new");
	free(before);
	free(after);
}
END_TEST

static void
hear_old(const struct vault_answer *a, void *arg)
{
	if (a->old != NULL)
		secret_use(a->old, copy_secret, arg);
}

/* The secret before the rotation, or "": none is kept. */
static void
must_keep(const char *want)
{
	struct secret *old = NULL;

	P->fetch(span_str("t"), span_str("k"), hear_old, &old);
	if (want[0] == '\0')
		ck_assert_ptr_null(old);
	else
		ck_assert(secret_eq_mem(old, want, strlen(want)));
	secret_free(old);
}

static enum vault_code
rotate(const char *value, size_t len, uint32_t grace_s)
{
	struct credential c = cred("t", "k");
	struct secret *s = secret_new(value, len);
	enum vault_code code;

	c.grace_s = grace_s;
	code = P->seal(&c, s, 1);
	secret_free(s);
	return code;
}

START_TEST(failed_rotation_keeps_both)
{
	static char large[2000];
	struct rlimit few = {0, RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};
	size_t len;

	memset(large, 'x', sizeof(large));
	must_open(1);
	ck_assert_int_eq(put("t", "k", "one", 0), VAULT_OK);
	ck_assert_int_eq(rotate("two", 3, 60), VAULT_OK);
	must_keep("one");
	free(slurp(&len));
	few.rlim_cur = len + 100; /* for another old secret, not for the new one */
	signal(SIGXFSZ, SIG_IGN);
	for (uint32_t grace_s = 0; grace_s <= 60; grace_s += 60) {
		enum vault_code code;

		/* the checks write a file of their own */
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &few), 0);
		code = rotate(large, sizeof(large), grace_s);
		(void)setrlimit(RLIMIT_FSIZE, &all);
		ck_assert_int_eq(code, VAULT_IO);
		must_have("t", "k", "two");
		must_keep("one");
	}
	P->close();
	must_open(0);
	must_have("t", "k", "two");
	must_keep("one");
	ck_assert_int_eq(rotate("three", 5, 60), VAULT_OK);
	must_keep("two");
	ck_assert_int_eq(rotate("four", 4, 0), VAULT_OK);
	must_keep("");
}
END_TEST

static int overs;

static void
count_over(struct span tenant, struct span name)
{
	ck_assert(span_eq(tenant, "t") && span_eq(name, "k"));
	overs++;
}

START_TEST(a_clock_set_back_prolongs_no_grace)
{
	const uint64_t year = 365ull * 86400 * 1000, period = 60000;
	uint64_t before, left = 0;
	struct secret *s;
	struct store st;

	must_open(1);
	ck_assert_int_eq(put("t", "k", "one", 0), VAULT_OK);
	before = grace_now_ms() - year;
	ck_assert_int_eq(rotate("two", 3, (uint32_t)(period / 1000)), VAULT_OK);
	ck_assert_int_eq(store_init(&st, dirfd_, "v"), 0);
	ck_assert_int_eq(store_open(&st, master), STORE_OK);
	s = grace_secret(&st, span_str("t"), span_str("k"), before, &left);
	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(left, period);
	secret_free(s);
	store_free(&st);
	/* the old secret's time begins with the clock there is, and ends */
	overs = 0;
	ck_assert_uint_eq(P->expire(before, count_over), before + period);
	P->close();
	must_open(0);
	ck_assert_uint_eq(P->expire(before + period / 2, count_over), before + period);
	ck_assert_int_eq(overs, 0);
	ck_assert_uint_eq(P->expire(before + period, count_over), 0);
	ck_assert_int_eq(overs, 1);
	must_keep("");
}
END_TEST

START_TEST(a_link_is_not_followed)
{
	char why[1024];

	must_open(1);
	P->close();
	ck_assert_int_eq(renameat(dirfd_, "v.vault", dirfd_, "real"), 0);
	ck_assert_int_eq(symlinkat("real", dirfd_, "v.vault"), 0);
	ck_assert_int_eq(vault_open_with(master, 0, why), -1);
	ck_assert_int_eq(vault_open_with(master, 1, why), -1);
	ck_assert_int_eq(unlinkat(dirfd_, "v.vault", 0), 0);
	ck_assert_int_eq(mkfifoat(dirfd_, "v.vault", 0600), 0);
	ck_assert_int_eq(vault_open_with(master, 0, why), -1);
	ck_assert_int_eq(unlinkat(dirfd_, "real", 0), 0);
}
END_TEST

/* -- what is signed -- */

static struct msg_token_sign
claims(void)
{
	struct msg_token_sign m;

	memset(&m, 0, sizeof(m));
	m.tenant = span_str("acme");
	m.sub = span_str("8a9f7b3c-4d5e-4f7a-8b9c-0d1e2f3a4b5c");
	m.scp = span_str("read-only");
	m.wid = span_str("docker://test");
	m.jti = span_str("j-1");
	m.exec_id = span_str("e-1");
	m.issuer = span_str("aegis");
	m.audience = span_str("aegis-agents");
	m.iat = 1000;
	m.exp = 1000 + 3600;
	return m;
}

START_TEST(token_is_made_of_claims)
{
	struct msg_token_sign m = claims();
	struct jwt_key key = {.alg = JWT_EDDSA};
	struct jwt_keyset set = {&key, 1};
	struct jwt_expect want = {
	    .now = 1001, .max_life = 86400, .iss = "aegis", .aud = "aegis-agents"};
	char kid[SIGN_KID_SIZE];
	struct buf token;
	struct jwt t;

	must_open(1);
	buf_init(&token);
	jwt_init(&t);
	ck_assert_ptr_null(make_token(&m, 1000, &token));
	sign_kid(P->public_key(VAULT_KEY_TOKEN), kid);
	ck_assert_uint_eq(strlen(kid), 16);
	key.kid = kid;
	memcpy(key.ed25519, P->public_key(VAULT_KEY_TOKEN), 32);
	ck_assert_int_eq(jwt_verify(&t, (const char *)token.p, token.len, &set), JWT_OK);
	ck_assert_int_eq(jwt_check_claims(&t, &want), JWT_OK);
	ck_assert_str_eq(t.kid, kid);
	ck_assert_uint_eq(t.header_json.len,
	    strlen("{\"alg\":\"EdDSA\",\"kid\":\"\",\"typ\":\"JWT\"}") + 16);
	static const char text[] =
	    "{\"sub\":\"8a9f7b3c-4d5e-4f7a-8b9c-0d1e2f3a4b5c\",\"scp\":\"read-only\","
	    "\"wid\":\"docker://"
	    "test\",\"jti\":\"j-1\",\"exec_id\":\"e-1\",\"tenant_id\":\"acme\","
	    "\"iss\":\"aegis\",\"aud\":\"aegis-agents\",\"iat\":1000,\"exp\":4600}";
	ck_assert_uint_eq(t.claims_json.len, sizeof(text) - 1);
	ck_assert_mem_eq(t.claims_json.p, text, sizeof(text) - 1);

	/* what a claim holds cannot become another claim */
	m.sub = span_str("x\",\"scp\":\"all\",\"a\":\"");
	m.task_summary = span_str("say \"hi\"\n");
	buf_reset(&token);
	ck_assert_ptr_null(make_token(&m, 1000, &token));
	ck_assert_int_eq(jwt_verify(&t, (const char *)token.p, token.len, &set), JWT_OK);
	ck_assert_ptr_nonnull(memmem(t.claims_json.p, t.claims_json.len,
	    "{\"sub\":\"x\\\",\\\"scp\\\":\\\"all\\\",\\\"a\\\":\\\"\",\"scp\":\"read-"
	    "only\"",
	    50));
	ck_assert_ptr_nonnull(memmem(t.claims_json.p, t.claims_json.len,
	    "\"exp\":4600,\"task_summary\":\"say \\\"hi\\\"\\n\"}", 40));
	memcpy(key.ed25519, P->public_key(VAULT_KEY_LEDGER), 32);
	ck_assert_int_eq(
	    jwt_verify(&t, (const char *)token.p, token.len, &set), JWT_E_SIGNATURE);
	jwt_free(&t);
	buf_free(&token);
}
END_TEST

START_TEST(token_refusals)
{
	struct msg_token_sign m = claims();
	struct buf token;
	char ugly[257];

	must_open(1);
	buf_init(&token);
#define REFUSED(change)                                              \
	do {                                                         \
		m = claims();                                        \
		change;                                              \
		ck_assert_ptr_nonnull(make_token(&m, 1000, &token)); \
		ck_assert_uint_eq(token.len, 0);                     \
	} while (0)
	REFUSED(m.sub.len = 0);
	REFUSED(m.scp.len = 0);
	REFUSED(m.wid.len = 0);
	REFUSED(m.exp = m.iat);
	REFUSED(m.exp = m.iat - 1);
	REFUSED(m.exp = m.iat + 86401);
	REFUSED(m.exp = UINT64_MAX);
	REFUSED(m.iat = 1061; m.exp = 2000);
	memset(ugly, 1, sizeof(ugly) - 1);
	ugly[256] = '\0';
	REFUSED(m.wid = m.issuer = m.audience = m.task_summary = span_str(ugly));
	m = claims();
	m.exp = m.iat + 86400;
	ck_assert_ptr_null(make_token(&m, 1000, &token));
	m.iat = 1060;
	buf_reset(&token);
	ck_assert_ptr_null(make_token(&m, 1000, &token));
	buf_free(&token);
}
END_TEST

static struct msg_checkpoint_sign
checkpoint(const char *chain, uint64_t seq, uint8_t head, uint8_t root)
{
	struct msg_checkpoint_sign m;

	memset(&m, 0, sizeof(m));
	m.chain = span_str(chain);
	m.seq = seq;
	memset(m.head, head, sizeof(m.head));
	memset(m.root, root, sizeof(m.root));
	m.time = span_str("2026-02-17T14:32:01.000001Z");
	return m;
}

START_TEST(checkpoints)
{
	struct msg_checkpoint_sign m = checkpoint("c0ffee", 1000, 0xab, 0x11);
	uint8_t sig[64];
	static const char text[] =
	    "aegis-checkpoint-2\nc0ffee\n1000\n"
	    "abababababababababababababababababababababababababababababababab\n"
	    "1111111111111111111111111111111111111111111111111111111111111111\n"
	    "2026-02-17T14:32:01.000001Z\n";

	must_open(1);
	m.time = span_str("2026-02-17T14:32:01Z\nx");
	ck_assert_ptr_nonnull(make_checkpoint(&m, sig));
	m = checkpoint("", 1000, 0xab, 0x11);
	ck_assert_ptr_nonnull(make_checkpoint(&m, sig));
	m = checkpoint("c0ffee", 1000, 0xab, 0);
	ck_assert_ptr_nonnull(make_checkpoint(&m, sig));
	m = checkpoint("c0ffee\n1", 1000, 0xab, 0x11);
	ck_assert_ptr_nonnull(make_checkpoint(&m, sig));
	m = checkpoint("c0ffee", 1000, 0xab, 0x11);
	ck_assert_ptr_null(make_checkpoint(&m, sig));
	ck_assert_int_eq(
	    ed25519_verify(P->public_key(VAULT_KEY_LEDGER), text, sizeof(text) - 1, sig),
	    0);
	ck_assert_int_eq(
	    ed25519_verify(P->public_key(VAULT_KEY_TOKEN), text, sizeof(text) - 1, sig),
	    -1);
	/* the same again, and further on */
	ck_assert_ptr_null(make_checkpoint(&m, sig));
	m = checkpoint("c0ffee", 1001, 0xcd, 0x11);
	ck_assert_ptr_null(make_checkpoint(&m, sig));
	/* never back, never another history */
	m = checkpoint("c0ffee", 1000, 0xab, 0x11);
	ck_assert_ptr_nonnull(make_checkpoint(&m, sig));
	m = checkpoint("c0ffee", 1001, 0xce, 0x11);
	ck_assert_ptr_nonnull(make_checkpoint(&m, sig));
	m = checkpoint("c0ffee", 1001, 0xcd, 0x12);
	ck_assert_ptr_nonnull(make_checkpoint(&m, sig));
	m = checkpoint("c0ffef", 1002, 0xce, 0x11);
	ck_assert_ptr_nonnull(make_checkpoint(&m, sig));
	m = checkpoint("c0ffee", UINT64_MAX, 0xce, 0x11);
	ck_assert_ptr_null(make_checkpoint(&m, sig));
}
END_TEST

/* ---- blackboards ---- */

struct boxed {
	enum vault_code code;
	unsigned version;
	char text[1024];
	char plain[64];
};

static int
copy_plain(const void *p, size_t len, void *arg)
{
	return span_copy(span_mem(p, len), arg, sizeof(((struct boxed *)0)->plain));
}

static void
hear_box(const struct vault_answer *a, void *arg)
{
	struct boxed *b = arg;

	b->code = a->code;
	b->version = a->version;
	if (a->text.len > 0)
		ck_assert_int_eq(span_copy(a->text, b->text, sizeof(b->text)), 0);
	if (a->secret != NULL)
		ck_assert_int_eq(secret_use(a->secret, copy_plain, b->plain), 0);
}

static struct boxed
encrypt(const char *tenant, const char *object, int new_key, const char *plain)
{
	const struct vault_object o = {span_str(tenant), span_str(object)};
	struct secret *s = secret_new(plain, strlen(plain));
	struct boxed b = {.code = VAULT_IO};

	P->encrypt(&o, new_key, s, hear_box, &b);
	secret_free(s);
	return b;
}

static struct boxed
decrypt(const char *tenant, const char *object, const char *text)
{
	const struct vault_object o = {span_str(tenant), span_str(object)};
	struct boxed b = {.code = VAULT_IO};

	P->decrypt(&o, span_str(text), hear_box, &b);
	return b;
}

START_TEST(boards_are_bound)
{
	struct boxed a, b, again;
	size_t i;

	must_open(1);
	a = encrypt("t", "exec/1", 0, "the board");
	b = encrypt("t", "exec/1", 0, "the board");
	ck_assert_uint_eq(a.code, VAULT_OK);
	ck_assert_uint_eq(a.version, 1);
	ck_assert_int_eq(strncmp(a.text, "aegis:v1:", 9), 0);
	ck_assert_str_ne(a.text, b.text);
	again = decrypt("t", "exec/1", a.text);
	ck_assert_uint_eq(again.code, VAULT_OK);
	ck_assert_str_eq(again.plain, "the board");
	/* another's, also where the two together read the same */
	ck_assert_uint_eq(decrypt("t", "exec/2", a.text).code, VAULT_REFUSED);
	ck_assert_uint_eq(decrypt("u", "exec/1", a.text).code, VAULT_REFUSED);
	ck_assert_uint_eq(encrypt("u", "exec/1", 0, "x").code, VAULT_OK);
	ck_assert_uint_eq(decrypt("u", "exec/1", a.text).code, VAULT_REFUSED);
	ck_assert_uint_eq(encrypt("te", "xec/1", 0, "x").code, VAULT_OK);
	ck_assert_uint_eq(decrypt("te", "xec/1", a.text).code, VAULT_REFUSED);
	ck_assert_uint_eq(decrypt("t", "", a.text).code, VAULT_REFUSED);
	/* changed, cut, or no such text */
	for (i = 0; a.text[i] != '\0'; i++) {
		b = a;
		b.text[i] ^= 1;
		ck_assert_uint_eq(decrypt("t", "exec/1", b.text).code, VAULT_REFUSED);
		b.text[i] = '\0';
		ck_assert_uint_eq(decrypt("t", "exec/1", b.text).code, VAULT_REFUSED);
	}
	ck_assert_uint_eq(decrypt("t", "exec/1", "vault:v1:AAAA").code, VAULT_REFUSED);
	P->close();
}
END_TEST

START_TEST(boards_outlive_their_key)
{
	struct boxed one, two, got;

	must_open(1);
	one = encrypt("t", "o", 0, "one");
	two = encrypt("t", "o", 1, "two");
	ck_assert_uint_eq(two.version, 2);
	ck_assert_int_eq(strncmp(two.text, "aegis:v2:", 9), 0);
	/* another tenant's key is its own */
	ck_assert_uint_eq(encrypt("u", "o", 0, "x").version, 1);
	P->close();
	must_open(0);
	got = decrypt("t", "o", one.text);
	ck_assert_uint_eq(got.code, VAULT_OK);
	ck_assert_uint_eq(got.version, 1);
	ck_assert_str_eq(got.plain, "one");
	ck_assert_str_eq(decrypt("t", "o", two.text).plain, "two");
	ck_assert_uint_eq(encrypt("t", "o", 0, "x").version, 2);
	/* one version's text under another's number */
	two.text[7] = '1';
	ck_assert_uint_eq(decrypt("t", "o", two.text).code, VAULT_REFUSED);
	two.text[7] = '3';
	ck_assert_uint_eq(decrypt("t", "o", two.text).code, VAULT_REFUSED);
	P->close();
}
END_TEST

/* A reference is sealed like a secret, never given out as one, and kept by an update. */
/* A program that has one made again and again, or for tenants that it makes up. */
START_TEST(keys_of_boards_are_bounded)
{
	struct boxed last;
	char tenant[16];
	unsigned i;

	must_open(1);
	for (i = 1; i <= BOARD_VERSIONS_MAX; i++)
		ck_assert_uint_eq(encrypt("t0", "o", 1, "x").version, i);
	last = encrypt("t0", "o", 0, "last");
	ck_assert_uint_eq(encrypt("t0", "o", 1, "x").code, VAULT_REFUSED);
	ck_assert_uint_eq(last.version, BOARD_VERSIONS_MAX);
	ck_assert_str_eq(decrypt("t0", "o", last.text).plain, "last");
	for (i = 1; i < BOARD_TENANTS_MAX; i++) {
		(void)snprintf(tenant, sizeof(tenant), "t%u", i);
		ck_assert_uint_eq(encrypt(tenant, "o", 0, "x").code, VAULT_OK);
	}
	ck_assert_uint_eq(encrypt("more", "o", 0, "x").code, VAULT_REFUSED);
	ck_assert_uint_eq(encrypt("t1", "o", 1, "x").version, 2);
	ck_assert_str_eq(decrypt("t0", "o", last.text).plain, "last");
	P->close();
}
END_TEST

START_TEST(references)
{
	struct credential c = cred("t", "ref");
	struct secret *s = secret_new("vault:kv/a#b", 12);
	struct said said = {0};
	const struct vault_question q = {
	    .tenant = span_str("t"), .reference = span_str("secret:ref")};

	must_open(1);
	c.reference = 1;
	ck_assert_uint_eq(P->seal(&c, s, 0), VAULT_OK);
	c.reference = 0;
	c.port = 1;
	ck_assert_uint_eq(P->seal(&c, NULL, 1), VAULT_OK);
	P->close();
	must_open(0);
	P->fetch(span_str("t"), span_str("ref"), hear, &said);
	ck_assert_uint_eq(said.code, VAULT_OK);
	ck_assert_uint_eq(said.meta.reference, 1);
	ck_assert_uint_eq(said.meta.allow_private, 1);
	ck_assert_uint_eq(said.meta.port, 1);
	ck_assert(secret_eq(said.secret, s));
	secret_free(said.secret);
	said = (struct said){0};
	P->resolve(&q, hear, &said);
	ck_assert_uint_eq(said.code, VAULT_BAD_REFERENCE);
	ck_assert_ptr_null(said.secret);
	secret_free(s);
	P->close();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("vault");
	TCase *tc = tcase_create("vault");
	SRunner *run;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, master_key_text);
	tcase_add_test(tc, keys_are_those_of_the_document);
	tcase_add_test(tc, pbkdf2_is_that_of_openssl);
	tcase_add_test(tc, seal_binds_everything);
	tcase_add_test(tc, roundtrip);
	tcase_add_test(tc, start_up_says_what_to_do);
	tcase_add_test(tc, names_of_vaults);
	tcase_add_test(tc, no_name_twice_and_tenants_apart);
	tcase_add_test(tc, many_in_any_order);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, update_keeps_the_secret);
	tcase_add_test(tc, every_bit_counts);
	tcase_add_test(tc, every_octet_of_the_key_header);
	tcase_add_test(tc, records_cannot_be_mixed_up);
	tcase_add_test(tc, leftovers_of_a_crash_change_nothing);
	tcase_add_test(tc, failed_save_leaves_the_old_one);
	tcase_add_test(tc, failed_rotation_keeps_both);
	tcase_add_test(tc, a_clock_set_back_prolongs_no_grace);
	tcase_add_test(tc, a_link_is_not_followed);
	tcase_add_test(tc, token_is_made_of_claims);
	tcase_add_test(tc, token_refusals);
	tcase_add_test(tc, checkpoints);
	tcase_add_test(tc, boards_are_bound);
	tcase_add_test(tc, boards_outlive_their_key);
	tcase_add_test(tc, keys_of_boards_are_bounded);
	tcase_add_test(tc, references);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed == 0 ? 0 : 1;
}
