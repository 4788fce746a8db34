/* SPDX-License-Identifier: Apache-2.0 */
/* What the gate says of itself, without asking anybody. gated. */
#ifndef AEGIS_GATED_HEALTH_H
#define AEGIS_GATED_HEALTH_H

#include "common/chan.h"
#include "gated/req.h"

/* /health: 200, or 503 while the vault is sealed. The request may be gone afterwards. */
void health_answer(struct req *);
/* The judge says whether it is. */
int health_vault_state(struct chan *, uint64_t reqid, void *msg);

#endif
