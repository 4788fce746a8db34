/* SPDX-License-Identifier: Apache-2.0 */
/* The master's part in vault's logins to OpenBao. */
#ifndef AEGIS_OPENBAO_H
#define AEGIS_OPENBAO_H

#include <stdint.h>

struct chan;
struct config;

void openbao_setup(const struct config *);
/* vault wants the secret id: a descriptor of it as it is now. Handler of its door. */
int openbao_secret_id(struct chan *, uint64_t reqid, void *msg);

#endif
