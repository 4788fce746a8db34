/* SPDX-License-Identifier: Apache-2.0 */
/* Attestation: an agent shows who it is and gets a session for its key. Judge only. */
#ifndef AEGIS_JUDGE_ATTEST_H
#define AEGIS_JUDGE_ATTEST_H

#include "keymasterd/judge/api.h"

struct token;

/* POST /v1/seal/attest; answers when vault has signed. */
void attest_handle(struct api_call *);
/* The token that the request carries, and its agent; NULL with the reason. */
struct token *attest_token(const struct msg_api_request *, const char **why);
struct agent *attest_agent(const struct msg_api_request *, const char **why);
/* Nobody counts attestations of a removed agent any more. */
void attest_agent_gone(const char *agent_id);

#endif
