/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what an operator or an administrator says of a session that is to begin: the body
 * of POST /v1/seal/sessions (section 7 of the protocol notes), both spellings of its
 * members. Judge only.
 */
#ifndef AEGIS_JUDGE_SESSION_BODY_H
#define AEGIS_JUDGE_SESSION_BODY_H

#include <stdint.h>

#include "common/buf.h"
#include "common/span.h"
#include "keymasterd/judge/mint.h"

/*
 * JSON to the mint's row (exec_id, sub, context, public_key, patterns), wid ("" when it
 * is absent) and task. expires_s: when it is to end, in seconds since 1970, 0 when that
 * is left to us. token: the caller's own, empty when there is none. NULL, or what is
 * wrong, in English.
 */
const char *session_body_read(struct span body, const char *tenant, uint64_t now_s,
    struct mint *, uint64_t *expires_s, struct buf *token);

#endif
