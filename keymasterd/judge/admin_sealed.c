/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis vault seal and split. Row first. Sealing: nothing is granted from then on, the
 * ledger's head is signed while somebody can, and the master ends all who have secrets.
 * Splitting: vault may, once the row is there. Judge only.
 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/proc.h"
#include "common/proto.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/sealed.h"
#include "keymasterd/judge/turn.h"

#define SEAL_MS 20000
#define SPLIT_MS 10000

/* -- sealing -- */

static void
on_sealed(struct chan *master, enum chan_status status, void *msg, void *arg)
{
	const struct msg_seal_done *m = msg;
	struct ledger_row row = {
	    .kind = LEDGER_SYSTEM, .event = span_str("vault.sealed")};
	char text[257] = "";

	(void)master;
	vault_sealing = 0;
	if (status != CHAN_OK) {
		/* whether or not it happened: nothing is granted before vault says that
		 * it is open */
		act_fail(arg, "The master does not answer; see the log.");
	} else if (m->code != 0) { /* all is as it was */
		sealed_set(0);
		(void)span_copy(m->message, text, sizeof(text));
		act_fail(arg, text);
	} else {
		(void)ledger_append(&row, NULL);
		act_end(arg, ADMIN_OK, "");
	}
}

static void
ask_master(int signed_, const char *why, void *arg)
{
	MSG_INIT(seal_want, m);

	if (signed_ != 0)
		LOG_WARN("vault.seal", LS("checkpoint", why));
	if (proc_master() != NULL &&
	    chan_ask(proc_master(), MSG_seal_want, &m, SEAL_MS, on_sealed, arg) != 0)
		return;
	vault_sealing = 0;
	sealed_set(0);
	act_fail(arg, "The master cannot be asked.");
}

static void
begin_seal(int ok, void *arg)
{
	if (!ok) {
		act_end(arg, ADMIN_FAILED, "The ledger's row could not be written.");
		return;
	}
	vault_sealing = 1;
	sealed_set(1);
	ledger_checkpoint(ask_master, arg);
}

int
admin_vault_seal(struct chan *c, uint64_t reqid, void *msg)
{
	struct act *a;

	(void)msg;
	if (vault_sealed)
		return admin_refuse(c, reqid, "Vault is already sealed.");
	if (sealed_never_split())
		return admin_refuse(c, reqid,
		    "Key splitting is not configured: nobody could unseal it. First: "
		    "aegis vault split");
	if ((a = act_new(c, reqid, "vault.seal", sizeof(*a))) == NULL)
		return 0;
	admin_ledger(c, &(struct admin_act){.event = a->event});
	turn_then(begin_seal, a);
	return 0;
}

/* -- splitting -- */

struct splitting {
	struct act act;
	struct msg_split_allow ask;
};

static void
begin_split(int ok, void *arg)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	struct splitting *s = arg;

	if (!ok)
		act_end(arg, ADMIN_FAILED, "The ledger's row could not be written.");
	else if (vault == NULL ||
	    chan_ask(vault, MSG_split_allow, &s->ask, SPLIT_MS, act_on_vault, s) == 0)
		act_fail(arg, "Vault is not running. See `aegis status`.");
}

int
admin_vault_split(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_vault_split *m = msg;
	MSG_INIT(split_allow, ask);
	struct splitting *s;
	char detail[64];

	if ((s = act_new(c, reqid, "vault.split", sizeof(*s))) == NULL)
		return 0;
	ask.threshold = m->threshold;
	ask.shares = m->shares;
	memcpy(ask.offer, m->offer, sizeof(ask.offer));
	s->ask = ask;
	(void)snprintf(detail, sizeof(detail), "%u of %u", m->threshold, m->shares);
	admin_ledger(
	    c, &(struct admin_act){.event = s->act.event, .detail = span_str(detail)});
	turn_then(begin_split, s);
	return 0;
}
