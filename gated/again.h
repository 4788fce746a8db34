/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration once more, while the gate runs. Handlers of the master's door. gated.
 */
#ifndef AEGIS_GATED_AGAIN_H
#define AEGIS_GATED_AGAIN_H

#include <stdint.h>

struct chan;

int again_conf_gate(struct chan *, uint64_t reqid, void *msg);
int again_check(struct chan *, uint64_t reqid, void *msg);
int again_apply(struct chan *, uint64_t reqid, void *msg);

#endif
