/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administrators' acts on sessions. Judge only; the peer was
 * let in by its user id, its words are checked all the same. JSON:
 *
 *	session_list	row {session, execution, agent, context, state:
 *active|expired|revoked, created_at, expires_at, reason}
 */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/session.h"
#include "keymasterd/judge/tools.h"
#include "keymasterd/judge/turn.h"

static struct buf out;

static void
key_time(struct jsonw *w, const char *name, uint64_t ms)
{
	char text[RFC3339_SIZE];

	if (ms != 0 && rfc3339_format((int64_t)(ms / 1000), 0, 0, text, sizeof text) > 0)
		jsonw_key_str(w, name, text);
}

static void
begin(struct jsonw *w)
{
	buf_reset(&out);
	jsonw_init(w, &out);
	jsonw_obj_open(w);
}

/* ---- sessions ---- */

static const char *
state_name(const struct session *s)
{
	if (s->state == SESSION_REVOKED)
		return "revoked";
	return s->expires_ms > judge_now_ms() ? "active" : "expired";
}

int
admin_session_list(struct chan *c, uint64_t reqid, void *msg)
{
	const struct session *s;
	const struct agent *agent;
	struct jsonw w;

	(void)msg;
	TAILQ_FOREACH (s, &sessions, link) {
		if (strcmp(s->tenant, judge_conf.tenant) != 0)
			continue;
		agent = agent_by_id(s->tenant, s->agent_id);
		begin(&w);
		jsonw_key_str(&w, "session", s->id);
		jsonw_key_str(&w, "execution", s->exec_id);
		jsonw_key_str(&w, "agent", agent != NULL ? agent->row.name : s->sub);
		jsonw_key_str(&w, "context", s->context);
		jsonw_key_str(&w, "state", state_name(s));
		key_time(&w, "created_at", s->created_ms);
		key_time(&w, "expires_at", s->expires_ms);
		if (s->reason[0] != '\0')
			jsonw_key_str(&w, "reason", s->reason);
		jsonw_obj_close(&w);
		if (admin_row(c, reqid, &out) != 0)
			break;
	}
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

int
admin_session_revoke(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_session_revoke *m = msg;
	struct session *s = session_by_id(m->session);
	struct admin_act act = {.event = "SessionRevoked", .session = m->session};
	const struct agent *agent;
	char reason[129];

	if (s == NULL)
		s = session_by_exec(judge_conf.tenant, m->session);
	if (s == NULL || strcmp(s->tenant, judge_conf.tenant) != 0)
		return admin_refuse(c, reqid, "there is no session \"%.*s\"",
		    (int)m->session.len, m->session.p);
	if (s->state == SESSION_REVOKED)
		return admin_refuse(c, reqid, "the session was revoked already");
	if (span_copy(m->reason, reason, sizeof reason) != 0 || reason[0] == '\0')
		(void)span_copy(span_str("by an administrator"), reason, sizeof reason);
	agent = agent_by_id(s->tenant, s->agent_id);
	act.session = span_str(s->id);
	act.exec = span_str(s->exec_id);
	act.agent = span_str(agent != NULL ? agent->row.name : s->sub);
	act.context = span_str(s->context);
	act.reason = span_str(reason);
	admin_ledger(c, &act);
	session_revoke(s, reason);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}
