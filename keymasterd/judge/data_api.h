/* SPDX-License-Identifier: Apache-2.0 */
/* What dashboards and monitoring ask. Judge only; askers show operators' tokens. */
#ifndef AEGIS_JUDGE_DATA_API_H
#define AEGIS_JUDGE_DATA_API_H

#include "keymasterd/judge/api.h"

/* GET /_aegis/stats and /api/stats: counts of decisions, ?since=. */
void data_counts(struct api_call *);
/* A gate's door is shut: it wants no answer any more. */
void data_gate_gone(const struct chan *);

#endif
