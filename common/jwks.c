/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key sets; see jwks.h. Command line and master, on files of the administrator; written
 * for hostile input all the same, because they come from other people's servers.
 */
#include "common/jwks.h"

#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/ed25519.h"

static const struct json_limits limits = {
    .size = JWKS_FILE_MAX, .nodes = 8192, .depth = 16};

/* A member in Base64url into out. Its length, or -1. */
static ssize_t
octets(
    const struct json_doc *d, uint32_t key, const char *name, uint8_t *out, size_t size)
{
	char text[B64_SIZE(JWKS_MODULUS_MAX + 1)];
	size_t len;

	if (json_str_copy(d, json_get(d, key, name), text, sizeof(text), &len) != 0)
		return -1;
	return b64_decode(B64_URL, text, len, out, size);
}

/* Absent, or this text. */
static bool
absent_or(const struct json_doc *d, uint32_t key, const char *name, const char *value)
{
	uint32_t node = json_get(d, key, name);

	return node == JSON_NONE || json_str_eq(d, node, value);
}

static bool
may_verify(const struct json_doc *d, uint32_t key)
{
	uint32_t ops = json_get(d, key, "key_ops");
	struct json_iter it;

	if (!absent_or(d, key, "use", "sig"))
		return false;
	if (ops == JSON_NONE)
		return true;
	if (json_type(d, ops) != JT_ARRAY)
		return false;
	json_iter_init(&it, d, ops);
	while (json_iter_next(&it, d))
		if (json_str_eq(d, it.value, "verify"))
			return true;
	return false;
}

static bool
read_rsa(const struct json_doc *d, uint32_t key, struct jwk *k)
{
	uint8_t *p = k->n;
	ssize_t n, e;

	if (!absent_or(d, key, "alg", "RS256"))
		return false;
	n = octets(d, key, "n", k->n, sizeof(k->n));
	e = octets(d, key, "e", k->e, sizeof(k->e));
	if (n <= 0 || e <= 0)
		return false;
	while (n > 0 && *p == 0) {
		p++;
		n--;
	}
	memmove(k->n, p, (size_t)n);
	k->n_len = (size_t)n;
	k->e_len = (size_t)e;
	/* an even exponent or 1 is no RSA key; the top bit must make 2048 of them */
	return n >= JWT_RSA_BITS_MIN / 8 &&
	    (n > JWT_RSA_BITS_MIN / 8 || k->n[0] >= 0x80) && (k->n[n - 1] & 1) != 0 &&
	    (k->e[e - 1] & 1) != 0 && !(e == 1 && k->e[0] == 1) && k->e[0] != 0;
}

static bool
read_ed25519(const struct json_doc *d, uint32_t key, struct jwk *k)
{
	return absent_or(d, key, "alg", "EdDSA") &&
	    json_str_eq(d, json_get(d, key, "crv"), "Ed25519") &&
	    octets(d, key, "x", k->ed25519, sizeof(k->ed25519)) == 32 &&
	    ed25519_pub_ok(k->ed25519);
}

static bool
read_key(const struct json_doc *d, uint32_t key, struct jwk *k)
{
	uint32_t kid = json_get(d, key, "kid"), kty = json_get(d, key, "kty");

	memset(k, 0, sizeof(*k));
	if (json_type(d, key) != JT_OBJECT || !may_verify(d, key))
		return false;
	k->has_kid = kid != JSON_NONE;
	if (k->has_kid &&
	    (json_str_copy(d, kid, k->kid, sizeof(k->kid), NULL) != 0 ||
		k->kid[0] == '\0'))
		return false;
	if (json_str_eq(d, kty, "RSA")) {
		k->alg = JWT_RS256;
		return read_rsa(d, key, k);
	}
	k->alg = JWT_EDDSA;
	return json_str_eq(d, kty, "OKP") && read_ed25519(d, key, k);
}

int
jwks_read(struct jwks *set, const void *p, size_t len, const char **why)
{
	struct json_iter it;
	struct json_doc d;
	uint32_t list;
	int r = -1;

	memset(set, 0, sizeof(*set));
	json_init(&d);
	*why = "it is not JSON";
	if (json_parse(&d, p, len, &limits) != JSON_OK)
		goto out;
	list = json_get(&d, json_root(&d), "keys");
	*why = "it has no list \"keys\"";
	if (json_type(&d, json_root(&d)) != JT_OBJECT || json_type(&d, list) != JT_ARRAY)
		goto out;
	*why = "it has more than 64 keys";
	if (json_count(&d, list) > JWKS_KEYS_MAX)
		goto out;
	*why = "out of memory";
	set->keys = calloc(json_count(&d, list) + 1, sizeof(*set->keys));
	if (set->keys == NULL)
		goto out;
	json_iter_init(&it, &d, list);
	while (json_iter_next(&it, &d)) {
		if (read_key(&d, it.value, &set->keys[set->n]))
			set->n++;
		else
			set->skipped++;
	}
	*why = NULL;
	r = 0;
out:
	json_free(&d);
	return r;
}

void
jwks_free(struct jwks *set)
{
	free(set->keys);
	memset(set, 0, sizeof(*set));
}
