/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis vault refresh: vault forgets what it keeps of secrets that live elsewhere. Row
 * first. Judge only.
 */
#include <stdlib.h>
#include <sys/queue.h>

#include "common/proc.h"
#include "common/proto.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/turn.h"

#define VAULT_MS 10000

struct act {
	struct chan *chan; /* NULL: the administrator is gone */
	uint64_t reqid;
	char name[129]; /* of a credential, or "" */
	TAILQ_ENTRY(act) link;
};

static TAILQ_HEAD(, act) acts = TAILQ_HEAD_INITIALIZER(acts);

void
vault_act_gone(const struct chan *c)
{
	struct act *a;

	TAILQ_FOREACH (a, &acts, link)
		if (a->chan == c)
			a->chan = NULL;
}

static void
act_end(struct act *a, uint32_t code, const char *message)
{
	if (a->chan != NULL)
		admin_done(a->chan, a->reqid, code, message);
	TAILQ_REMOVE(&acts, a, link);
	free(a);
}

static void
on_refreshed(struct chan *vault, enum chan_status status, void *msg, void *arg)
{
	const struct msg_vault_done *m = msg;
	char why[257];

	(void)vault;
	if (status == CHAN_OK && m->code == VAULT_OK)
		act_end(arg, ADMIN_OK, "");
	else if (status == CHAN_OK && m->message.len > 0 &&
	    span_copy(m->message, why, sizeof(why)) == 0)
		act_end(arg, ADMIN_FAILED, why);
	else
		act_end(arg, ADMIN_FAILED, "Vault did not answer; try again.");
}

static void
ask_vault(int ok, void *arg)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	const struct act *a = arg;
	MSG_INIT(secrets_refresh, m);

	m.tenant = span_str(judge_conf.tenant);
	m.name = span_str(a->name);
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
	struct act *a;

	if (m->name.len > 0 && credential_by_name(judge_conf.tenant, m->name) == NULL)
		return admin_refuse(c, reqid, "There is no credential named %.*s.",
		    (int)m->name.len, m->name.p);
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return admin_refuse(c, reqid, "out of memory");
	(void)span_copy(m->name, a->name, sizeof(a->name));
	a->chan = c;
	a->reqid = reqid;
	TAILQ_INSERT_TAIL(&acts, a, link);
	admin_ledger(
	    c, &(struct admin_act){.event = "vault.refresh", .credential = m->name});
	turn_then(ask_vault, a);
	return 0;
}
