/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether an envelope is what a living session sent, once, now. The order of checks is
 * the protocol's (section 6.1 of its notes), freshness before the signature. Judge only.
 */
#ifndef AEGIS_JUDGE_SEAL_VERIFY_H
#define AEGIS_JUDGE_SEAL_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/jwt.h"
#include "keymasterd/judge/seal_envelope.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/session.h"

struct replay;
struct trust_issuer;

/* What the checks need to know of the world. */
struct seal_world {
	uint64_t unix_ms;
	uint64_t mono_ms; /* a clock that nobody sets, for replay marks */
	uint32_t window_s;
	bool compat_spaced;
	const char *issuer, *audience;
	const struct jwt_keyset *keys; /* our own; NULL: vault has not told them yet */
	uint32_t leeway_s;             /* of our own tokens */
	bool jti_once;
	unsigned generation; /* trust_generation() */
	struct replay *replay;
};

/* How far the checks came, for the ledger. */
enum seal_stage {
	SEAL_STAGE_FORM,    /* nothing is known */
	SEAL_STAGE_SESSION, /* the session exists; nobody proved to be it */
	SEAL_STAGE_SIGNED   /* the session's key signed this */
};

struct seal_checked {
	enum seal_stage stage;
	struct session *session; /* from SEAL_STAGE_SESSION on */
	bool own_token;          /* it is the token that the session began with */
	int64_t expired_at;      /* of a refusal for a token that is over; else 0 */
};

/* What a token turned out to be. */
struct seal_token {
	const struct trust_issuer *issuer; /* NULL: ourselves */
	int64_t exp, ends;                 /* ends: with leeway */
};

/*
 * Signature, issuer, audience and times of a security token; whom it is for is not looked
 * at. Its claims are in `t` afterwards. 0, or -1 with the refusal filled in.
 */
int seal_token_check(const char *text, size_t len, const struct seal_world *,
    struct jwt *t, struct seal_token *, struct seal_refusal *);

/* What keeps an envelope's bytes from being accepted twice. */
void seal_mark(struct span session_id, const uint8_t signature[64], uint8_t mark[32]);

/* Reasons of refusals between the signature and the mark; EXPIRED_AT begins one. */
#define SEAL_UNMARKED_EXPIRED "token_expired"
#define SEAL_UNMARKED_EXPIRED_AT "expired_at "
#define SEAL_UNMARKED_REFUSED "token_refused"
#define SEAL_UNMARKED_KEYS "no_token_keys"
/* Is this a row's detail for one of them? */
bool seal_unmarked(struct span detail);

/* All checks up to the session's state. 0, or -1 with the refusal filled in. */
int seal_verify(struct seal_envelope *, const void *p, size_t len,
    const struct seal_world *, struct seal_checked *, struct seal_refusal *);

#endif
