/* SPDX-License-Identifier: Apache-2.0 */
/* What each peer may ask of gated, as edges.def names it. */
#ifndef AEGIS_GATED_PERMIT_H
#define AEGIS_GATED_PERMIT_H

#include "common/chan.h"

extern const struct permit permit_gate_master[];
extern const struct permit permit_gate_judge[];
extern const struct permit permit_api_judge[];
extern const struct permit permit_gate_worker[];
extern const struct permit permit_gate_toolhost[];

#endif
