/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis vault encrypt and decrypt: who may is asked here, the octets go to vault and back
 * without the judge. Row first; then vault is told that what the administrator wants of
 * it may be done. Judge only.
 */
#include <stdio.h>

#include "common/proc.h"
#include "common/proto.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/turn.h"

#define VAULT_MS 10000

struct use {
	struct act act;
	enum board_act what;
	char tenant[65], object[257];
	uint8_t offer[16];
};

static void
ask_vault(int ok, void *arg)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	const struct use *u = arg;
	MSG_INIT(board_confirm, m);

	m.tenant = span_str(u->tenant);
	m.object = span_str(u->object);
	m.act = (uint8_t)u->what;
	memcpy(m.offer, u->offer, sizeof(m.offer));
	if (!ok)
		act_end(arg, ADMIN_FAILED, "The ledger's row could not be written.");
	else if (vault == NULL ||
	    chan_ask(vault, MSG_board_confirm, &m, VAULT_MS, act_on_vault, arg) == 0)
		act_fail(arg, "Vault is not running. See `aegis status`.");
}

int
admin_board_use(struct chan *c, uint64_t reqid, void *msg)
{
	static const char *const events[] = {[BOARD_ENCRYPT] = "vault.encrypt",
	    [BOARD_ENCRYPT_NEW_KEY] = "vault.encrypt",
	    [BOARD_DECRYPT] = "vault.decrypt"};
	const struct msg_board_use *m = msg;
	const char *why = check_identifier(m->tenant, 64);
	char detail[400];
	struct use *u;

	if (why != NULL)
		return admin_refuse(c, reqid, "The tenant's name %s.", why);
	if (m->object.len == 0 || m->act < BOARD_ENCRYPT || m->act > BOARD_DECRYPT)
		return admin_refuse(c, reqid,
		    "Name the object that it is for, and whether to encrypt or decrypt.");
	if ((u = act_new(c, reqid, events[m->act], sizeof(*u))) == NULL)
		return 0;
	u->what = m->act;
	(void)span_copy(m->tenant, u->tenant, sizeof(u->tenant));
	(void)span_copy(m->object, u->object, sizeof(u->object));
	memcpy(u->offer, m->offer, sizeof(u->offer));
	(void)snprintf(detail, sizeof(detail), "blackboard %s of %s%s", u->object,
	    u->tenant, m->act == BOARD_ENCRYPT_NEW_KEY ? "; new key" : "");
	admin_ledger(
	    c, &(struct admin_act){.event = u->act.event, .detail = span_str(detail)});
	turn_then(ask_vault, u);
	return 0;
}
