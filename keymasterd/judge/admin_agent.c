/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents: add, list, remove, regenerate, grant, context, limit, runs. Tokens are shown
 * once and kept as SHA-256. Row, database and memory change in one turn; if the turn
 * cannot be committed the memory is read again. Judge only.
 */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/admin_credential.h"
#include "keymasterd/judge/mcp_session.h"
#include "keymasterd/judge/process.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/turn.h"

#define RUN_SECONDS_MAX (30 * 86400)

/* Makes, stores and takes in a token. 0, or -1 when the turn has failed. */
static int
token_issue(const struct agent *a, const char *run, uint64_t expires_ms,
    char text[JUDGE_TOKEN_MAX])
{
	struct store_token t = {.expires_ms = expires_ms};

	snprintf(t.tenant, sizeof(t.tenant), "%s", a->row.tenant);
	snprintf(t.agent_id, sizeof(t.agent_id), "%s", a->row.id);
	snprintf(t.run, sizeof(t.run), "%s", run);
	judge_token("aegis_", text, t.hash);
	snprintf(t.prefix, sizeof(t.prefix), "%.12s", text);
	t.created_ms = judge_now_ms();
	turn_touched();
	if (store_token_put(judge_store, &t) != 0)
		return -1;
	if (token_set(&t) == NULL) {
		store_poison(judge_store, "out of memory");
		return -1;
	}
	return 0;
}

static void
token_answer(struct chan *c, uint64_t reqid, const struct agent *a, const char *run,
    uint64_t expires_ms, const char *text)
{
	char when[32];
	struct jsonw w;
	struct buf json;

	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "name", a->row.name);
	if (run != NULL)
		jsonw_key_str(&w, "run", run);
	jsonw_key_str(&w, "token", text);
	if (expires_ms != 0)
		jsonw_key_str(&w, "expires_at", time_text(expires_ms, when));
	jsonw_obj_close(&w);
	admin_result(c, reqid, &json);
	buf_wipe_free(&json);
}

static struct agent *
agent_named(struct chan *c, uint64_t reqid, struct span name)
{
	struct agent *a = agent_by_name(judge_conf.tenant, name);

	if (a == NULL)
		(void)admin_refuse(c, reqid,
		    "There is no agent named %.*s. Make it with: aegis agent add "
		    "--name %.*s",
		    (int)name.len, name.p, (int)name.len, name.p);
	return a;
}

static void
failed(struct chan *c, uint64_t reqid)
{
	admin_done(c, reqid, ADMIN_FAILED, "The database could not be written.");
}

int
admin_agent_add(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_agent_add *m = msg;
	const char *bad = check_identifier(m->name, 64);
	struct store_agent row = {.created_ms = judge_now_ms(), .proc_uid = -1};
	char text[JUDGE_TOKEN_MAX];
	struct agent *a;

	if (bad != NULL)
		return admin_refuse(c, reqid, "The name %s.", bad);
	bad = check_rate_limit(m->rate_limit, row.rate_limit, sizeof(row.rate_limit));
	if (bad != NULL)
		return admin_refuse(c, reqid, "The rate limit %s.", bad);
	if (agent_by_name(judge_conf.tenant, m->name) != NULL)
		return admin_refuse(c, reqid,
		    "There is an agent named %.*s already. A new token for it: aegis "
		    "agent regenerate --name %.*s",
		    (int)m->name.len, m->name.p, (int)m->name.len, m->name.p);
	judge_uuid(row.id);
	snprintf(row.tenant, sizeof(row.tenant), "%s", judge_conf.tenant);
	(void)span_copy(m->name, row.name, sizeof(row.name));
	admin_ledger(c, &(struct admin_act){.event = "agent.add", .agent = m->name});
	turn_touched();
	a = store_agent_put(judge_store, &row) == 0 ? agent_set(&row) : NULL;
	if (a == NULL || token_issue(a, "", 0, text) == -1) {
		store_poison(judge_store, "an agent could not be added");
		failed(c, reqid);
		return 0;
	}
	token_answer(c, reqid, a, NULL, 0, text);
	explicit_bzero(text, sizeof(text));
	return 0;
}

int
admin_agent_remove(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_agent_remove *m = msg;
	struct agent *a = agent_named(c, reqid, m->name);
	char key[64];

	if (a == NULL)
		return 0;
	admin_ledger(c, &(struct admin_act){.event = "agent.remove", .agent = m->name});
	snprintf(key, sizeof(key), "agent:%s", a->row.id);
	turn_touched();
	if (store_agent_delete(judge_store, a->row.tenant, a->row.id) != 0 ||
	    store_window_delete(judge_store, a->row.tenant, key) != 0) {
		failed(c, reqid);
		return 0;
	}
	session_agent_removed(a->row.tenant, a->row.id);
	agent_forget(a);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

int
admin_agent_regenerate(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_agent_regenerate *m = msg;
	struct agent *a = agent_named(c, reqid, m->name);
	char text[JUDGE_TOKEN_MAX];

	if (a == NULL)
		return 0;
	admin_ledger(
	    c, &(struct admin_act){.event = "agent.regenerate", .agent = m->name});
	if (token_issue(a, "", 0, text) == -1) {
		failed(c, reqid);
		return 0;
	}
	/* whoever had the old one may have attested with it */
	session_agent_renewed(a->row.tenant, a->row.id);
	token_answer(c, reqid, a, NULL, 0, text);
	explicit_bzero(text, sizeof(text));
	return 0;
}

int
admin_agent_grant(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_agent_grant *m = msg;
	struct agent *a = agent_named(c, reqid, m->agent);
	struct credential *cred = credential_by_name(judge_conf.tenant, m->credential);
	int r;

	if (a == NULL)
		return 0;
	if (cred == NULL)
		return admin_refuse(c, reqid,
		    "There is no credential named %.*s. See them with: aegis vault list",
		    (int)m->credential.len, m->credential.p);
	if (m->revoke && !grant_has(a, cred))
		return admin_refuse(c, reqid, "Agent %s has no grant for %s.",
		    a->row.name, cred->row.name);
	admin_ledger(c,
	    &(struct admin_act){.event = m->revoke ? "agent.revoke" : "agent.grant",
		.agent = m->agent,
		.credential = m->credential,
		.service = span_str(cred->row.service)});
	turn_touched();
	r = m->revoke
	    ? store_grant_delete(judge_store, a->row.tenant, a->row.id, cred->row.id)
	    : store_grant_put(
		  judge_store, a->row.tenant, a->row.id, cred->row.id, judge_now_ms());
	if (r != 0 || grant_set(a, cred, !m->revoke) == -1) {
		store_poison(judge_store, "a grant could not be changed");
		failed(c, reqid);
		return 0;
	}
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

int
admin_agent_context(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_agent_context *m = msg;
	struct agent *a = agent_named(c, reqid, m->agent);
	char context[STORE_CONTEXT_MAX];
	int r;

	if (a == NULL)
		return 0;
	if (m->context.len == 0 || span_copy(m->context, context, sizeof(context)) == -1)
		return admin_refuse(
		    c, reqid, "The context's name is missing or too long.");
	if (m->revoke && !agent_may_context(a, context))
		return admin_refuse(c, reqid,
		    "Agent %s may not use the context %s anyway.", a->row.name, context);
	admin_ledger(c,
	    &(struct admin_act){
		.event = m->revoke ? "agent.context.revoke" : "agent.context.grant",
		.agent = m->agent,
		.context = m->context});
	turn_touched();
	r = m->revoke
	    ? store_agent_context_delete(judge_store, a->row.tenant, a->row.id, context)
	    : store_agent_context_put(
		  judge_store, a->row.tenant, a->row.id, context, judge_now_ms());
	if (r != 0 || agent_context_set(a, context, !m->revoke) == -1) {
		store_poison(judge_store, "a right could not be changed");
		failed(c, reqid);
		return 0;
	}
	if (m->revoke)
		session_context_revoked(a->row.tenant, a->row.id, context);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

int
admin_agent_limit(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_agent_limit *m = msg;
	struct agent *a = agent_named(c, reqid, m->name);
	struct store_agent row;
	const char *bad;

	if (a == NULL)
		return 0;
	row = a->row;
	bad = check_rate_limit(m->rate_limit, row.rate_limit, sizeof(row.rate_limit));
	if (bad != NULL)
		return admin_refuse(c, reqid, "The rate limit %s; none clears it.", bad);
	admin_ledger(c,
	    &(struct admin_act){
		.event = "agent.limit", .agent = m->name, .detail = m->rate_limit});
	turn_touched();
	if (store_agent_put(judge_store, &row) != 0 || agent_set(&row) == NULL) {
		failed(c, reqid);
		return 0;
	}
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

int
admin_agent_process(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_agent_process *m = msg;
	struct agent *a = agent_named(c, reqid, m->name);
	struct store_agent row;
	char what[512];
	uint8_t hash[32];

	if (a == NULL)
		return 0;
	row = a->row;
	row.proc_uid = m->has_uid ? (int64_t)m->uid : -1;
	if (m->exe.len > 0 && m->exe.p[0] != '/')
		return admin_refuse(c, reqid, "The program's path must begin with /.");
	if (m->sha256.len > 0 &&
	    hex_decode(m->sha256.p, m->sha256.len, hash, sizeof(hash)) != sizeof(hash))
		return admin_refuse(
		    c, reqid, "The SHA-256 must have 64 hexadecimal digits.");
	if (span_copy(m->exe, row.proc_exe, sizeof(row.proc_exe)) == -1 ||
	    span_copy(m->cgroup, row.proc_cgroup, sizeof(row.proc_cgroup)) == -1)
		return admin_refuse(c, reqid, "The path or pattern is too long.");
	row.proc_sha256[0] = '\0';
	if (m->sha256.len > 0)
		(void)hex_encode(
		    hash, sizeof(hash), row.proc_sha256, sizeof(row.proc_sha256));
	snprintf(what, sizeof(what), "uid %lld, exe %.200s, sha256 %s, cgroup %.200s",
	    (long long)row.proc_uid, row.proc_exe, row.proc_sha256, row.proc_cgroup);
	admin_ledger(c,
	    &(struct admin_act){.event = "agent.process",
		.agent = m->name,
		.detail = process_required(&row) ? span_str(what) : span_str("any")});
	turn_touched();
	if (store_agent_put(judge_store, &row) != 0 || agent_set(&row) == NULL) {
		failed(c, reqid);
		return 0;
	}
	/* whoever holds a session has not shown this */
	session_agent_changed(a->row.tenant, a->row.id);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

int
admin_agent_run(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_agent_run *m = msg;
	struct agent *a = agent_named(c, reqid, m->name);
	char text[JUDGE_TOKEN_MAX], run[STORE_ID_MAX];
	uint64_t expires_ms;

	if (a == NULL)
		return 0;
	if (m->ttl_s == 0 || m->ttl_s > RUN_SECONDS_MAX)
		return admin_refuse(c, reqid, "A run lasts from 1 second to 30 days.");
	judge_uuid(run);
	expires_ms = judge_now_ms() + (uint64_t)m->ttl_s * 1000;
	admin_ledger(c,
	    &(struct admin_act){
		.event = "agent.run", .agent = m->name, .detail = span_str(run)});
	if (token_issue(a, run, expires_ms, text) == -1) {
		failed(c, reqid);
		return 0;
	}
	token_answer(c, reqid, a, run, expires_ms, text);
	explicit_bzero(text, sizeof(text));
	return 0;
}

int
admin_agent_run_end(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_agent_run_end *m = msg;
	struct token *t;

	TAILQ_FOREACH (t, &tokens, link)
		if (m->run.len > 0 && span_eq(m->run, t->row.run) &&
		    strcmp(t->row.tenant, judge_conf.tenant) == 0)
			break;
	if (t == NULL)
		return admin_refuse(c, reqid, "There is no run %.*s, or it has ended.",
		    (int)m->run.len, m->run.p);
	admin_ledger(c,
	    &(struct admin_act){.event = "agent.run.end",
		.agent = span_str(t->agent->row.name),
		.detail = m->run});
	turn_touched();
	if (store_token_delete(judge_store, t->row.tenant, t->row.agent_id, t->row.run) !=
	    0) {
		failed(c, reqid);
		return 0;
	}
	session_run_ended(t->row.tenant, t->row.agent_id, t->row.run);
	mcp_token_ended(t->row.hash);
	token_forget(t);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

/* ---- list ---- */

static void
put_credential(const struct credential *cred, void *arg)
{
	jsonw_str(arg, cred->row.name);
}

static void
put_context(const char *context, void *arg)
{
	jsonw_str(arg, context);
}

static void
put_runs(struct jsonw *w, const struct agent *a)
{
	char when[32];
	struct token *t;

	jsonw_key(w, "runs");
	jsonw_arr_open(w);
	TAILQ_FOREACH (t, &tokens, link) {
		if (t->agent != a || t->row.run[0] == '\0' ||
		    t->row.expires_ms <= judge_now_ms())
			continue;
		jsonw_obj_open(w);
		jsonw_key_str(w, "run", t->row.run);
		jsonw_key_str(w, "expires_at", time_text(t->row.expires_ms, when));
		jsonw_obj_close(w);
	}
	jsonw_arr_close(w);
}

static void
put_process(struct jsonw *w, const struct store_agent *row)
{
	jsonw_key(w, "process");
	jsonw_obj_open(w);
	if (row->proc_uid >= 0)
		jsonw_key_int(w, "uid", row->proc_uid);
	if (row->proc_exe[0] != '\0')
		jsonw_key_str(w, "exe", row->proc_exe);
	if (row->proc_sha256[0] != '\0')
		jsonw_key_str(w, "exe_sha256", row->proc_sha256);
	if (row->proc_cgroup[0] != '\0')
		jsonw_key_str(w, "cgroup", row->proc_cgroup);
	jsonw_obj_close(w);
}

static int
agent_json(const struct agent *a, struct buf *out)
{
	struct token *t = token_find(a, "");
	char when[32];
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "name", a->row.name);
	if (t != NULL)
		jsonw_key_str(&w, "token_prefix", t->row.prefix);
	if (a->row.rate_limit[0] != '\0')
		jsonw_key_str(&w, "rate_limit", a->row.rate_limit);
	jsonw_key_str(&w, "created_at", time_text(a->row.created_ms, when));
	jsonw_key_int(&w, "in_flight", a->in_flight);
	if (process_required(&a->row))
		put_process(&w, &a->row);
	jsonw_key(&w, "credentials");
	jsonw_arr_open(&w);
	grant_each(a, put_credential, &w);
	jsonw_arr_close(&w);
	jsonw_key(&w, "contexts");
	jsonw_arr_open(&w);
	agent_context_each(a, put_context, &w);
	jsonw_arr_close(&w);
	put_runs(&w, a);
	jsonw_obj_close(&w);
	return jsonw_done(&w);
}

int
admin_agent_list(struct chan *c, uint64_t reqid, void *msg)
{
	struct buf json;
	struct agent *a;

	(void)msg;
	buf_init(&json);
	TAILQ_FOREACH (a, &agents, link) {
		if (strcmp(a->row.tenant, judge_conf.tenant) != 0)
			continue;
		buf_reset(&json);
		if (agent_json(a, &json) == -1 || admin_row(c, reqid, &json) == -1)
			break;
	}
	buf_free(&json);
	admin_done(c, reqid, a == NULL ? ADMIN_OK : ADMIN_FAILED,
	    a == NULL ? "" : "The list is too long to be sent at once.");
	return 0;
}
