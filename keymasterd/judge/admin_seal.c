/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administrators' acts on sessions. Judge only; the peer was
 * let in by its user id, its words are checked all the same. JSON:
 *
 *	session_list	row {session, execution, agent, context, state:
 *active|expired|revoked, created_at, expires_at, reason} session_show	done: the record
 *of the sessions API session_create	done: the record and security_token
 */
#include <stdio.h>
#include <string.h>

#include "common/admin_door.h"
#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/api_session.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/mint.h"
#include "keymasterd/judge/session.h"
#include "keymasterd/judge/session_body.h"
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

/* By its id or its execution's; NULL: there is none here. */
static struct session *
find(struct span name)
{
	struct session *s = session_by_id(name);

	if (s == NULL)
		s = session_by_exec(judge_conf.tenant, name);
	return s != NULL && strcmp(s->tenant, judge_conf.tenant) == 0 ? s : NULL;
}

static int
refuse_unknown(struct chan *c, uint64_t reqid, struct span name)
{
	return admin_refuse(c, reqid,
	    "there is no session \"%.*s\"; aegis session list shows them", (int)name.len,
	    name.p);
}

static void
result(struct chan *c, uint64_t reqid, struct jsonw *w)
{
	jsonw_obj_close(w);
	if (jsonw_done(w) != 0)
		admin_done(c, reqid, ADMIN_FAILED, "out of memory");
	else
		admin_result(c, reqid, &out);
}

int
admin_session_show(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_session_show *m = msg;
	const struct session *s = find(m->session);
	struct jsonw w;

	if (s == NULL)
		return refuse_unknown(c, reqid, m->session);
	begin(&w);
	api_session_members(&w, s);
	result(c, reqid, &w);
	return 0;
}

static void
on_created(struct mint *m, struct session *s, struct span token, unsigned code,
    const char *message)
{
	struct jsonw w;

	if (s == NULL) {
		admin_done(m->d.chan, m->d.reqid,
		    code == 503 ? ADMIN_FAILED : ADMIN_REFUSED, message);
		return;
	}
	(void)ledger_append(&m->d.row, NULL);
	begin(&w);
	api_session_members(&w, s);
	jsonw_key(&w, "security_token");
	jsonw_strn(&w, token.p, token.len);
	result(m->d.chan, m->d.reqid, &w);
}

int
admin_session_create(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_session_create *ask = msg;
	struct decide d = {
	    .chan = c, .reqid = reqid, .row = {.kind = LEDGER_ADMIN}, .budget = -1};
	uint64_t now = judge_now_ms() / 1000, expires_s;
	const char *why;
	struct mint *m = mint_new();

	if (m == NULL)
		return admin_refuse(c, reqid, "too many sessions are being made; again");
	why = session_body_read(ask->json, judge_conf.tenant, now, m, &expires_s, &out);
	if (why == NULL && out.len > 0)
		why = "the gate makes the security_token itself here";
	if (why == NULL &&
	    context_find(judge_conf.tenant, span_str(m->row.context)) == NULL)
		why = "there is no such SecurityContext; aegis context list shows them";
	if (why != NULL) {
		mint_free(m);
		return admin_refuse(c, reqid, "%s", why);
	}
	mint_row_for(m, judge_conf.tenant,
	    expires_s > now ? expires_s - now : judge_conf.seal_token_ttl_s);
	(void)span_copy(admin_door_peer(c), m->who, sizeof m->who);
	mint_take(m, &d, admin_door_peer(c), span_str(""));
	m->d.row.method = m->d.row.path = (struct span){NULL, 0};
	m->d.row.event = span_str("session.create");
	m->d.row.agent = span_str(m->row.sub);
	m->done = on_created;
	mint_ask(m);
	return 0;
}

int
admin_session_revoke(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_session_revoke *m = msg;
	struct session *s = find(m->session);
	struct admin_act act = {.event = "SessionRevoked", .session = m->session};
	const struct agent *agent;
	char reason[129];

	if (s == NULL)
		return refuse_unknown(c, reqid, m->session);
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
