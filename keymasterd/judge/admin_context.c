/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administrators' acts on SecurityContexts. Judge only; the peer was let in by its user
 * id, its words are checked all the same. JSON:
 *
 *	context_list	row {name, origin: built-in|configuration|administrator, version,
 *			sha256, description, capabilities, deny_list, updated_at,
 *sessions} context_show	done: the context as it was given context_put	done
 *{name, version, sha256, sessions} context_remove	done {name, version, sha256,
 *sessions} context_test	done {allowed, code, status, reason, retry_after, rule,
 *server, steps[{rule, entry|tool_pattern, result, code, reason}], omitted}
 */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/context_change.h"
#include "keymasterd/judge/context_eval.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/session.h"
#include "keymasterd/judge/session_rate.h"
#include "keymasterd/judge/tools.h"

#define STEPS_ROOM 40000 /* octets of an answer for steps */

static struct buf out;

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

/* Sessions under this name that may still call. */
static unsigned
living_sessions(const char *tenant, const char *name)
{
	const struct session *s;
	unsigned n = 0;

	TAILQ_FOREACH (s, &sessions, link)
		n += s->state == SESSION_ACTIVE && s->expires_ms > judge_now_ms() &&
		    strcmp(s->context, name) == 0 && strcmp(s->tenant, tenant) == 0;
	return n;
}

/* ---- changing ---- */

static int
changed(struct chan *c, uint64_t reqid, const char *event, struct context_change *change,
    enum context_result r)
{
	struct admin_act act = {.event = event,
	    .context = span_str(change->name),
	    .detail = span_str(change->detail)};
	struct jsonw w;

	if (r != CONTEXT_CHANGED)
		return admin_refuse(c, reqid, "%s", change->err);
	admin_ledger(c, &act);
	begin(&w);
	jsonw_key_str(&w, "name", change->name);
	jsonw_key_int(&w, "version", change->version);
	jsonw_key_str(&w, "sha256", change->sha256);
	jsonw_key_int(&w, "sessions", living_sessions(judge_conf.tenant, change->name));
	return finish(c, reqid, &w);
}

int
admin_context_put(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_context_put *m = msg;
	struct context_change change = {.tenant = judge_conf.tenant};

	if (m->replace > CONTEXT_UPDATE)
		return admin_refuse(c, reqid, "replace must be 0, 1 or 2");
	return changed(c, reqid, "context.put", &change,
	    context_put(&change, m->json, (enum context_mode)m->replace));
}

int
admin_context_remove(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_context_remove *m = msg;
	struct context_change change = {.tenant = judge_conf.tenant};

	return changed(
	    c, reqid, "context.remove", &change, context_remove(&change, m->name));
}

/* ---- looking ---- */

int
admin_context_list(struct chan *c, uint64_t reqid, void *msg)
{
	const struct context_entry *e;
	char text[RFC3339_SIZE];
	struct jsonw w;

	(void)msg;
	TAILQ_FOREACH (e, &context_entries, link) {
		if (context_find(judge_conf.tenant, span_str(e->name)) != e)
			continue; /* another tenant's, or one of the same name stands
				     before */
		begin(&w);
		jsonw_key_str(&w, "name", e->name);
		jsonw_key_str(&w, "origin", context_origin_name(e->origin));
		if (e->version != 0)
			jsonw_key_int(&w, "version", e->version);
		jsonw_key_str(&w, "sha256", e->sha256);
		jsonw_key_str(&w, "description", e->rules->description);
		jsonw_key_int(&w, "capabilities", (int64_t)e->rules->ncaps);
		jsonw_key_int(&w, "deny_list", (int64_t)e->rules->ndeny);
		if (e->updated_ms != 0 &&
		    rfc3339_format(
			(int64_t)(e->updated_ms / 1000), 0, 0, text, sizeof text) > 0)
			jsonw_key_str(&w, "updated_at", text);
		jsonw_key_int(
		    &w, "sessions", living_sessions(judge_conf.tenant, e->name));
		jsonw_obj_close(&w);
		if (admin_row(c, reqid, &out) != 0)
			break;
	}
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

static void
take_text(struct span json, void *arg)
{
	int *r = arg;

	*r = buf_put(&out, json.p, json.len);
}

int
admin_context_show(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_context_show *m = msg;
	struct context_change change = {.tenant = judge_conf.tenant};
	int r = 0;

	buf_reset(&out);
	if (context_version(&change, m->name, m->version, take_text, &r) !=
	    CONTEXT_CHANGED)
		return admin_refuse(c, reqid, "%s", change.err);
	if (r != 0)
		return admin_refuse(c, reqid, "out of memory");
	admin_result(c, reqid, &out);
	return 0;
}

/* ---- context test ---- */

struct steps {
	struct jsonw *w;
	unsigned omitted;
};

static void
write_step(const struct context_step *step, void *arg)
{
	static const char *const results[] = {[CONTEXT_STEP_PASSED] = "does not apply",
	    [CONTEXT_STEP_DENIES] = "denies",
	    [CONTEXT_STEP_REFUSES] = "refuses",
	    [CONTEXT_STEP_ALLOWS] = "allows"};
	struct steps *s = arg;
	char rule[48];

	if (out.len > STEPS_ROOM) {
		s->omitted++;
		return;
	}
	jsonw_obj_open(s->w);
	snprintf(rule, sizeof rule, "%s[%zu]",
	    step->deny != NULL ? "deny_list" : "capabilities", step->index);
	jsonw_key_str(s->w, "rule", rule);
	if (step->deny != NULL) {
		jsonw_key_str(s->w, "entry", step->deny->text);
	} else {
		snprintf(rule, sizeof rule, "%.40s%s", step->cap->tool.text,
		    step->cap->tool.kind == CONTEXT_PREFIX ? "*" : "");
		jsonw_key_str(s->w, "tool_pattern", rule);
	}
	jsonw_key_str(s->w, "result", results[step->result]);
	if (step->result == CONTEXT_STEP_REFUSES) {
		jsonw_key_str(s->w, "constraint", step->constraint);
		jsonw_key_int(s->w, "code", step->verdict->code);
		jsonw_key_str(s->w, "reason", step->verdict->why);
	}
	jsonw_obj_close(s->w);
}

/* The session whose limits count, or a refusal. */
static struct session *
named_session(struct chan *c, uint64_t reqid, struct span id, const char *context)
{
	struct session *s = session_by_id(id);

	if (s == NULL)
		s = session_by_exec(judge_conf.tenant, id);
	if (s == NULL || strcmp(s->tenant, judge_conf.tenant) != 0) {
		admin_refuse(c, reqid,
		    "there is no session \"%.*s\": aegis session list shows them",
		    (int)id.len, id.p);
		return NULL;
	}
	if (strcmp(s->context, context) != 0) {
		admin_refuse(c, reqid, "session \"%s\" works under the context \"%s\"",
		    s->id, s->context);
		return NULL;
	}
	return s;
}

static int
explain(struct chan *c, uint64_t reqid, const struct context_entry *e,
    const struct context_call *call, struct session *session)
{
	const struct tool_server *server = tool_route(call->tool);
	struct session_rate rate = {session, e};
	struct context_verdict v;
	struct jsonw w;
	struct steps steps = {.w = &w};
	char rule[48];

	begin(&w);
	jsonw_key(&w, "steps");
	jsonw_arr_open(&w);
	context_eval_steps(e->rules, call, session == NULL ? NULL : session_rate_wait,
	    &rate, &v, write_step, &steps);
	jsonw_arr_close(&w);
	if (steps.omitted > 0)
		jsonw_key_int(&w, "omitted", steps.omitted);
	if (v.allowed && session != NULL && !session_may_call(session, call->tool)) {
		v.allowed = false;
		v.code = 2000;
		snprintf(
		    v.why, sizeof v.why, "the session's own tool patterns leave it out");
	}
	jsonw_key_bool(&w, "allowed", v.allowed);
	if (v.allowed) {
		snprintf(rule, sizeof rule, "capabilities[%zu]", v.cap);
		jsonw_key_str(&w, "rule", rule);
		snprintf(v.why, sizeof v.why, "%s allows it", rule);
	} else {
		jsonw_key_int(&w, "code", v.code);
		jsonw_key_int(&w, "status", v.code == 2005 ? 429 : 403);
		if (v.retry_after != 0)
			jsonw_key_int(&w, "retry_after", v.retry_after);
	}
	jsonw_key_str(&w, "reason", v.why);
	if (v.allowed)
		jsonw_key_str(&w, "server", server == NULL ? NULL : server->name);
	return finish(c, reqid, &w);
}

int
admin_context_test(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_context_test *m = msg;
	const struct context_entry *e = context_find(judge_conf.tenant, m->name);
	struct span args = m->arguments.len == 0 ? span_str("{}") : m->arguments;
	struct context_call call = {.tool = m->tool};
	struct session *session = NULL;
	struct json_doc doc;
	enum json_err err;
	int r;

	if (e == NULL)
		return admin_refuse(c, reqid,
		    "there is no context \"%.*s\": aegis context list shows them",
		    (int)m->name.len, m->name.p);
	if (m->session.len > 0 &&
	    (session = named_session(c, reqid, m->session, e->name)) == NULL)
		return 0;
	json_init(&doc);
	err = json_parse(&doc, args.p, args.len, NULL);
	if (err != JSON_OK) {
		r = admin_refuse(c, reqid,
		    "the arguments are not JSON: %s at octet %u; write an object such as "
		    "{\"path\": \"/workspace/a\"}",
		    json_strerror(err), doc.err_at);
	} else if (json_type(&doc, json_root(&doc)) != JT_OBJECT) {
		r = admin_refuse(c, reqid,
		    "the arguments must be a JSON object, such as {\"path\": "
		    "\"/workspace/a\"}");
	} else {
		call.doc = &doc;
		call.args = json_root(&doc);
		r = explain(c, reqid, e, &call, session);
	}
	json_free(&doc);
	return r;
}
