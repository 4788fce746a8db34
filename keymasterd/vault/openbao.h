/* SPDX-License-Identifier: Apache-2.0 */
/* Where OpenBao is and how to speak with it, as the master says. Runs in vault. */
#ifndef AEGIS_VAULT_OPENBAO_H
#define AEGIS_VAULT_OPENBAO_H

#include <stdint.h>

/* Takes a conf_openbao, before the process is boxed. 0, or -1: given twice, unusable. */
int openbao_configure(void *msg);
/* Its port, or NULL when the keys are in our own file. */
const uint16_t *openbao_port(void);

#endif
