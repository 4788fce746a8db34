/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis daemon reload: the master reads its configuration again. Row first; what became
 * of it is a row of the master's word (again.c). Judge only.
 */
#include <stdlib.h>
#include <sys/queue.h>

#include "common/proc.h"
#include "common/proto.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/turn.h"

#define RELOAD_MS 30000

struct act {
	struct chan *chan; /* NULL: the administrator is gone */
	uint64_t reqid;
	TAILQ_ENTRY(act) link;
};

static TAILQ_HEAD(, act) acts = TAILQ_HEAD_INITIALIZER(acts);

void
reload_act_gone(const struct chan *c)
{
	struct act *a;

	TAILQ_FOREACH (a, &acts, link)
		if (a->chan == c)
			a->chan = NULL;
}

static void
act_end(struct act *a, uint32_t code, const char *message, struct span json)
{
	if (a->chan != NULL)
		turn_admin_done(a->chan, a->reqid, code, message, json);
	TAILQ_REMOVE(&acts, a, link);
	free(a);
}

static void
on_result(struct chan *master, enum chan_status status, void *msg, void *arg)
{
	static const struct span none = {"", 0};
	const struct msg_reload_result *m = msg;
	char text[257] = "";

	(void)master;
	if (status != CHAN_OK) {
		act_end(
		    arg, ADMIN_FAILED, "The master does not answer; see the log.", none);
		return;
	}
	(void)span_copy(m->message, text, sizeof(text));
	act_end(arg, m->code == RELOAD_DONE ? ADMIN_OK : ADMIN_FAILED, text, m->json);
}

static void
ask_master(int ok, void *arg)
{
	MSG_INIT(reload_want, m);
	static const struct span none = {"", 0};

	if (!ok)
		act_end(
		    arg, ADMIN_FAILED, "The ledger's row could not be written.", none);
	else if (proc_master() == NULL ||
	    chan_ask(proc_master(), MSG_reload_want, &m, RELOAD_MS, on_result, arg) == 0)
		act_end(arg, ADMIN_FAILED, "The master cannot be asked.", none);
}

int
admin_daemon_reload(struct chan *c, uint64_t reqid, void *msg)
{
	struct act *a = calloc(1, sizeof(*a));

	(void)msg;
	if (a == NULL)
		return admin_refuse(c, reqid, "out of memory");
	a->chan = c;
	a->reqid = reqid;
	TAILQ_INSERT_TAIL(&acts, a, link);
	admin_ledger(c, &(struct admin_act){.event = "daemon.reload"});
	turn_then(ask_master, a);
	return 0;
}
