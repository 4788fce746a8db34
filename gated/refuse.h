/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gated refuses by itself. The judge writes the row and words the answer; only when
 * there is no judge the gate words one.
 */
#ifndef AEGIS_GATED_REFUSE_H
#define AEGIS_GATED_REFUSE_H

#include "common/proto.h"
#include "gated/req.h"

/*
 * Gives up the request and answers with a refusal. `detail` is for the row and the agent.
 * The request given may be gone afterwards.
 */
void refuse(struct req *, enum refusal, unsigned status, const char *detail);
/* A head that is no head: err is the parser's; [p, p+len) where it began. */
void refuse_head(struct conn *, int err, const char *p, size_t len);
/* The agent took too long with its head. */
void refuse_slow_head(struct conn *, const char *p, size_t len);
/* The judge cannot answer: status is 503 unless the request itself was wrong. */
void refuse_alone(struct req *, unsigned status);

#endif
