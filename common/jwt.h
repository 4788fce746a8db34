/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens: compact JWS (RFC 7515, 7519) with EdDSA over Ed25519 (RFC 8037) or
 * RS256, nothing else. Runs in judge on tokens from anybody; keys come from the caller's
 * key set only, never from the token. Vault uses the building half for what it signs.
 */
#ifndef AEGIS_COMMON_JWT_H
#define AEGIS_COMMON_JWT_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/json.h"

#define JWT_LEN_MAX 16384 /* characters of a token */
#define JWT_SIG_MAX 1024  /* bytes: RSA up to 8192 bits */
#define JWT_KID_MAX 255   /* bytes of a key id */
#define JWT_RSA_BITS_MIN 2048
#define JWT_IAT_SKEW 60 /* seconds iat may lie ahead, on top of the leeway */

enum jwt_alg {
	JWT_EDDSA,
	JWT_RS256,
};

enum jwt_err {
	JWT_OK = 0,
	JWT_E_FORMAT = -1, /* not three parts of base64url, or too long */
	JWT_E_HEADER =
	    -2, /* header is no JSON object, or typ, kid, crit are not acceptable */
	JWT_E_ALG = -3,    /* alg is none of ours, or not the key's */
	JWT_E_CLAIMS = -4, /* claims are no JSON object, or a claim has the wrong type */
	JWT_E_KEY = -5,    /* no key for this token */
	JWT_E_SIGNATURE = -6,
	JWT_E_EXPIRED = -7,
	JWT_E_NOT_YET = -8,  /* nbf or iat in the future */
	JWT_E_LIFETIME = -9, /* exp before iat, or too far after it */
	JWT_E_ISSUER = -10,
	JWT_E_AUDIENCE = -11,
};

struct jwt_key {
	const char *kid; /* NULL: serves tokens with any kid or none */
	enum jwt_alg alg;
	EVP_PKEY *rsa;       /* JWT_RS256: borrowed, 2048 to 8192 bits */
	uint8_t ed25519[32]; /* JWT_EDDSA: checked with ed25519_pub_ok() by the loader */
};

struct jwt_keyset {
	const struct jwt_key *keys;
	size_t n;
};

/*
 * A parsed token. header and claims point into header_json and claims_json, so the token
 * text is not needed any more. May be used again and keeps its memory.
 */
struct jwt {
	struct json_doc header, claims;
	struct buf header_json, claims_json;
	enum jwt_alg alg;
	char kid[JWT_KID_MAX + 1];
	bool has_kid;
	uint8_t sig[JWT_SIG_MAX];
	size_t sig_len;
	size_t signed_len; /* characters of the token that are signed */
};

/* What the claims have to say. Times in Unix seconds. */
struct jwt_expect {
	int64_t now;
	int64_t leeway;   /* seconds for exp, nbf and iat; 0 is the default */
	int64_t max_life; /* most seconds from iat to exp, iat then required; 0: any */
	const char *iss;  /* exact issuer; NULL: not checked */
	const char *aud;  /* exact audience; NULL: not checked */
};

void jwt_init(struct jwt *t);
void jwt_free(struct jwt *t);

/*
 * Takes a token apart and checks its form: three parts, strict base64url, header and
 * claims JSON objects, alg EdDSA or RS256, typ absent or JWT, no crit. The signature is
 * NOT checked: what it says is only good for finding out where to look.
 */
enum jwt_err jwt_header_claims_split(struct jwt *t, const char *token, size_t len);

/*
 * As above, and the signature must verify under a key of the set whose kid and alg are
 * the token's. Says nothing about the claims: call jwt_check_claims() as well.
 */
enum jwt_err jwt_verify(
    struct jwt *t, const char *token, size_t len, const struct jwt_keyset *set);

/*
 * Checks the registered claims (RFC 7519 section 4.1). exp is required; exp, nbf and iat
 * must be integers; a token is over at exp itself. iss and aud must be present if asked
 * for; aud is a string or an array of strings with ours among them.
 */
enum jwt_err jwt_check_claims(const struct jwt *t, const struct jwt_expect *want);

/* A short English text for an error; never NULL. */
const char *jwt_strerror(enum jwt_err e);

/*
 * Appends b64(header).b64(claims) for signing; kid may be NULL. The caller vouches for
 * claims being a JSON object. Returns 0 or -1.
 */
int jwt_build_signing_input(struct buf *out, enum jwt_alg alg, const char *kid,
    const void *claims, size_t claims_len);

/* Appends the signature to a signing input, which makes it a token. Returns 0 or -1. */
int jwt_append_sig(struct buf *token, const void *sig, size_t sig_len);

#endif
