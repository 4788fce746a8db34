/* SPDX-License-Identifier: Apache-2.0 */
/* AccessContext rows: who got which secret, from vault's notes. Judge only. */
#ifndef AEGIS_JUDGE_ACCESS_H
#define AEGIS_JUDGE_ACCESS_H

#include <stdint.h>

struct chan;

/* Handler of permit.c. */
int access_context(struct chan *, uint64_t reqid, void *msg);

#endif
