/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis doctor: vault looks at its own token in OpenBao; the answer goes on as it is.
 * Judge only.
 */
#include <stdlib.h>
#include <sys/queue.h>

#include "common/proc.h"
#include "common/proto.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/turn.h"

#define VAULT_MS 20000

struct act {
	struct chan *chan; /* NULL: the administrator is gone */
	uint64_t reqid;
	TAILQ_ENTRY(act) link;
};

static TAILQ_HEAD(, act) acts = TAILQ_HEAD_INITIALIZER(acts);

void
openbao_act_gone(const struct chan *c)
{
	struct act *a;

	TAILQ_FOREACH (a, &acts, link)
		if (a->chan == c)
			a->chan = NULL;
}

static void
on_checked(struct chan *vault, enum chan_status status, void *msg, void *arg)
{
	const struct msg_openbao_checked *m = msg;
	struct act *a = arg;

	(void)vault;
	if (a->chan != NULL && status == CHAN_OK && m->code == VAULT_OK)
		turn_admin_done(a->chan, a->reqid, ADMIN_OK, "", m->json);
	else if (a->chan != NULL)
		admin_done(
		    a->chan, a->reqid, ADMIN_FAILED, "Vault did not answer; try again.");
	TAILQ_REMOVE(&acts, a, link);
	free(a);
}

int
admin_openbao_test(struct chan *c, uint64_t reqid, void *msg)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	struct act *a = calloc(1, sizeof(*a));
	MSG_INIT(openbao_check, m);

	(void)msg;
	if (a == NULL)
		return admin_refuse(c, reqid, "out of memory");
	a->chan = c;
	a->reqid = reqid;
	TAILQ_INSERT_TAIL(&acts, a, link);
	if (vault == NULL ||
	    chan_ask(vault, MSG_openbao_check, &m, VAULT_MS, on_checked, a) == 0) {
		TAILQ_REMOVE(&acts, a, link);
		free(a);
		admin_done(
		    c, reqid, ADMIN_FAILED, "Vault is not running. See `aegis status`.");
	}
	return 0;
}
