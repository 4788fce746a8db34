/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people may do, in sixteen permissions, and which of them a role has. The one place
 * where endpoints of the data API ask whether somebody may. Judge only.
 */
#ifndef AEGIS_JUDGE_PERM_H
#define AEGIS_JUDGE_PERM_H

#include "keymasterd/judge/api.h"

enum permission {
	PERM_VAULT_READ,
	PERM_VAULT_WRITE,
	PERM_VAULT_MANAGE,
	PERM_AGENT_READ,
	PERM_AGENT_WRITE,
	PERM_LEDGER_READ,
	PERM_LEDGER_EXPORT,
	PERM_GATE_START,
	PERM_POLICY_READ,
	PERM_POLICY_WRITE,
	PERM_WEBHOOK_READ,
	PERM_WEBHOOK_WRITE,
	PERM_USER_READ,
	PERM_USER_WRITE,
	PERM_DASHBOARD_VIEW,
	PERM_DOCTOR_RUN,
	PERM_COUNT
};

/* "vault:read" and so on. */
const char *perm_name(enum permission);
/* May a role do it? */
bool perm_role_has(enum operator_role, enum permission);

/*
 * Lets the asker of a question go on if its token's role has the permission: 0, with
 * op, c->tenant and the row's operator filled in. Else the question is answered (401, 403
 * or 503, in the ledger), and -1.
 */
int api_require(struct api_call *, enum permission, struct operator_who *op);

#endif
