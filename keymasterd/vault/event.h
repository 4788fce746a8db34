/* SPDX-License-Identifier: Apache-2.0 */
/* What happens between vault and OpenBao, told to the judge. Runs in vault. */
#ifndef AEGIS_VAULT_EVENT_H
#define AEGIS_VAULT_EVENT_H

#include "common/proto.h"

/* Tells it, or keeps it until the judge is there. No secrets in detail. */
void event_tell(enum openbao_event, const char *detail);
/* The judge's door is open. */
void event_flush(void);

#endif
