/* SPDX-License-Identifier: Apache-2.0 */
/* What each peer of vault may ask; what is not listed costs it the door. */
#ifndef AEGIS_VAULT_PERMIT_H
#define AEGIS_VAULT_PERMIT_H

#include "common/chan.h"

extern const struct permit permit_vault_master[];
extern const struct permit permit_vault_judge[];
extern const struct permit permit_vault_admin[];
extern const struct permit permit_vault_worker[];
extern const struct permit permit_vault_toolexec[];

#endif
