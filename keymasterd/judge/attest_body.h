/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the body of POST /v1/seal/attest (section 5 of the protocol notes) in all its
 * spellings. Judge only; the body is anybody's.
 */
#ifndef AEGIS_JUDGE_ATTEST_BODY_H
#define AEGIS_JUDGE_ATTEST_BODY_H

#include "common/span.h"
#include "keymasterd/judge/mint.h"

/*
 * JSON to the mint's wid, task ("" when they are absent), row.context and row.public_key.
 * 0, or an enum seal_code with *why, an English text; then wid and context are there as
 * far as they were well-formed, else "".
 */
unsigned attest_body_read(struct span body, struct mint *, const char **why);

#endif
