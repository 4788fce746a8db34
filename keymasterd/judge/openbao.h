/* SPDX-License-Identifier: Apache-2.0 */
/* What vault says of OpenBao: rows, and a state for those who ask. Judge only. */
#ifndef AEGIS_JUDGE_OPENBAO_H
#define AEGIS_JUDGE_OPENBAO_H

#include <stdint.h>

struct chan;

int openbao_event(struct chan *, uint64_t reqid, void *msg);
/* "none" (embedded, or nothing was said yet), "ready", "refused" or "away". */
const char *openbao_state(void);
/* Why it is not ready, or "". */
const char *openbao_why(void);

#endif
