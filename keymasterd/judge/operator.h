/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People behind the API: who shows which token, and what it allows (section 12 of the
 * protocol notes). Judge only.
 */
#ifndef AEGIS_JUDGE_OPERATOR_H
#define AEGIS_JUDGE_OPERATOR_H

#include <stdint.h>

#include "common/chan.h"
#include "common/proto.h"
#include "common/span.h"
#include "keymasterd/judge/store.h"

struct operator_who {
	enum operator_role role;
	char tenant[STORE_TENANT_MAX];
	char name[129]; /* the token's sub, or the user's name */
	/* by what it is found out later whether the token still counts */
	bool is_user;
	uint8_t hash[STORE_HASH_LEN]; /* of a user's token */
	char jti[STORE_ID_MAX];       /* of one of our own; else "" */
	uint64_t until_s;             /* Unix seconds; 0: no end */
	unsigned generation;          /* trust_generation() when it was read */
};

/*
 * Reads an Authorization field. A token of our own has the audience aegis-operators,
 * others come from operators.jwks_file; what an agent holds is neither. 0; 401 or 403
 * with *why, an English text; or 503 when our own keys are not there yet.
 */
unsigned operator_read(
    struct span authorization, struct operator_who *, const char **why);
/* Does the token that was read then still count? One that would have to be verified again
 * does not. */
bool operator_counts(const struct operator_who *);

/* "readonly", "operator", "admin". */
const char *operator_role_name(enum operator_role);

/* Handler: the command line wants a token. */
int admin_operator_token(struct chan *, uint64_t reqid, void *msg);
/* Handlers: tokens that are good, and to end some (admin_operator_list.c). */
int admin_operator_list(struct chan *, uint64_t reqid, void *msg);
int admin_operator_revoke(struct chan *, uint64_t reqid, void *msg);
/* Handlers: keys of tokens (admin_key.c). */
int admin_token_key_rotate(struct chan *, uint64_t reqid, void *msg);
int admin_token_key_list(struct chan *, uint64_t reqid, void *msg);

#endif
