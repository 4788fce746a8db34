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
#include "common/msg.h"
#include "keymasterd/judge/judge.h"

#define ISSUERS_MAX 32
#define KEYS_MAX 64

static struct trust_issuer *issuers[ISSUERS_MAX];
static size_t nissuers;

int
trust_conf_issuer(void *msg)
{
	const struct msg_conf_issuer *m = msg;
	struct trust_issuer *t;

	if (nissuers == ISSUERS_MAX || (t = calloc(1, sizeof(*t))) == NULL)
		return -1;
	issuers[nissuers++] = t;
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
	struct trust_issuer *t = nissuers > 0 ? issuers[nissuers - 1] : NULL;
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
	/* the old array is small, and this happens once, at start */
	t->set = (struct jwt_keyset){grown, t->set.n + 1};
	return 0;
}

const struct trust_issuer *
trust_find(enum issuer_kind kind, const char *issuer)
{
	for (size_t i = 0; i < nissuers; i++)
		if (issuers[i]->kind == kind && strcmp(issuers[i]->issuer, issuer) == 0)
			return issuers[i];
	return NULL;
}

bool
trust_any(enum issuer_kind kind)
{
	for (size_t i = 0; i < nissuers; i++)
		if (issuers[i]->kind == kind)
			return true;
	return false;
}

const struct jwt_keyset *
trust_own(void)
{
	static struct jwt_key key;
	static struct jwt_keyset set;

	set = (struct jwt_keyset){&key, 0};
	if (judge_keys.have) {
		key = (struct jwt_key){.kid = judge_keys.token_kid, .alg = JWT_EDDSA};
		memcpy(key.ed25519, judge_keys.token_pub, sizeof(key.ed25519));
		set.n = 1;
	}
	return &set;
}

unsigned
trust_generation(void)
{
	return 0;
}
