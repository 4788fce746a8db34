/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis vault refresh: vault forgets what it keeps of secrets that live elsewhere. Row
 * first. Judge only.
 */
#include "common/proc.h"
#include "common/proto.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/turn.h"

#define VAULT_MS 10000

struct refresh {
	struct act act;
	char name[129]; /* of a credential, or "" */
};

static void
on_refreshed(struct chan *vault, enum chan_status status, void *msg, void *arg)
{
	const struct msg_vault_done *m = msg;

	(void)vault;
	if (status != CHAN_OK)
		act_end(arg, ADMIN_FAILED, "Vault did not answer; try again.");
	else if (m->code != VAULT_OK)
		act_end(arg, ADMIN_FAILED, act_vault_why(m));
	else
		act_end(arg, ADMIN_OK, "");
}

static void
ask_vault(int ok, void *arg)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	const struct refresh *r = arg;
	MSG_INIT(secrets_refresh, m);

	m.tenant = span_str(judge_conf.tenant);
	m.name = span_str(r->name);
	if (!ok)
		act_end(arg, ADMIN_FAILED, "The ledger's row could not be written.");
	else if (vault == NULL ||
	    chan_ask(vault, MSG_secrets_refresh, &m, VAULT_MS, on_refreshed, arg) == 0)
		act_end(arg, ADMIN_FAILED, "Vault is not running. See `aegis status`.");
}

int
admin_vault_refresh(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_vault_refresh *m = msg;
	struct refresh *r;

	if (m->name.len > 0 && credential_by_name(judge_conf.tenant, m->name) == NULL)
		return admin_refuse(c, reqid,
		    "There is no credential named %.*s. See them with: aegis vault list",
		    (int)m->name.len, m->name.p);
	if ((r = act_new(c, reqid, "vault.refresh", sizeof(*r))) == NULL)
		return 0;
	(void)span_copy(m->name, r->name, sizeof(r->name));
	admin_ledger(
	    c, &(struct admin_act){.event = r->act.event, .credential = m->name});
	turn_then(ask_vault, r);
	return 0;
}
