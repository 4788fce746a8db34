/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens; see jwt.h. Runs in judge on tokens from anybody. Verification decides
 * by the key's type: alg in the header can only agree with it, never choose.
 */
#include "common/jwt.h"

#include <openssl/rsa.h>

#include "common/b64.h"
#include "common/ed25519.h"
#include "common/jsonw.h"

static const char *const alg_names[] = {[JWT_EDDSA] = "EdDSA", [JWT_RS256] = "RS256"};

/* tokens are small and flat; this bounds the work on a hostile one */
static const struct json_limits limits = {
    .size = JWT_LEN_MAX, .nodes = 2048, .depth = 16};

void
jwt_init(struct jwt *t)
{
	memset(t, 0, sizeof(*t));
}

void
jwt_free(struct jwt *t)
{
	json_free(&t->header);
	json_free(&t->claims);
	buf_free(&t->header_json);
	buf_free(&t->claims_json);
}

/* Decodes one part into raw and parses it; 0 or -1. */
static int
read_part(struct json_doc *d, struct buf *raw, const char *p, size_t len)
{
	buf_reset(raw);
	if (b64_put_decoded(B64_URL, raw, p, len) != 0 ||
	    json_parse(d, raw->p, raw->len, &limits) != JSON_OK)
		return -1;
	return json_type(d, json_root(d)) == JT_OBJECT ? 0 : -1;
}

static enum jwt_err
read_header(struct jwt *t)
{
	const struct json_doc *d = &t->header;
	uint32_t root = json_root(d), typ, kid;
	size_t kid_len;

	if (json_str_eq(d, json_get(d, root, "alg"), alg_names[JWT_EDDSA]))
		t->alg = JWT_EDDSA;
	else if (json_str_eq(d, json_get(d, root, "alg"), alg_names[JWT_RS256]))
		t->alg = JWT_RS256;
	else
		return JWT_E_ALG;
	typ = json_get(d, root, "typ");
	if (typ != JSON_NONE && !json_str_eq(d, typ, "JWT"))
		return JWT_E_HEADER;
	/* RFC 7515 section 4.1.11: we understand no extension */
	if (json_get(d, root, "crit") != JSON_NONE)
		return JWT_E_HEADER;
	kid = json_get(d, root, "kid");
	t->has_kid = kid != JSON_NONE;
	t->kid[0] = '\0';
	if (t->has_kid && json_str_copy(d, kid, t->kid, sizeof(t->kid), &kid_len) != 0)
		return JWT_E_HEADER;
	return JWT_OK;
}

static enum jwt_err
split(struct jwt *t, const char *token, size_t len)
{
	const char *end = token + len, *claims, *sig;
	enum jwt_err e;
	ssize_t n;

	if (len > JWT_LEN_MAX || (claims = memchr(token, '.', len)) == NULL)
		return JWT_E_FORMAT;
	claims++;
	if ((sig = memchr(claims, '.', (size_t)(end - claims))) == NULL)
		return JWT_E_FORMAT;
	sig++;
	/* a further dot is met as a character outside the alphabet */
	n = b64_decode(B64_URL, sig, (size_t)(end - sig), t->sig, sizeof(t->sig));
	if (n <= 0)
		return JWT_E_FORMAT;
	t->sig_len = (size_t)n;
	t->signed_len = (size_t)(sig - 1 - token);
	if (read_part(&t->header, &t->header_json, token, (size_t)(claims - 1 - token)) !=
	    0)
		return JWT_E_HEADER;
	if ((e = read_header(t)) != JWT_OK)
		return e;
	if (read_part(&t->claims, &t->claims_json, claims, (size_t)(sig - 1 - claims)) !=
	    0)
		return JWT_E_CLAIMS;
	return JWT_OK;
}

/* Empties both documents, so that nobody reads a refused token by mistake. */
static void
forget(struct jwt *t)
{
	t->header.nnodes = t->claims.nnodes = 0;
	t->sig_len = t->signed_len = 0;
}

enum jwt_err
jwt_header_claims_split(struct jwt *t, const char *token, size_t len)
{
	enum jwt_err e;

	forget(t);
	if ((e = split(t, token, len)) != JWT_OK)
		forget(t);
	return e;
}

static int
verify_rs256(EVP_PKEY *key, const struct jwt *t, const char *token)
{
	EVP_PKEY_CTX *pctx;
	EVP_MD_CTX *ctx;
	int r = -1;

	if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
	    EVP_PKEY_get_bits(key) < JWT_RSA_BITS_MIN ||
	    EVP_PKEY_get_size(key) > JWT_SIG_MAX ||
	    t->sig_len != (size_t)EVP_PKEY_get_size(key))
		return -1;
	if ((ctx = EVP_MD_CTX_new()) == NULL)
		return -1;
	if (EVP_DigestVerifyInit(ctx, &pctx, EVP_sha256(), NULL, key) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_DigestVerify(
		ctx, t->sig, t->sig_len, (const uint8_t *)token, t->signed_len) == 1)
		r = 0;
	EVP_MD_CTX_free(ctx);
	return r;
}

static int
verify_with(const struct jwt_key *key, const struct jwt *t, const char *token)
{
	if (key->alg == JWT_RS256)
		return verify_rs256(key->rsa, t, token);
	if (t->sig_len != ED25519_SIG_LEN)
		return -1;
	return ed25519_verify(key->ed25519, token, t->signed_len, t->sig);
}

static enum jwt_err
verify(const struct jwt *t, const char *token, const struct jwt_keyset *set)
{
	enum jwt_err e = JWT_E_KEY;
	const struct jwt_key *key;
	size_t i;

	for (i = 0; i < set->n; i++) {
		key = &set->keys[i];
		if (key->kid != NULL && (!t->has_kid || strcmp(key->kid, t->kid) != 0))
			continue;
		if (key->alg != t->alg) {
			if (e == JWT_E_KEY)
				e = JWT_E_ALG;
			continue;
		}
		if (verify_with(key, t, token) == 0)
			return JWT_OK;
		e = JWT_E_SIGNATURE;
	}
	return e;
}

enum jwt_err
jwt_verify(struct jwt *t, const char *token, size_t len, const struct jwt_keyset *set)
{
	enum jwt_err e;

	if ((e = jwt_header_claims_split(t, token, len)) != JWT_OK)
		return e;
	if ((e = verify(t, token, set)) != JWT_OK)
		forget(t);
	return e;
}

const char *
jwt_strerror(enum jwt_err e)
{
	switch (e) {
	case JWT_OK:
		return "no error";
	case JWT_E_FORMAT:
		return "malformed token";
	case JWT_E_HEADER:
		return "unacceptable token header";
	case JWT_E_ALG:
		return "unacceptable token algorithm";
	case JWT_E_CLAIMS:
		return "malformed claims";
	case JWT_E_KEY:
		return "no key for the token";
	case JWT_E_SIGNATURE:
		return "token signature does not verify";
	case JWT_E_EXPIRED:
		return "token expired";
	case JWT_E_NOT_YET:
		return "token not valid yet";
	case JWT_E_LIFETIME:
		return "token lives too long";
	case JWT_E_ISSUER:
		return "wrong issuer";
	case JWT_E_AUDIENCE:
		return "wrong audience";
	}
	return "unknown error";
}

int
jwt_build_signing_input(struct buf *out, enum jwt_alg alg, const char *kid,
    const void *claims, size_t claims_len)
{
	struct buf header;
	struct jsonw w;
	int r = -1;

	buf_init(&header);
	jsonw_init(&w, &header);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "alg", alg_names[alg]);
	jsonw_key_str(&w, "typ", "JWT");
	if (kid != NULL)
		jsonw_key_str(&w, "kid", kid);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0 && b64_put(B64_URL, out, header.p, header.len) == 0 &&
	    buf_putc(out, '.') == 0)
		r = b64_put(B64_URL, out, claims, claims_len);
	buf_free(&header);
	return r;
}

int
jwt_append_sig(struct buf *token, const void *sig, size_t sig_len)
{
	return buf_putc(token, '.') != 0 ? -1 : b64_put(B64_URL, token, sig, sig_len);
}
