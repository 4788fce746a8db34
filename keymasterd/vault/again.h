/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration once more, while vault runs. Handlers of the master's door. */
#ifndef AEGIS_VAULT_AGAIN_H
#define AEGIS_VAULT_AGAIN_H

#include <stdint.h>

struct chan;

int again_conf_openbao(struct chan *, uint64_t reqid, void *msg);
int again_conf_webhook_secret(struct chan *, uint64_t reqid, void *msg);
int again_check(struct chan *, uint64_t reqid, void *msg);
int again_apply(struct chan *, uint64_t reqid, void *msg);

#endif
