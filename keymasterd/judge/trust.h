/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose tokens are believed: our own, those of operators' identity provider, those of
 * other issuers of security tokens. Public keys only, from vault and the configuration.
 * Judge only.
 */
#ifndef AEGIS_JUDGE_TRUST_H
#define AEGIS_JUDGE_TRUST_H

#include "common/jwt.h"
#include "common/proto.h"
#include "common/span.h"

/* Audiences that vault puts into tokens which are not an agent's. */
#define TRUST_AUD_OPERATORS "aegis-operators"
#define TRUST_AUD_NODES "aegis-nodes"

struct trust_issuer {
	enum issuer_kind kind;
	char issuer[257], audience[257];
	uint32_t leeway_s;
	char role_claim[129], tenant_claim[129];
	/* names of roles, a line each, by enum operator_role; [0] unused */
	char roles[OPERATOR_ADMIN + 1][2049];
	struct jwt_keyset set;
};

/* conf_issuer and conf_issuer_key; 0 or -1. Before the box, as OpenSSL reads keys. */
int trust_conf_issuer(void *msg);
int trust_conf_key(void *msg);

/*
 * What the two above get from now on is kept aside; until it counts in place of all that
 * there was (commit), or is thrown away.
 */
void trust_stage(void);
void trust_stage_end(bool commit);

/* The issuer of this kind and name, or NULL. Our own is not among them. */
const struct trust_issuer *trust_find(enum issuer_kind, const char *issuer);
/* Is anybody but ourselves trusted with this kind of token? */
bool trust_any(enum issuer_kind);

/* Grows when one of our keys counts no more: what was verified before has to be again. */
unsigned trust_generation(void);

struct msg_vault_key_set;
struct msg_token_keys;
/* Takes the keys that vault named into judge_keys. 0, or -1: not so. */
int trust_keys_take(const struct msg_vault_key_set *);
/* The same for the token keys alone, when they change by themselves. */
int trust_token_keys(const struct msg_token_keys *);
/* The key of nodes' tokens (RS256); n 0 while there is none. */
const struct jwt_keyset *trust_nodes(void);
/* Takes its modulus. 0 or -1. */
int trust_node_key(struct span modulus);
/* The modulus, for the published key set; len 0 while there is none. */
struct span trust_node_modulus(void);
/* Every second: what verifies no more. */
void trust_tick(uint64_t unix_ms);

/* Our own keys that verify, the newest first; n 0 while vault has not named them. */
const struct jwt_keyset *trust_own(void);

#endif
