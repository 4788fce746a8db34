/* SPDX-License-Identifier: Apache-2.0 */
/* What `aegis doctor` wants to know of OpenBao. Runs in vault. */
#ifndef AEGIS_VAULT_BAO_CHECK_H
#define AEGIS_VAULT_BAO_CHECK_H

#include <stdbool.h>
#include <stdint.h>

struct chan;

/* Handler of the judge's door: openbao_check. */
int serve_openbao_check(struct chan *, uint64_t reqid, void *msg);
/* How it is reached; before the loop runs. */
void bao_check_setup(bool tls, const char *host);

#endif
