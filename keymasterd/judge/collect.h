/* SPDX-License-Identifier: Apache-2.0 */
/* Asks every process for its numbers, for whoever wants metrics. Judge only. */
#ifndef AEGIS_JUDGE_COLLECT_H
#define AEGIS_JUDGE_COLLECT_H

#include "keymasterd/judge/api.h"

/* Handler of GET /_aegis/metrics. The answer is a list as in common/metrics.h, in
 * answer_part notes; the gate makes text of it. */
void collect_handle(struct api_call *);
/* What is said ahead of an answer, in pieces; the gate puts them in front of it. */
void collect_parts(const struct decide *, const void *, size_t len);
/* A gate's door is shut: it wants no answer any more. */
void collect_gate_gone(const struct chan *);

#endif
