/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that vault signs: tokens of agents and of operators made from typed claims, and
 * checkpoints of the ledger. The octets are built here, never taken from a message. Runs
 * in vault.
 */
#ifndef AEGIS_VAULT_SIGN_H
#define AEGIS_VAULT_SIGN_H

#include "common/msg.h"
#include "keymasterd/vault/provider.h"

struct buf;

#define SIGN_TOKEN_MAX 4096     /* characters */
#define SIGN_LIFETIME_MAX 86400 /* seconds */
#define SIGN_NODE_LIFETIME_MAX 3600
#define SIGN_CLOCK_SLACK 60 /* seconds iat may be ahead of our clock */
#define SIGN_KID_LEN 16
#define SIGN_KID_SIZE (SIGN_KID_LEN + 1)
#define SIGN_CHECKPOINT_MAX 320

/* Audiences that no agent's token has, so that tokens are never mistaken. */
#define SIGN_AUD_OPERATORS "aegis-operators"
#define SIGN_AUD_NODES "aegis-nodes"

/* Key id: the first 16 hexadecimal digits of SHA-256 over the public key, with NUL. */
void sign_kid(const uint8_t *public_key, char kid[SIGN_KID_SIZE]);

/*
 * Appends to an empty buffer what has to be signed for a token (RFC 7515, 8037) with
 * these claims: header and claims, which name the provider's token key of this turn.
 * NULL, or why it was refused. `now` is our Unix time in seconds.
 */
const char *sign_token(const struct vault_provider *, const struct msg_token_sign *,
    uint64_t now, struct buf *input);

/* The same for an operator's token: its audience is fixed, its role one of ours. */
const char *sign_operator(const struct vault_provider *, const struct msg_operator_sign *,
    uint64_t now, struct buf *input);

/* Makes the compact JWT of what was signed. 0, or -1 without memory. */
int sign_token_end(struct buf *token, const uint8_t *signature, size_t len);

/* The same for a node's token, which the node key signs (RS256); its key id. */
const char *sign_node(const struct msg_node_sign *, const uint8_t modulus[VAULT_RSA_LEN],
    uint64_t now, struct buf *input);
void sign_node_kid(const uint8_t modulus[VAULT_RSA_LEN], char kid[SIGN_KID_SIZE]);

/*
 * Appends the text of doc/design.md, "The ledger", for VAULT_KEY_LEDGER to sign. One
 * process signs for one chain, never a smaller row number than before and never two heads
 * or roots for one number, so whoever captures the judge cannot have a shortened or
 * rewritten ledger sealed. NULL, or why it was refused.
 */
const char *sign_checkpoint(const struct msg_checkpoint_sign *, struct buf *text);

#endif
