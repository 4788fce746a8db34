/* SPDX-License-Identifier: Apache-2.0 */
/* What vault says of its leases: rows for the ledger, counts, a list. Runs in vault. */
#ifndef AEGIS_VAULT_LEASE_REPORT_H
#define AEGIS_VAULT_LEASE_REPORT_H

#include <stdint.h>

#include "common/proto.h"
#include "keymasterd/vault/lease_table.h"

#define LEASE_NAME_SIZE 33

/* A lease's name in rows and lists: the beginning of its id's SHA-256, or "". */
void lease_name(const struct lease *, char name[LEASE_NAME_SIZE]);
/* A row of the ledger: it was renewed or revoked, or that failed (why). */
void lease_report(
    const struct lease *, enum access_act, enum vault_code, const char *why);
/* Some count has changed; the judge hears of it within a moment. */
void lease_report_changed(void);
void lease_report_close(void);

#endif
