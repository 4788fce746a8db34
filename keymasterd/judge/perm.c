/* SPDX-License-Identifier: Apache-2.0 */
/* Permissions of roles; see perm.h. Judge only. */
#include "keymasterd/judge/perm.h"

#include <stdio.h>

#include "keymasterd/judge/ledger.h"

#define R (1u << OPERATOR_READONLY)
#define O (1u << OPERATOR_OPERATOR)
#define A (1u << OPERATOR_ADMIN)

static const struct {
	const char *name;
	unsigned roles;
} table[PERM_COUNT] = {
    [PERM_VAULT_READ] = {"vault:read", R | O | A},
    [PERM_VAULT_WRITE] = {"vault:write", A},
    [PERM_VAULT_MANAGE] = {"vault:manage", A},
    [PERM_AGENT_READ] = {"agent:read", O | A},
    [PERM_AGENT_WRITE] = {"agent:write", O | A},
    [PERM_LEDGER_READ] = {"ledger:read", R | O | A},
    [PERM_LEDGER_EXPORT] = {"ledger:export", O | A},
    [PERM_GATE_START] = {"gate:start", O | A},
    [PERM_POLICY_READ] = {"policy:read", O | A},
    [PERM_POLICY_WRITE] = {"policy:write", A},
    [PERM_WEBHOOK_READ] = {"webhook:read", O | A},
    [PERM_WEBHOOK_WRITE] = {"webhook:write", A},
    [PERM_USER_READ] = {"user:read", A},
    [PERM_USER_WRITE] = {"user:write", A},
    [PERM_DASHBOARD_VIEW] = {"dashboard:view", R | O | A},
    [PERM_DOCTOR_RUN] = {"doctor:run", R | O | A},
};

const char *
perm_name(enum permission p)
{
	return table[p].name;
}

bool
perm_role_has(enum operator_role role, enum permission p)
{
	return role >= OPERATOR_READONLY && role <= OPERATOR_ADMIN &&
	    (table[p].roles & 1u << role) != 0;
}

int
api_require(struct api_call *c, enum permission p, struct operator_who *op)
{
	struct decide *d = c->d;
	const char *why = NULL;
	char message[128];
	unsigned status;

	if ((status = operator_read(c->m->authorization, op, &why)) != 0) {
		d->budget = LEDGER_CAUSE_ATTEST;
		d->row.event = span_str("operator.refused");
		if (status == 401)
			d->headers = "WWW-Authenticate: Bearer\r\n";
		api_refuse(d, status, why);
		return -1;
	}
	c->op = op;
	c->tenant = op->tenant;
	d->row.oper = span_str(op->name);
	d->row.tenant = span_str(c->tenant);
	if (!perm_role_has(op->role, p)) {
		(void)snprintf(message, sizeof(message),
		    "Permission denied. Role \"%s\" does not have \"%s\".",
		    operator_role_name(op->role), perm_name(p));
		api_refuse(d, 403, message);
		return -1;
	}
	return 0;
}
