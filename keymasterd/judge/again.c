/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration once more; see again.h. conf_judge comes first and begins a new
 * collection; nothing of it counts before the master says so. Judge only; the master is
 * trusted, what an operator wrote may be wrong.
 */
#include "keymasterd/judge/again.h"

#include <stdio.h>
#include <string.h>

#include "common/chan.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proto.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/mcp.h"
#include "keymasterd/judge/trust.h"
#include "keymasterd/judge/turn.h"

static struct judge_conf next;
static struct mcp_conf next_mcp;
static bool have;
static char wrong[512]; /* "": it can be used */

static void
complain(struct span what, const char *why)
{
	if (wrong[0] == '\0')
		snprintf(wrong, sizeof(wrong), "%.*s: %s", (int)what.len,
		    what.len > 0 ? what.p : "", why);
}

int
again_conf_judge(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	wrong[0] = '\0';
	have = true;
	next = judge_conf; /* the tenant */
	next_mcp = mcp_conf;
	context_unstage();
	trust_stage();
	hook_stage();
	if (judge_conf_read(msg, &next) == -1)
		complain(span_str("seal"), "a text is too long");
	return 0;
}

int
again_conf_context(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_conf_context *m = msg;
	const char *why = context_stage(m);

	(void)c;
	(void)reqid;
	if (why != NULL)
		complain(m->name, why);
	return 0;
}

int
again_conf_issuer(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_conf_issuer *m = msg;

	(void)c;
	(void)reqid;
	if (trust_conf_issuer(msg) == -1)
		complain(m->issuer, "this issuer cannot be used");
	return 0;
}

int
again_conf_issuer_key(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_conf_issuer_key *m = msg;

	(void)c;
	(void)reqid;
	if (trust_conf_key(msg) == -1)
		complain(m->kid, "this key of an issuer cannot be used");
	return 0;
}

int
again_conf_webhook(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_conf_webhook *m = msg;
	struct span bad;

	(void)c;
	(void)reqid;
	if (hook_events(m->events, &bad) == 0)
		complain(bad, "no event that webhooks are told of");
	else if (hook_configure(msg) == -1)
		complain(m->label, "this webhook cannot be used");
	return 0;
}

int
again_conf_mcp(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	if (mcp_conf_read(msg, &next_mcp) == -1)
		complain(span_str("mcp"), "a text is too long");
	return 0;
}

int
again_check(struct chan *c, uint64_t reqid, void *msg)
{
	MSG_INIT(conf_checked, a);

	(void)msg;
	a.code = wrong[0] != '\0';
	a.message = span_str(wrong);
	return chan_answer(c, reqid, MSG_conf_checked, &a);
}

int
again_apply(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_conf_apply *m = msg;
	bool commit = have && m->commit && wrong[0] == '\0';

	(void)c;
	(void)reqid;
	have = false;
	trust_stage_end(commit);
	if (hook_stage_end(commit) == -1) {
		LOG_ERROR("reload.webhooks", LS("error", store_error(judge_store)));
		loop_stop();
	}
	if (!commit) {
		context_unstage();
		return 0;
	}
	judge_conf = next;
	mcp_conf = next_mcp;
	if (context_apply() == -1) {
		/* memory and database differ: better no judge than one that decides so */
		LOG_ERROR("reload.contexts", LS("error", store_error(judge_store)));
		loop_stop();
	}
	return 0;
}

int
again_reloaded(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_reloaded *m = msg;
	struct ledger_row row = {.kind = LEDGER_SYSTEM,
	    .event = span_str(
		m->code == RELOAD_DONE ? "daemon.reloaded" : "daemon.reload_refused"),
	    .reason = span_str(m->signal ? "SIGHUP" : "administrator"),
	    .detail = m->detail};

	(void)c;
	(void)reqid;
	(void)ledger_append(&row, NULL);
	return 0;
}
