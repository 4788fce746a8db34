/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis doctor: vault looks at its own token in OpenBao; the answer goes on as it is.
 * Judge only.
 */

#include "common/proc.h"
#include "common/proto.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/turn.h"

#define VAULT_MS 20000

static void
on_checked(struct chan *vault, enum chan_status status, void *msg, void *arg)
{
	const struct msg_openbao_checked *m = msg;

	(void)vault;
	if (status == CHAN_OK && m->code == VAULT_OK)
		act_end_json(arg, ADMIN_OK, "", m->json);
	else
		act_end(arg, ADMIN_FAILED, "Vault did not answer; try again.");
}

int
admin_openbao_test(struct chan *c, uint64_t reqid, void *msg)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	struct act *a = act_new(c, reqid, "openbao.test", sizeof(*a));
	MSG_INIT(openbao_check, m);

	(void)msg;
	if (a != NULL &&
	    (vault == NULL ||
		chan_ask(vault, MSG_openbao_check, &m, VAULT_MS, on_checked, a) == 0))
		act_end(a, ADMIN_FAILED, "Vault is not running. See `aegis status`.");
	return 0;
}
