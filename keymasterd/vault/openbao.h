/* SPDX-License-Identifier: Apache-2.0 */
/* Where OpenBao is and how to speak with it, as the master says. Runs in vault. */
#ifndef AEGIS_VAULT_OPENBAO_H
#define AEGIS_VAULT_OPENBAO_H

#include <stdint.h>

/* Takes a conf_openbao, before the process is boxed. 0, or -1: given twice, unusable. */
int openbao_configure(void *msg);
/*
 * A conf_openbao of a reload: what can change (the login, the authorities) is kept aside.
 * NULL, or what is wrong. Then it counts, from the next login and connection on, or is
 * thrown away.
 */
const char *openbao_stage(void *msg);
void openbao_stage_end(int commit);
/* Its port, or NULL when the keys are in our own file. */
const uint16_t *openbao_port(void);

#endif
