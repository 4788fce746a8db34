/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: what verifies, and every confusion of algorithm, key, form and claim refused.
 */
#include "common/jwt.h"

#include <check.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/vectors.h"

static uint8_t ed_pub[2][32], ed_sec[2][64];
static EVP_PKEY *rsa, *rsa_small, *rsa_pss;
static struct jwt jwt;
static struct buf tok;

static struct jwt_key keys[4];
static const struct jwt_keyset set = {.keys = keys, .n = 4};

#define CLAIMS "{\"sub\":\"s\",\"iat\":1000,\"exp\":2000,\"iss\":\"i\",\"aud\":\"a\"}"

static void
setup(void)
{
	jwt_init(&jwt);
	buf_init(&tok);
	keys[0] = (struct jwt_key){.kid = "e0", .alg = JWT_EDDSA};
	keys[1] = (struct jwt_key){.kid = "e1", .alg = JWT_EDDSA};
	keys[2] = (struct jwt_key){.kid = "r0", .alg = JWT_RS256, .rsa = rsa};
	keys[3] = (struct jwt_key){.kid = "any", .alg = JWT_RS256, .rsa = rsa_small};
	memcpy(keys[0].ed25519, ed_pub[0], 32);
	memcpy(keys[1].ed25519, ed_pub[1], 32);
}

static void
teardown(void)
{
	jwt_free(&jwt);
	buf_free(&tok);
}

static void
sign_ed(int k)
{
	uint8_t sig[64];

	crypto_sign_detached(sig, NULL, tok.p, tok.len, ed_sec[k]);
	ck_assert_int_eq(jwt_append_sig(&tok, sig, sizeof(sig)), 0);
}

static void
sign_rsa(EVP_PKEY *key, int padding, const EVP_MD *md)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	uint8_t sig[JWT_SIG_MAX];
	size_t n = sizeof(sig);

	ck_assert_int_eq(EVP_DigestSignInit(ctx, &pctx, md, NULL, key), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(pctx, padding), 1);
	ck_assert_int_eq(EVP_DigestSign(ctx, sig, &n, tok.p, tok.len), 1);
	EVP_MD_CTX_free(ctx);
	ck_assert_int_eq(jwt_append_sig(&tok, sig, n), 0);
}

/* a signing input with any header */
static void
begin(const char *header, const char *claims)
{
	buf_reset(&tok);
	ck_assert_int_eq(b64_put(B64_URL, &tok, header, strlen(header)), 0);
	ck_assert_int_eq(buf_putc(&tok, '.'), 0);
	ck_assert_int_eq(b64_put(B64_URL, &tok, claims, strlen(claims)), 0);
}

static enum jwt_err
verify(void)
{
	enum jwt_err e = jwt_verify(&jwt, (const char *)tok.p, tok.len, &set);

	/* a refused token leaves nothing to read */
	ck_assert_uint_eq(json_root(&jwt.claims), e == JWT_OK ? 0 : JSON_NONE);
	ck_assert_str_ne(jwt_strerror(e), "unknown error");
	return e;
}

static enum jwt_err
ed(const char *header, const char *claims)
{
	begin(header, claims);
	sign_ed(0);
	return verify();
}

START_TEST(good_eddsa)
{
	static const char *const headers[] = {"{\"alg\":\"EdDSA\"}",
	    "{\"typ\":\"JWT\",\"alg\":\"EdDSA\",\"kid\":\"e0\"}",
	    " { \"alg\" : \"EdDS\\u0041\" , \"jku\" : \"https://evil\" } "};
	size_t i;

	for (i = 0; i < 3; i++) {
		keys[0].kid = i == 1 ? "e0" : NULL;
		ck_assert_int_eq(ed(headers[i], CLAIMS), JWT_OK);
		ck_assert_int_eq(jwt.alg, JWT_EDDSA);
		ck_assert(json_str_eq(&jwt.claims, json_get(&jwt.claims, 0, "sub"), "s"));
		ck_assert_int_eq(jwt.has_kid, i == 1);
		ck_assert_str_eq(jwt.kid, i == 1 ? "e0" : "");
	}
}
END_TEST

START_TEST(good_rs256)
{
	keys[2].kid = NULL;
	begin("{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"whatever\"}", CLAIMS);
	sign_rsa(rsa, RSA_PKCS1_PADDING, EVP_sha256());
	ck_assert_int_eq(verify(), JWT_OK);
	ck_assert_int_eq(jwt.alg, JWT_RS256);
	ck_assert_str_eq(jwt.kid, "whatever");
}
END_TEST

START_TEST(built)
{
	static const char *const kids[] = {NULL, "e1", "k\"\\\xc3\xa9"};
	size_t i;

	keys[0].kid = NULL;
	for (i = 0; i < 3; i++) {
		buf_reset(&tok);
		ck_assert_int_eq(jwt_build_signing_input(
				     &tok, JWT_EDDSA, kids[i], CLAIMS, strlen(CLAIMS)),
		    0);
		sign_ed(i == 1 ? 1 : 0);
		ck_assert_int_eq(verify(), JWT_OK);
		ck_assert_str_eq(jwt.kid, kids[i] == NULL ? "" : kids[i]);
		ck_assert_uint_eq(jwt.claims_json.len, strlen(CLAIMS));
		ck_assert_mem_eq(jwt.claims_json.p, CLAIMS, strlen(CLAIMS));
	}
	buf_reset(&tok);
	ck_assert_int_eq(
	    jwt_build_signing_input(&tok, JWT_RS256, "r0", CLAIMS, strlen(CLAIMS)), 0);
	sign_rsa(rsa, RSA_PKCS1_PADDING, EVP_sha256());
	ck_assert_int_eq(verify(), JWT_OK);
}
END_TEST

/* the token of the vectors, and that our builder writes the very same bytes */
START_TEST(vector)
{
	uint8_t seed[32], pub[32], sec[64], sig[64];
	struct vectors v;
	uint32_t g;
	char *token, *claims, *pub_b64;
	size_t n, m, k;

	vectors_load(&v);
	g = json_get(&v.doc, 0, "gateway_jwt");
	vectors_hex(&v, g, "seed", seed, 32);
	token = vectors_text(&v, g, "token", &n);
	claims = vectors_text(&v, g, "claims", &m);
	pub_b64 = vectors_text(&v, g, "public_b64", &k);
	ck_assert_int_eq(
	    b64_decode(B64_STD, pub_b64, k, keys[0].ed25519, sizeof(keys[0].ed25519)),
	    32);
	keys[0].kid = NULL;
	ck_assert_int_eq(jwt_verify(&jwt, token, n, &set), JWT_OK);
	ck_assert_uint_eq(jwt.claims_json.len, m);
	ck_assert_mem_eq(jwt.claims_json.p, claims, m);

	ck_assert_int_eq(crypto_sign_seed_keypair(pub, sec, seed), 0);
	ck_assert_mem_eq(pub, keys[0].ed25519, 32);
	ck_assert_int_eq(jwt_build_signing_input(&tok, JWT_EDDSA, NULL, claims, m), 0);
	crypto_sign_detached(sig, NULL, tok.p, tok.len, sec);
	ck_assert_int_eq(jwt_append_sig(&tok, sig, 64), 0);
	ck_assert_uint_eq(tok.len, n);
	ck_assert_mem_eq(tok.p, token, n);
	free(token);
	free(claims);
	free(pub_b64);
	vectors_free(&v);
}
END_TEST

/* every single bit of a token counts */
START_TEST(bit_flips)
{
	size_t i;

	ck_assert_int_eq(ed("{\"alg\":\"EdDSA\",\"kid\":\"e0\"}", CLAIMS), JWT_OK);
	for (i = 0; i < tok.len * 8; i++) {
		tok.p[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert_int_ne(verify(), JWT_OK);
		tok.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = tok.len; i-- > 0;) {
		tok.len = i;
		ck_assert_int_ne(verify(), JWT_OK);
	}
}
END_TEST

static const struct {
	const char *header;
	enum jwt_err want;
} headers[] = {
    {"{\"alg\":\"none\",\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":\"None\",\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":\"\",\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":\"HS256\",\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":\"HS512\",\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":\"PS256\",\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":\"RS384\",\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":\"ES256\",\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":\"Ed25519\",\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":\"eddsa\",\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":\"EdDSA \",\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":[\"EdDSA\"],\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"alg\":null,\"kid\":\"e0\"}", JWT_E_ALG},
    {"{\"kid\":\"e0\"}", JWT_E_ALG},
    {"{}", JWT_E_ALG},
    {"{\"alg\":\"RS256\",\"kid\":\"e0\"}", JWT_E_ALG}, /* that key is no RSA key */
    {"{\"alg\":\"EdDSA\",\"kid\":\"r0\"}", JWT_E_ALG},
    {"{\"alg\":\"EdDSA\",\"kid\":\"e1\"}", JWT_E_SIGNATURE},
    {"{\"alg\":\"RS256\",\"kid\":\"r0\"}", JWT_E_SIGNATURE},
    {"{\"alg\":\"EdDSA\",\"kid\":\"e2\"}", JWT_E_KEY},
    {"{\"alg\":\"EdDSA\",\"kid\":\"\"}", JWT_E_KEY},
    {"{\"alg\":\"EdDSA\",\"kid\":\"e0 \"}", JWT_E_KEY},
    {"{\"alg\":\"EdDSA\",\"kid\":\"../e0\"}", JWT_E_KEY},
    {"{\"alg\":\"EdDSA\"}", JWT_E_KEY}, /* all keys of the set have names */
    {"{\"alg\":\"EdDSA\",\"kid\":1}", JWT_E_HEADER},
    {"{\"alg\":\"EdDSA\",\"kid\":null}", JWT_E_HEADER},
    {"{\"alg\":\"EdDSA\",\"kid\":\"e0\",\"typ\":\"at+jwt\"}", JWT_E_HEADER},
    {"{\"alg\":\"EdDSA\",\"kid\":\"e0\",\"typ\":\"jwt\"}", JWT_E_HEADER},
    {"{\"alg\":\"EdDSA\",\"kid\":\"e0\",\"typ\":null}", JWT_E_HEADER},
    {"{\"alg\":\"EdDSA\",\"kid\":\"e0\",\"crit\":[]}", JWT_E_HEADER},
    {"{\"alg\":\"EdDSA\",\"kid\":\"e0\",\"crit\":[\"b64\"],\"b64\":false}", JWT_E_HEADER},
    {"{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\",\"kid\":\"e0\"}", JWT_E_HEADER},
    {"{\"alg\":\"EdDSA\",\"\\u0061lg\":\"none\",\"kid\":\"e0\"}", JWT_E_HEADER},
    {"[\"EdDSA\"]", JWT_E_HEADER},
    {"\"EdDSA\"", JWT_E_HEADER},
    {"{\"alg\":\"EdDSA\",\"kid\":\"e0\"", JWT_E_HEADER},
    {"{\"alg\":\"EdDSA\",\"kid\":\"e0\"}x", JWT_E_HEADER},
    {"", JWT_E_HEADER},
};

START_TEST(bad_header)
{
	enum jwt_err e = ed(headers[_i].header, CLAIMS);

	ck_assert_msg(e == headers[_i].want, "%s: %d", headers[_i].header, e);
}
END_TEST

START_TEST(bad_claims_json)
{
	static const char *const claims[] = {"", "[]", "null", "\"x\"",
	    "{\"exp\":1,\"exp\":1}", "{\"exp\":01}", "{\"exp\":1}}",
	    "{\"sub\":\"\\u0000\"}", "{\"sub\":\"\xff\"}"};
	size_t i;

	for (i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		ck_assert_int_eq(
		    ed("{\"alg\":\"EdDSA\",\"kid\":\"e0\"}", claims[i]), JWT_E_CLAIMS);
}
END_TEST

START_TEST(bad_form)
{
	static const char *const forms[] = {"", ".", "..", "...", "a.b.c", "e30.e30.",
	    "e30..AAAA", ".e30.AAAA", "e30.e30", "e30.e30.AAAA.AAAA",
	    "e30.e30.AA==", "e30=.e30.AAAA", " e30.e30.AAAA", "e30.e30.AAAA\n",
	    "e30.e30.AA+/", "e30.e30.AAB", "{}.{}.AAAA"};
	struct jwt_keyset none = {.keys = NULL, .n = 0};
	char padded[JWT_LEN_MAX / 4 * 3];
	uint8_t sig[65] = {0};
	size_t i;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		buf_reset(&tok);
		ck_assert_int_eq(buf_puts(&tok, forms[i]), 0);
		ck_assert_int_ne(
		    jwt_verify(
			&jwt, tok.p == NULL ? "" : (const char *)tok.p, tok.len, &set),
		    JWT_OK);
	}
	ck_assert_int_eq(ed("{\"alg\":\"EdDSA\",\"kid\":\"e0\"}", CLAIMS), JWT_OK);
	ck_assert_int_eq(
	    jwt_verify(&jwt, (const char *)tok.p, tok.len, &none), JWT_E_KEY);
	/* one more part, signed or not */
	ck_assert_int_eq(buf_puts(&tok, ".AAAA"), 0);
	ck_assert_int_eq(verify(), JWT_E_FORMAT);
	/* a right signature with a byte behind it */
	begin("{\"alg\":\"EdDSA\",\"kid\":\"e0\"}", CLAIMS);
	crypto_sign_detached(sig, NULL, tok.p, tok.len, ed_sec[0]);
	ck_assert_int_eq(jwt_append_sig(&tok, sig, sizeof(sig)), 0);
	ck_assert_int_eq(verify(), JWT_E_SIGNATURE);
	/* right in everything but its length */
	memset(padded, ' ', sizeof(padded));
	memcpy(padded, CLAIMS, strlen(CLAIMS));
	padded[sizeof(padded) - 1] = '\0';
	ck_assert_int_eq(ed("{\"alg\":\"EdDSA\",\"kid\":\"e0\"}", padded), JWT_E_FORMAT);
	padded[sizeof(padded) - 300] = '\0';
	ck_assert_int_eq(ed("{\"alg\":\"EdDSA\",\"kid\":\"e0\"}", padded), JWT_OK);
	/* no signature in sight, and the longest kid */
	buf_reset(&tok);
	while (tok.len <= JWT_LEN_MAX)
		ck_assert_int_eq(buf_putc(&tok, 'A'), 0);
	tok.p[4] = tok.p[8] = '.';
	ck_assert_int_eq(verify(), JWT_E_FORMAT);
	buf_reset(&tok);
	for (i = 0; i < JWT_KID_MAX + 1; i++)
		ck_assert_int_eq(buf_putc(&tok, 'k'), 0);
	ck_assert_int_eq(buf_putc(&tok, '\0'), 0);
	{
		char kid[JWT_KID_MAX + 2];

		memcpy(kid, tok.p, sizeof(kid));
		buf_reset(&tok);
		ck_assert_int_eq(
		    jwt_build_signing_input(&tok, JWT_EDDSA, kid, CLAIMS, strlen(CLAIMS)),
		    0);
		sign_ed(0);
		ck_assert_int_eq(verify(), JWT_E_HEADER);
		buf_reset(&tok);
		ck_assert_int_eq(jwt_build_signing_input(
				     &tok, JWT_EDDSA, kid + 1, CLAIMS, strlen(CLAIMS)),
		    0);
		sign_ed(0);
		ck_assert_int_eq(verify(), JWT_E_KEY);
	}
}
END_TEST

/* the public key's text as an HMAC secret, whatever alg then says */
START_TEST(hmac_confusion)
{
	static const char *const algs[] = {"HS256", "RS256", "EdDSA"};
	uint8_t mac[32], der[4096], *p;
	unsigned int n;
	char header[64];
	int i, len;

	ck_assert_int_lt(i2d_PUBKEY(rsa, NULL), (int)sizeof(der));
	p = der;
	len = i2d_PUBKEY(rsa, &p);
	for (i = 0; i < 6; i++) {
		snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"%s\"}",
		    algs[i / 2], i % 2 == 0 ? "r0" : "e0");
		begin(header, CLAIMS);
		ck_assert_ptr_nonnull(HMAC(EVP_sha256(), i % 2 == 0 ? der : ed_pub[0],
		    i % 2 == 0 ? len : 32, tok.p, tok.len, mac, &n));
		ck_assert_int_eq(jwt_append_sig(&tok, mac, n), 0);
		ck_assert_int_ne(verify(), JWT_OK);
	}
}
END_TEST

START_TEST(rsa_variants)
{
	static const char header[] = "{\"alg\":\"RS256\",\"kid\":\"r0\"}";

	begin(header, CLAIMS);
	sign_rsa(rsa, RSA_PKCS1_PADDING, EVP_sha256());
	ck_assert_int_eq(verify(), JWT_OK);
	begin(header, CLAIMS);
	sign_rsa(rsa, RSA_PKCS1_PSS_PADDING, EVP_sha256());
	ck_assert_int_eq(verify(), JWT_E_SIGNATURE);
	begin(header, CLAIMS);
	sign_rsa(rsa, RSA_PKCS1_PADDING, EVP_sha512());
	ck_assert_int_eq(verify(), JWT_E_SIGNATURE);
	/* a signature shorter than the modulus */
	begin(header, CLAIMS);
	sign_rsa(rsa, RSA_PKCS1_PADDING, EVP_sha256());
	tok.len -= 2; /* the last byte */
	ck_assert_int_eq(verify(), JWT_E_SIGNATURE);
	/* 1024 bits are not enough even if the set has such a key */
	begin("{\"alg\":\"RS256\",\"kid\":\"any\"}", CLAIMS);
	sign_rsa(rsa_small, RSA_PKCS1_PADDING, EVP_sha256());
	ck_assert_int_eq(verify(), JWT_E_SIGNATURE);
	/* an RSA-PSS key, no key */
	keys[3].rsa = rsa_pss;
	begin("{\"alg\":\"RS256\",\"kid\":\"any\"}", CLAIMS);
	sign_rsa(rsa_pss, RSA_PKCS1_PSS_PADDING, EVP_sha256());
	ck_assert_int_eq(verify(), JWT_E_SIGNATURE);
	keys[3].rsa = NULL;
	ck_assert_int_eq(verify(), JWT_E_SIGNATURE);
}
END_TEST

START_TEST(split_only)
{
	begin("{\"alg\":\"EdDSA\",\"kid\":\"unknown\"}", CLAIMS);
	ck_assert_int_eq(buf_puts(&tok, ".AAAA"), 0);
	ck_assert_int_eq(
	    jwt_header_claims_split(&jwt, (const char *)tok.p, tok.len), JWT_OK);
	ck_assert(json_str_eq(&jwt.claims, json_get(&jwt.claims, 0, "iss"), "i"));
	ck_assert_uint_eq(jwt.sig_len, 3);
	begin("{\"alg\":\"none\"}", CLAIMS);
	ck_assert_int_eq(buf_puts(&tok, ".AAAA"), 0);
	ck_assert_int_eq(
	    jwt_header_claims_split(&jwt, (const char *)tok.p, tok.len), JWT_E_ALG);
	ck_assert_uint_eq(json_root(&jwt.claims), JSON_NONE);
	ck_assert_uint_eq(json_root(&jwt.header), JSON_NONE);
}
END_TEST

static const struct {
	const char *claims;
	struct jwt_expect want;
	enum jwt_err err;
} checks[] = {
    {CLAIMS, {.now = 1500, .iss = "i", .aud = "a", .max_life = 1000}, JWT_OK},
    {CLAIMS, {.now = 1500}, JWT_OK},
    {CLAIMS, {.now = 1999}, JWT_OK},
    {CLAIMS, {.now = 2000}, JWT_E_EXPIRED},
    {CLAIMS, {.now = 2029, .leeway = 30}, JWT_OK},
    {CLAIMS, {.now = 2030, .leeway = 30}, JWT_E_EXPIRED},
    {CLAIMS, {.now = 940}, JWT_OK},
    {CLAIMS, {.now = 939}, JWT_E_NOT_YET},
    {CLAIMS, {.now = 930, .leeway = 10}, JWT_OK},
    {CLAIMS, {.now = 1500, .max_life = 999}, JWT_E_LIFETIME},
    {CLAIMS, {.now = 1500, .iss = "I"}, JWT_E_ISSUER},
    {CLAIMS, {.now = 1500, .iss = "i "}, JWT_E_ISSUER},
    {CLAIMS, {.now = 1500, .aud = "b"}, JWT_E_AUDIENCE},
    {CLAIMS, {.now = 1500, .aud = ""}, JWT_E_AUDIENCE},
    {"{}", {.now = 1500}, JWT_E_CLAIMS},
    {"{\"iat\":1000}", {.now = 1500}, JWT_E_CLAIMS},
    {"{\"exp\":2000.5}", {.now = 1500}, JWT_E_CLAIMS},
    {"{\"exp\":2e3}", {.now = 1500}, JWT_E_CLAIMS},
    {"{\"exp\":\"2000\"}", {.now = 1500}, JWT_E_CLAIMS},
    {"{\"exp\":-2000}", {.now = 1500}, JWT_E_CLAIMS},
    {"{\"exp\":null}", {.now = 1500}, JWT_E_CLAIMS},
    {"{\"exp\":9223372036854775807}", {.now = 1500}, JWT_E_CLAIMS},
    {"{\"exp\":99999999999999999999}", {.now = 1500}, JWT_E_CLAIMS},
    {"{\"exp\":2000,\"iat\":\"1\"}", {.now = 1500}, JWT_E_CLAIMS},
    {"{\"exp\":2000,\"nbf\":true}", {.now = 1500}, JWT_E_CLAIMS},
    {"{\"exp\":2000,\"nbf\":1500}", {.now = 1500}, JWT_OK},
    {"{\"exp\":2000,\"nbf\":1501}", {.now = 1500}, JWT_E_NOT_YET},
    {"{\"exp\":2000,\"nbf\":1501}", {.now = 1500, .leeway = 1}, JWT_OK},
    {"{\"exp\":2000}", {.now = 1500, .max_life = 1000}, JWT_E_LIFETIME},
    {"{\"exp\":2000,\"iat\":2001}", {.now = 1999}, JWT_E_LIFETIME},
    {"{\"exp\":2000}", {.now = 1500, .iss = "i"}, JWT_E_ISSUER},
    {"{\"exp\":2000,\"iss\":[\"i\"]}", {.now = 1500, .iss = "i"}, JWT_E_ISSUER},
    {"{\"exp\":2000}", {.now = 1500, .aud = "a"}, JWT_E_AUDIENCE},
    {"{\"exp\":2000,\"aud\":[]}", {.now = 1500, .aud = "a"}, JWT_E_AUDIENCE},
    {"{\"exp\":2000,\"aud\":[\"b\",\"a\"]}", {.now = 1500, .aud = "a"}, JWT_OK},
    {"{\"exp\":2000,\"aud\":[\"a\",\"b\"]}", {.now = 1500, .aud = "a"}, JWT_OK},
    {"{\"exp\":2000,\"aud\":[\"b\",\"A\"]}", {.now = 1500, .aud = "a"}, JWT_E_AUDIENCE},
    {"{\"exp\":2000,\"aud\":[\"a\",1]}", {.now = 1500, .aud = "a"}, JWT_E_CLAIMS},
    {"{\"exp\":2000,\"aud\":[[\"a\"]]}", {.now = 1500, .aud = "a"}, JWT_E_CLAIMS},
    {"{\"exp\":2000,\"aud\":{\"a\":\"a\"}}", {.now = 1500, .aud = "a"}, JWT_E_CLAIMS},
    {"{\"exp\":2000,\"aud\":null}", {.now = 1500, .aud = "a"}, JWT_E_CLAIMS},
};

START_TEST(claims)
{
	enum jwt_err e;

	ck_assert_int_eq(
	    ed("{\"alg\":\"EdDSA\",\"kid\":\"e0\"}", checks[_i].claims), JWT_OK);
	e = jwt_check_claims(&jwt, &checks[_i].want);
	ck_assert_msg(e == checks[_i].err, "%s: %s", checks[_i].claims, jwt_strerror(e));
}
END_TEST

START_TEST(claims_of_nothing)
{
	struct jwt_expect want = {.now = 1};

	ck_assert_int_eq(jwt_check_claims(&jwt, &want), JWT_E_CLAIMS);
}
END_TEST

static EVP_PKEY *
make_pss(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	EVP_PKEY *key = NULL;

	if (ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) == 1)
		EVP_PKEY_generate(ctx, &key);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

int
main(void)
{
	SRunner *r;
	TCase *t;
	Suite *s;
	int failed;

	/* once, before the tests fork */
	if (sodium_init() < 0)
		return EXIT_FAILURE;
	crypto_sign_keypair(ed_pub[0], ed_sec[0]);
	crypto_sign_keypair(ed_pub[1], ed_sec[1]);
	rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	rsa_small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
	rsa_pss = make_pss();
	if (rsa == NULL || rsa_small == NULL || rsa_pss == NULL)
		return EXIT_FAILURE;

	s = suite_create("jwt");
	t = tcase_create("jwt");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, good_eddsa);
	tcase_add_test(t, good_rs256);
	tcase_add_test(t, built);
	tcase_add_test(t, vector);
	tcase_add_test(t, bit_flips);
	tcase_add_loop_test(t, bad_header, 0, sizeof(headers) / sizeof(headers[0]));
	tcase_add_test(t, bad_claims_json);
	tcase_add_test(t, bad_form);
	tcase_add_test(t, hmac_confusion);
	tcase_add_test(t, rsa_variants);
	tcase_add_test(t, split_only);
	tcase_add_loop_test(t, claims, 0, sizeof(checks) / sizeof(checks[0]));
	tcase_add_test(t, claims_of_nothing);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(rsa_small);
	EVP_PKEY_free(rsa_pss);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
