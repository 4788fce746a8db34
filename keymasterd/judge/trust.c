/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trusted issuers and their public keys; see trust.h. Judge only. The master read the
 * files; what comes here are octets of keys, which are checked once more.
 */
#include "keymasterd/judge/trust.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "common/ed25519.h"
#include "common/hex.h"
#include "common/msg.h"
#include "keymasterd/judge/judge.h"

#define ISSUERS_MAX 32
#define KEYS_MAX 64

static struct issuers {
	struct trust_issuer *list[ISSUERS_MAX];
	size_t n;
} issuers, staged, *reading = &issuers;
static unsigned generation;

int
trust_conf_issuer(void *msg)
{
	const struct msg_conf_issuer *m = msg;
	struct trust_issuer *t;

	if (reading->n == ISSUERS_MAX || (t = calloc(1, sizeof(*t))) == NULL)
		return -1;
	reading->list[reading->n++] = t;
	t->kind = (enum issuer_kind)m->kind;
	t->leeway_s = m->leeway_s;
	return (t->kind != ISSUER_OPERATORS && t->kind != ISSUER_AGENTS) ||
		m->issuer.len == 0 || m->audience.len == 0 ||
		span_copy(m->issuer, t->issuer, sizeof(t->issuer)) == -1 ||
		span_copy(m->audience, t->audience, sizeof(t->audience)) == -1 ||
		span_copy(m->role_claim, t->role_claim, sizeof(t->role_claim)) == -1 ||
		span_copy(m->tenant_claim, t->tenant_claim, sizeof(t->tenant_claim)) ==
		    -1 ||
		span_copy(m->admin_roles, t->roles[OPERATOR_ADMIN],
		    sizeof(t->roles[0])) == -1 ||
		span_copy(m->operator_roles, t->roles[OPERATOR_OPERATOR],
		    sizeof(t->roles[0])) == -1 ||
		span_copy(m->readonly_roles, t->roles[OPERATOR_READONLY],
		    sizeof(t->roles[0])) == -1
	    ? -1
	    : 0;
}

static EVP_PKEY *
rsa_key(struct span n, struct span e)
{
	BIGNUM *bn = BN_bin2bn((const uint8_t *)n.p, (int)n.len, NULL),
	       *be = BN_bin2bn((const uint8_t *)e.p, (int)e.len, NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (bn != NULL && be != NULL && build != NULL && ctx != NULL &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, be) == 1 &&
	    (params = OSSL_PARAM_BLD_to_param(build)) != NULL &&
	    EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	BN_free(bn);
	BN_free(be);
	return key;
}

int
trust_conf_key(void *msg)
{
	const struct msg_conf_issuer_key *m = msg;
	struct trust_issuer *t = reading->n > 0 ? reading->list[reading->n - 1] : NULL;
	struct jwt_key *grown, *k;

	if (t == NULL || t->set.n == KEYS_MAX)
		return -1;
	grown = calloc(t->set.n + 1, sizeof(*grown));
	if (grown == NULL)
		return -1;
	if (t->set.n > 0)
		memcpy(grown, t->set.keys, t->set.n * sizeof(*grown));
	k = &grown[t->set.n];
	k->kid = m->has_kid ? strndup(m->kid.p, m->kid.len) : NULL;
	k->alg = m->rs256 ? JWT_RS256 : JWT_EDDSA;
	if ((m->has_kid && k->kid == NULL) ||
	    (m->rs256 && (k->rsa = rsa_key(m->n, m->e)) == NULL) ||
	    (!m->rs256 && m->n.len != sizeof(k->ed25519))) {
		free(grown);
		return -1;
	}
	if (!m->rs256) {
		memcpy(k->ed25519, m->n.p, sizeof(k->ed25519));
		if (ed25519_pub_ok(k->ed25519) == 0) {
			free(grown);
			return -1;
		}
	}
	free((void *)(uintptr_t)t->set.keys);
	t->set = (struct jwt_keyset){grown, t->set.n + 1};
	return 0;
}

const struct trust_issuer *
trust_find(enum issuer_kind kind, const char *issuer)
{
	for (size_t i = 0; i < issuers.n; i++)
		if (issuers.list[i]->kind == kind &&
		    strcmp(issuers.list[i]->issuer, issuer) == 0)
			return issuers.list[i];
	return NULL;
}

bool
trust_any(enum issuer_kind kind)
{
	for (size_t i = 0; i < issuers.n; i++)
		if (issuers.list[i]->kind == kind)
			return true;
	return false;
}

static void
issuers_free(struct issuers *set)
{
	for (size_t i = 0; i < set->n; i++) {
		struct jwt_keyset *keys = &set->list[i]->set;

		for (size_t k = 0; k < keys->n; k++) {
			EVP_PKEY_free(keys->keys[k].rsa);
			free((void *)(uintptr_t)keys->keys[k].kid);
		}
		free((void *)(uintptr_t)keys->keys);
		free(set->list[i]);
	}
	set->n = 0;
}

void
trust_stage(void)
{
	issuers_free(&staged);
	reading = &staged;
}

void
trust_stage_end(bool commit)
{
	reading = &issuers;
	if (!commit) {
		issuers_free(&staged);
		return;
	}
	issuers_free(&issuers);
	issuers = staged;
	staged.n = 0;
	generation++; /* what was verified before is verified again */
}

static struct jwt_key own[1 + JUDGE_OLD_KEYS];
static struct jwt_keyset own_set = {own, 0};

static void
add_own(const char *kid, const uint8_t pub[32])
{
	struct jwt_key *k = &own[own_set.n++];

	*k = (struct jwt_key){.kid = kid, .alg = JWT_EDDSA};
	memcpy(k->ed25519, pub, sizeof(k->ed25519));
}

static void
keys_changed(void)
{
	own_set.n = 0;
	generation++;
	if (!judge_keys.have)
		return;
	if (judge_keys.token_kid[0] != '\0') /* OpenBao may not have told of it yet */
		add_own(judge_keys.token_kid, judge_keys.token_pub);
	for (size_t i = 0; i < judge_keys.nold; i++)
		add_own(judge_keys.old[i].kid, judge_keys.old[i].pub);
}

static uint8_t node_modulus[256];
static char node_kid[17];
static struct jwt_key node_key;
static struct jwt_keyset node_set = {&node_key, 0};

int
trust_node_key(struct span modulus)
{
	static const uint8_t e[] = {1, 0, 1};
	uint8_t hash[32];
	EVP_PKEY *key;

	if (modulus.len != sizeof(node_modulus))
		return -1;
	if (node_set.n == 1 && memcmp(modulus.p, node_modulus, sizeof(node_modulus)) == 0)
		return 0;
	if ((key = rsa_key(modulus, span_mem(e, sizeof(e)))) == NULL)
		return -1;
	memcpy(node_modulus, modulus.p, sizeof(node_modulus));
	judge_sha256(node_modulus, sizeof(node_modulus), hash);
	(void)hex_encode(hash, 8, node_kid, sizeof(node_kid));
	EVP_PKEY_free(node_key.rsa);
	node_key = (struct jwt_key){.kid = node_kid, .alg = JWT_RS256, .rsa = key};
	node_set.n = 1;
	return 0;
}

const struct jwt_keyset *
trust_nodes(void)
{
	return &node_set;
}

struct span
trust_node_modulus(void)
{
	return span_mem(node_modulus, node_set.n == 1 ? sizeof(node_modulus) : 0);
}

/* The token keys of one of vault's messages into k. 0 or -1. */
static int
take_token_keys(
    struct judge_keys *k, struct span kid, const uint8_t pub[32], struct span list)
{
	uint8_t octets[JUDGE_OLD_KEYS * 40];
	struct wire_r r = {.p = octets, .len = list.len};
	uint8_t hash[32];

	if (list.len > sizeof(octets) ||
	    span_copy(kid, k->token_kid, sizeof(k->token_kid)) == -1)
		return -1;
	if (list.len > 0)
		memcpy(octets, list.p, list.len);
	memcpy(k->token_pub, pub, sizeof(k->token_pub));
	for (k->nold = 0; r.off < r.len && k->nold < JUDGE_OLD_KEYS; k->nold++) {
		struct judge_old_key *old = &k->old[k->nold];

		wire_get_fix(&r, old->pub, sizeof(old->pub));
		old->retires_s = wire_get_u64(&r);
		judge_sha256(old->pub, sizeof(old->pub), hash);
		(void)hex_encode(hash, 8, old->kid, sizeof(old->kid));
	}
	return r.failed ? -1 : 0;
}

int
trust_keys_take(const struct msg_vault_key_set *m)
{
	struct judge_keys k = {.have = 1};

	if (span_copy(m->ledger_kid, k.ledger_kid, sizeof(k.ledger_kid)) == -1 ||
	    take_token_keys(&k, m->token_kid, m->token_pub, m->token_old) == -1)
		return -1;
	if (m->node_modulus.len > 0 && trust_node_key(m->node_modulus) == -1)
		return -1;
	memcpy(k.ledger_pub, m->ledger_pub, sizeof(k.ledger_pub));
	k.credentials = m->credentials;
	judge_keys = k;
	keys_changed();
	return 0;
}

int
trust_token_keys(const struct msg_token_keys *m)
{
	struct judge_keys k = judge_keys;

	if (take_token_keys(&k, m->token_kid, m->token_pub, m->token_old) == -1)
		return -1;
	judge_keys = k;
	keys_changed();
	return 0;
}

void
trust_tick(uint64_t unix_ms)
{
	size_t n = 0;

	for (size_t i = 0; i < judge_keys.nold; i++)
		if (judge_keys.old[i].retires_s > unix_ms / 1000)
			judge_keys.old[n++] = judge_keys.old[i];
	if (n == judge_keys.nold)
		return;
	judge_keys.nold = n;
	keys_changed();
}

const struct jwt_keyset *
trust_own(void)
{
	return &own_set;
}

unsigned
trust_generation(void)
{
	return generation;
}
