/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis daemon reload: the master reads its configuration again. Row first; what became
 * of it is a row of the master's word (again.c). Judge only.
 */

#include "common/proc.h"
#include "common/proto.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/turn.h"

#define RELOAD_MS 30000

static void
on_result(struct chan *master, enum chan_status status, void *msg, void *arg)
{
	const struct msg_reload_result *m = msg;
	char text[257] = "";

	(void)master;
	if (status != CHAN_OK) {
		act_end(arg, ADMIN_FAILED, "The master does not answer; see the log.");
		return;
	}
	(void)span_copy(m->message, text, sizeof(text));
	act_end_json(
	    arg, m->code == RELOAD_DONE ? ADMIN_OK : ADMIN_FAILED, text, m->json);
}

static void
ask_master(int ok, void *arg)
{
	MSG_INIT(reload_want, m);

	if (!ok)
		act_end(arg, ADMIN_FAILED, "The ledger's row could not be written.");
	else if (proc_master() == NULL ||
	    chan_ask(proc_master(), MSG_reload_want, &m, RELOAD_MS, on_result, arg) == 0)
		act_end(arg, ADMIN_FAILED, "The master cannot be asked.");
}

int
admin_daemon_reload(struct chan *c, uint64_t reqid, void *msg)
{
	struct act *a = act_new(c, reqid, "daemon.reload", sizeof(*a));

	(void)msg;
	if (a == NULL)
		return 0;
	admin_ledger(c, &(struct admin_act){.event = a->event});
	turn_then(ask_master, a);
	return 0;
}
