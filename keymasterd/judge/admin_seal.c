/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administrators' acts on SecurityContexts, sessions and tools. Judge only; the peer was
 * let in by its user id, its words are checked all the same. JSON:
 *
 *	context_list	row {name, origin: built-in|configuration|administrator, version,
 *			description, capabilities, deny_list, updated_at, sessions}
 *	context_show	done: the context as it was given
 *	context_put	done {name, version}
 *	context_test	done {allowed, code, reason, server}
 *	session_list	row {session, execution, agent, context, state:
 *active|expired|revoked, created_at, expires_at, reason} tool_list	row {server,
 *state, message, capabilities[], tools[]}
 */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/context_eval.h"
#include "keymasterd/judge/context_table.h"
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

static int
finish(struct chan *c, uint64_t reqid, struct jsonw *w)
{
	jsonw_obj_close(w);
	if (jsonw_done(w) != 0)
		return admin_refuse(c, reqid, "the answer could not be written");
	admin_result(c, reqid, &out);
	return 0;
}

/* ---- contexts ---- */

int
admin_context_put(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_context_put *m = msg;
	struct admin_act act = {.event = "context.put"};
	struct store_context row = {.version = 1, .json = m->json};
	struct context_entry *old;
	struct context *rules;
	char err[256], detail[32];
	struct jsonw w;

	rules = context_parse(m->json.p, m->json.len, err, sizeof err);
	if (rules == NULL)
		return admin_refuse(c, reqid, "%s", err);
	old = context_find(judge_conf.tenant, span_str(rules->name));
	if (old != NULL && old->origin == CONTEXT_CONFIGURED) {
		admin_refuse(c, reqid, "\"%s\" is in the configuration: change it there",
		    rules->name);
		context_free(rules);
		return 0;
	}
	if (old != NULL && !m->replace) {
		admin_refuse(c, reqid,
		    "there is a context \"%s\" already: say that you want it "
		    "replaced",
		    rules->name);
		context_free(rules);
		return 0;
	}
	if (old != NULL && old->origin == CONTEXT_MADE)
		row.version = old->version + 1;
	(void)span_copy(span_str(judge_conf.tenant), row.tenant, sizeof row.tenant);
	(void)span_copy(span_str(rules->name), row.name, sizeof row.name);
	row.updated_ms = judge_now_ms();
	snprintf(detail, sizeof detail, "version %u", row.version);
	act.context = span_str(row.name);
	act.detail = span_str(detail);
	admin_ledger(c, &act);
	turn_touched();
	if (context_enter(row.tenant, CONTEXT_MADE, rules, m->json, row.version,
		row.updated_ms) == NULL)
		return admin_refuse(c, reqid, "out of memory");
	if (store_context_put(judge_store, &row) != 0)
		return admin_refuse(
		    c, reqid, "the database: %s", store_error(judge_store));
	begin(&w);
	jsonw_key_str(&w, "name", row.name);
	jsonw_key_int(&w, "version", row.version);
	return finish(c, reqid, &w);
}

static const char *
origin_name(enum context_origin o)
{
	switch (o) {
	case CONTEXT_BUILTIN:
		return "built-in";
	case CONTEXT_CONFIGURED:
		return "configuration";
	case CONTEXT_MADE:
		return "administrator";
	}
	return "";
}

/* Sessions under this context that may still call. */
static unsigned
living_sessions(const struct context_entry *e)
{
	const struct session *s;
	unsigned n = 0;

	TAILQ_FOREACH (s, &sessions, link)
		if (s->state == SESSION_ACTIVE && s->expires_ms > judge_now_ms() &&
		    strcmp(s->context, e->name) == 0 &&
		    context_find(s->tenant, span_str(s->context)) == e)
			n++;
	return n;
}

int
admin_context_list(struct chan *c, uint64_t reqid, void *msg)
{
	const struct context_entry *e;
	struct jsonw w;

	(void)msg;
	TAILQ_FOREACH (e, &context_entries, link) {
		if (context_find(judge_conf.tenant, span_str(e->name)) != e)
			continue; /* another tenant's, or one of the same name stands
				     before */
		begin(&w);
		jsonw_key_str(&w, "name", e->name);
		jsonw_key_str(&w, "origin", origin_name(e->origin));
		if (e->origin == CONTEXT_MADE)
			jsonw_key_int(&w, "version", e->version);
		jsonw_key_str(&w, "description", e->rules->description);
		jsonw_key_int(&w, "capabilities", (int64_t)e->rules->ncaps);
		jsonw_key_int(&w, "deny_list", (int64_t)e->rules->ndeny);
		key_time(&w, "updated_at", e->updated_ms);
		jsonw_key_int(&w, "sessions", living_sessions(e));
		jsonw_obj_close(&w);
		if (admin_row(c, reqid, &out) != 0)
			break;
	}
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

static struct context_entry *
entry_or_refusal(struct chan *c, uint64_t reqid, struct span name)
{
	struct context_entry *e = context_find(judge_conf.tenant, name);

	if (e == NULL)
		admin_refuse(
		    c, reqid, "there is no context \"%.*s\"", (int)name.len, name.p);
	return e;
}

int
admin_context_show(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_context_show *m = msg;
	const struct context_entry *e = entry_or_refusal(c, reqid, m->name);

	if (e == NULL)
		return 0;
	buf_reset(&out);
	if (buf_put(&out, e->json, e->json_len) != 0)
		return admin_refuse(c, reqid, "out of memory");
	admin_result(c, reqid, &out);
	return 0;
}

int
admin_context_remove(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_context_remove *m = msg;
	struct admin_act act = {.event = "context.remove", .context = m->name};
	struct context_entry *e = entry_or_refusal(c, reqid, m->name);

	if (e == NULL)
		return 0;
	if (e->origin == CONTEXT_CONFIGURED)
		return admin_refuse(
		    c, reqid, "\"%s\" is in the configuration: remove it there", e->name);
	if (e->origin == CONTEXT_BUILTIN)
		return admin_refuse(c, reqid,
		    "\"%s\" is built in: it can be replaced, for example by one without "
		    "capabilities",
		    e->name);
	admin_ledger(c, &act);
	turn_touched();
	if (store_context_delete(judge_store, e->tenant, e->name) != 0)
		return admin_refuse(
		    c, reqid, "the database: %s", store_error(judge_store));
	session_context_removed(e->tenant, e->name);
	context_remove_entry(e);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

int
admin_context_test(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_context_test *m = msg;
	const struct context_entry *e = entry_or_refusal(c, reqid, m->name);
	struct context_call call = {.tool = m->tool};
	const struct tool_server *server = tool_route(m->tool);
	struct context_verdict v;
	struct json_doc doc;
	struct jsonw w;
	char why[64];

	if (e == NULL)
		return 0;
	json_init(&doc);
	if (json_parse(&doc, m->arguments.len == 0 ? "{}" : m->arguments.p,
		m->arguments.len == 0 ? 2 : m->arguments.len, NULL) != JSON_OK ||
	    json_type(&doc, json_root(&doc)) != JT_OBJECT) {
		json_free(&doc);
		return admin_refuse(c, reqid, "the arguments must be a JSON object");
	}
	call.doc = &doc;
	call.args = json_root(&doc);
	context_eval(e->rules, &call, NULL, NULL, &v);
	json_free(&doc);
	begin(&w);
	jsonw_key_bool(&w, "allowed", v.allowed);
	if (v.allowed)
		snprintf(why, sizeof why, "capabilities[%zu] allows it", v.cap);
	else
		jsonw_key_int(&w, "code", v.code);
	jsonw_key_str(&w, "reason", v.allowed ? why : v.why);
	if (v.allowed)
		jsonw_key_str(&w, "server", server == NULL ? NULL : server->name);
	return finish(c, reqid, &w);
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
	struct admin_act act = {.event = "session.revoke", .session = m->session};
	const struct agent *agent;
	char reason[129];

	if (s == NULL)
		s = session_by_exec(m->session);
	if (s == NULL || strcmp(s->tenant, judge_conf.tenant) != 0)
		return admin_refuse(c, reqid, "there is no session \"%.*s\"",
		    (int)m->session.len, m->session.p);
	if (s->state == SESSION_REVOKED)
		return admin_refuse(c, reqid, "the session was revoked already");
	if (span_copy(m->reason, reason, sizeof reason) != 0 || reason[0] == '\0')
		(void)span_copy(span_str("by an administrator"), reason, sizeof reason);
	agent = agent_by_id(s->tenant, s->agent_id);
	act.session = span_str(s->id);
	act.agent = span_str(agent != NULL ? agent->row.name : s->sub);
	act.context = span_str(s->context);
	act.reason = span_str(reason);
	admin_ledger(c, &act);
	session_revoke(s, reason);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

/* ---- tools ---- */

static const char *
tool_state_name(uint8_t state)
{
	static const char *const names[] = {
	    "unknown", "stopped", "starting", "running", "unhealthy", "failed"};

	return state < sizeof names / sizeof names[0] ? names[state] : names[0];
}

int
admin_tool_list(struct chan *c, uint64_t reqid, void *msg)
{
	const struct tool_server *t;
	struct jsonw w;

	(void)msg;
	TAILQ_FOREACH (t, &tool_servers, link) {
		begin(&w);
		jsonw_key_str(&w, "server", t->name);
		jsonw_key_str(&w, "state", tool_state_name(t->state));
		if (t->message[0] != '\0')
			jsonw_key_str(&w, "message", t->message);
		jsonw_key(&w, "capabilities");
		jsonw_arr_open(&w);
		for (size_t i = 0; i < t->npatterns; i++) {
			char text[CONTEXT_TOOL_MAX + 2];

			snprintf(text, sizeof text, "%s%s", t->patterns[i].text,
			    t->patterns[i].kind == CONTEXT_PREFIX ? "*" : "");
			jsonw_str(&w, text);
		}
		jsonw_arr_close(&w);
		jsonw_key(&w, "tools");
		jsonw_arr_open(&w);
		for (size_t i = 0; i < t->ntools && out.len < 40000; i++)
			jsonw_str(&w, t->tools[i].name);
		jsonw_arr_close(&w);
		jsonw_obj_close(&w);
		if (admin_row(c, reqid, &out) != 0)
			break;
	}
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}
