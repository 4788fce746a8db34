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

/* What the checks need to know of the world. */
struct seal_world {
	uint64_t unix_ms;
	uint64_t mono_ms; /* a clock that nobody sets, for replay marks */
	uint32_t window_s;
	bool compat_spaced;
	const char *issuer, *audience;
	const struct jwt_keyset *keys; /* NULL: vault has not told them yet */
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
	uint8_t mark[32];        /* of this envelope against replay */
	bool marked;             /* new: has to be stored too */
};

/* All checks up to the session's state. 0, or -1 with the refusal filled in. */
int seal_verify(struct seal_envelope *, const void *p, size_t len,
    const struct seal_world *, struct seal_checked *, struct seal_refusal *);

#endif
