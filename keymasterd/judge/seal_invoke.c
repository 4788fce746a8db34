/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles envelopes that a gate passed on unread. Judge only; the bytes are anybody's.
 * Asks no database: sessions, contexts and limits are in memory. Each decision's row,
 * which is the envelope's replay mark too, is written before the answer leaves.
 */
#include "keymasterd/judge/clock.h"
#include "keymasterd/judge/seal_invoke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/jsonw.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proto.h"
#include "common/replay.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/context_eval.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/decide.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/seal_arguments.h"
#include "keymasterd/judge/seal_marks.h"
#include "keymasterd/judge/seal_verify.h"
#include "keymasterd/judge/session_rate.h"
#include "keymasterd/judge/tools.h"
#include "keymasterd/judge/trust.h"
#include "keymasterd/judge/sealed.h"

#define RESULT_ROOM 44000 /* of 49,152: the envelope around it needs some too */
#define KEEP_OCTETS (1u << 20)
#define ENVELOPE_MAX (16u << 20) /* toolhost takes no larger payload */
#define MCP_VERSION "2024-11-05"
#define RPC_NO_METHOD (-32601)
#define RPC_BAD_PARAMS (-32602)

static struct seal_envelope envelope;
static struct replay *replay;
static struct buf big, result, body, arguments;

/* One call on its way through this file. */
struct call {
	struct decide d;
	struct seal_envelope *e;
	struct session *s;
	struct agent *agent;
	char tool[CONTEXT_TOOL_MAX + 1];
	char detail[SESSION_RATE_DETAIL + 96];
};

/* ---- replay marks ---- */

/* An envelope may come from `window` ahead to `window` behind, so a mark counts twice
 * that, and a second for the rounding. */
static uint64_t
mark_ms(void)
{
	return 2000 * (uint64_t)judge_conf.seal_window_s + 2000;
}

int
seal_invoke_init(void)
{
	seal_envelope_init(&envelope);
	if ((replay = replay_new(mark_ms())) == NULL)
		return -1;
	if (clock_load() == -1 || seal_marks_load(replay, mark_ms()) == -1)
		return -1;
	clock_horizon(replay, mark_ms(), judge_conf.seal_window_s);
	return 0;
}

/* ---- answers ---- */

static void
refuse(struct call *c, struct seal_refusal *r)
{
	r->request = c->e->id;
	if (r->code >= 2000 && r->code < 3000)
		c->d.row.event = span_str("PolicyViolationBlocked");
	seal_refuse(&c->d, r);
}

static void
refuse_code(struct call *c, unsigned code, const char *message, const char *reason)
{
	refuse(c,
	    &(struct seal_refusal){.code = code, .message = message, .reason = reason});
}

static void
reply_open(struct call *c, struct jsonw *w)
{
	buf_reset(&body);
	jsonw_init(w, &body);
	jsonw_obj_open(w);
	jsonw_key_str(w, "protocol", "seal/v1");
	jsonw_key_str(w, "status", "success");
	jsonw_key(w, "payload");
	jsonw_obj_open(w);
	jsonw_key_str(w, "jsonrpc", "2.0");
	jsonw_key(w, "id");
	jsonw_raw(w, c->e->id.p, c->e->id.len);
}

static void
reply_close(struct call *c, struct jsonw *w)
{
	jsonw_obj_close(w);
	jsonw_obj_close(w);
	if (jsonw_done(w) != 0) {
		refuse_code(c, 503, "The answer could not be written", NULL);
		return;
	}
	decide_answer(&c->d, 200, body.p, body.len);
}

static void
reply_result(struct call *c, const void *json, size_t len)
{
	struct jsonw w;

	c->d.row.decision = LEDGER_ALLOWED;
	reply_open(c, &w);
	jsonw_key(&w, "result");
	jsonw_raw(&w, json, len);
	reply_close(c, &w);
}

/* A JSON-RPC error in a successful envelope: the call was honest, but cannot be served.
 */
static void
reply_error(struct call *c, int code, const char *message, const char *ledger_code)
{
	struct jsonw w;

	c->d.row.decision = LEDGER_BLOCKED;
	c->d.row.code = span_str(ledger_code);
	c->d.row.reason = span_str(message);
	reply_open(c, &w);
	jsonw_key(&w, "error");
	jsonw_obj_open(&w);
	jsonw_key_int(&w, "code", code);
	jsonw_key_str(&w, "message", message);
	jsonw_obj_close(&w);
	reply_close(c, &w);
}

/* ---- methods ---- */

static void
do_initialize(struct call *c)
{
	static const char text[] =
	    "{\"protocolVersion\":\"" MCP_VERSION "\",\"capabilities\":{\"tools\":{}},"
	    "\"serverInfo\":{\"name\":\"aegis\",\"version\":\"1\"},"
	    "\"extensions\":{\"seal\":{\"supported\":true,\"version\":\"v1\","
	    "\"attestation_endpoint\":\"/v1/seal/attest\"}}}";

	reply_result(c, text, sizeof text - 1);
}

static void
do_ping(struct call *c)
{
	reply_result(c, "{}", 2);
}

static void
do_tools_list(struct call *c)
{
	const struct json_doc *d = &c->e->doc;
	uint32_t cursor = json_get(d, c->e->params, "cursor");
	struct context_entry *entry = context_find(c->s->tenant, span_str(c->s->context));
	char text[16] = "0", *end;
	unsigned long skip;
	struct jsonw w;
	unsigned next;
	bool more;

	if (cursor != JSON_NONE && json_str_copy(d, cursor, text, sizeof text, NULL) != 0)
		text[0] = '\0';
	skip = strtoul(text, &end, 10);
	if (end == text || *end != '\0' || skip > 1u << 20) {
		reply_error(c, RPC_BAD_PARAMS, "Unknown cursor", "bad_params");
		return;
	}
	if (entry == NULL) {
		refuse_code(c, SEAL_NOT_ALLOWED,
		    "The session's context does not exist any more", "context_gone");
		return;
	}
	buf_reset(&result);
	jsonw_init(&w, &result);
	jsonw_obj_open(&w);
	jsonw_key(&w, "tools");
	jsonw_arr_open(&w);
	next = tools_write(&w, entry->rules, c->s, (unsigned)skip, RESULT_ROOM, &more);
	jsonw_arr_close(&w);
	if (more) {
		struct buf digits;

		buf_init(&digits);
		(void)buf_printf(&digits, "%u", next);
		jsonw_key(&w, "nextCursor");
		jsonw_strn(&w, digits.p, digits.len);
		buf_free(&digits);
	}
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0)
		refuse_code(c, 503, "The answer could not be written", NULL);
	else
		reply_result(c, result.p, result.len);
}

/* The agent's own limits. 0, or -1 when the call was refused. */
static int
agent_limits(struct call *c)
{
	struct seal_refusal r = {.code = SEAL_RATE, .reason = "agent_rate"};
	uint32_t wait;

	if (c->agent == NULL)
		return 0;
	if (c->agent->in_flight >= judge_conf.max_connections_per_agent) {
		r.message = "Too many calls of this agent are under way";
		r.reason = "agent_connections";
		r.retry_after = 1;
		refuse(c, &r);
		return -1;
	}
	if (c->agent->limiter == NULL)
		return 0;
	if ((wait = limiter_check(c->agent->limiter, judge_limit_ms())) == 0)
		return 0;
	r.message = "The agent's rate limit is used up";
	r.retry_after = wait;
	refuse(c, &r);
	return -1;
}

static void
grant(struct call *c, struct tool_server *server, uint64_t max_response)
{
	struct redeemer *toolhost = redeemer_toolhost();
	struct decide_tool t = {.server = server->number,
	    .execution = server->per_execution ? span_str(c->s->exec_id) : span_str(""),
	    .payload = c->e->payload_raw.p,
	    .payload_off = c->e->payload_off,
	    .payload_len = (uint32_t)c->e->payload_raw.len,
	    .timeout_ms = server->timeout_ms != 0 ? server->timeout_ms
						  : judge_conf.request_timeout_ms,
	    .max_response = max_response != 0 ? max_response : UINT64_MAX,
	    .agent = c->agent};

	if (toolhost == NULL) {
		c->d.row.event = (struct span){NULL, 0};
		refuse_code(c, 503, "Tools cannot be reached at the moment", NULL);
		return;
	}
	c->s->has_processes |= server->per_execution;
	if (c->agent != NULL && c->agent->limiter != NULL)
		limiter_take(c->agent->limiter, judge_limit_ms());
	decide_grant_tool(&c->d, toolhost, &t);
}

static void
do_tools_call(struct call *c)
{
	const struct json_doc *d = &c->e->doc;
	uint32_t name = json_get(d, c->e->params, "name"),
		 args = json_get(d, c->e->params, "arguments");
	struct context_call question = {.doc = d, .args = args};
	struct session_rate rate = {.session = c->s};
	struct context_verdict v;
	struct tool_server *server;

	if (json_type(d, c->e->params) != JT_OBJECT || json_type(d, name) != JT_STRING ||
	    (args != JSON_NONE && json_type(d, args) != JT_OBJECT)) {
		refuse_code(c, SEAL_MALFORMED,
		    "params must hold the tool's name, and arguments as an object",
		    "malformed");
		return;
	}
	if (json_str_copy(d, name, c->tool, sizeof c->tool, &question.tool.len) != 0) {
		refuse_code(
		    c, SEAL_NOT_ALLOWED, "There is no tool with so long a name", NULL);
		return;
	}
	question.tool.p = c->tool;
	c->d.row.tool = question.tool;
	if (!session_may_call(c->s, question.tool)) {
		refuse_code(c, SEAL_NOT_ALLOWED, "The session may not call this tool",
		    "session_patterns");
		return;
	}
	rate.context = context_find(c->s->tenant, span_str(c->s->context));
	if (rate.context == NULL) {
		refuse_code(c, SEAL_NOT_ALLOWED,
		    "The session's context does not exist any more", "context_gone");
		return;
	}
	context_eval(rate.context->rules, &question, session_rate_wait, &rate, &v);
	if (!v.allowed) {
		refuse(c,
		    &(struct seal_refusal){
			.code = v.code, .message = v.why, .retry_after = v.retry_after});
		return;
	}
	if ((server = tool_route(question.tool)) == NULL) {
		reply_error(c, RPC_BAD_PARAMS, "Unknown tool", "unknown_tool");
		return;
	}
	c->d.row.server = span_str(server->name);
	if (agent_limits(c) != 0)
		return;
	session_rate_detail(v.cap, c->detail);
	c->d.row.detail = span_str(c->detail);
	session_rate_take(&rate, v.cap);
	c->d.row.event = span_str("ToolCallAuthorized");
	buf_reset(&arguments);
	if (seal_arguments(d, args, &arguments) == 0)
		c->d.row.arguments = span_mem(arguments.p, arguments.len);
	grant(c, server, v.max_response);
}

static const struct {
	const char *method;
	void (*fn)(struct call *);
} methods[] = {
    {"tools/call", do_tools_call},
    {"tools/list", do_tools_list},
    {"initialize", do_initialize},
    {"ping", do_ping},
};

/* More calls in a second than a session may make. 0, or -1 when it was refused. */
static int
pace(struct call *c)
{
	struct limit_rate rate = {judge_conf.seal_calls_per_second, 1000};
	struct seal_refusal r = {.code = SEAL_RATE, .reason = "session_rate"};

	if (rate.count == 0)
		return 0;
	if (c->s->pace == NULL && (c->s->pace = limiter_new(rate)) == NULL)
		return 0; /* no memory: the other limits still hold */
	r.retry_after = limiter_check(c->s->pace, judge_limit_ms());
	if (r.retry_after == 0) {
		limiter_take(c->s->pace, judge_limit_ms());
		return 0;
	}
	r.message = "The session calls more often than it may";
	c->d.budget = LEDGER_CAUSE_ENVELOPE;
	refuse(c, &r);
	return -1;
}

static void
dispatch(struct call *c)
{
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strcmp(c->e->method, methods[i].method) == 0) {
			methods[i].fn(c);
			return;
		}
	reply_error(c, RPC_NO_METHOD, "Method not found", "unknown_method");
}

/* ---- the envelope ---- */

/* The envelope's octets, from the message or its memfd. 0, or -1 when they are too many.
 */
static int
take_octets(const struct msg_seal_authorize *m, struct span *out)
{
	uint64_t max =
	    judge_conf.max_body_bytes != 0 ? judge_conf.max_body_bytes : ENVELOPE_MAX;
	struct stat st;

	*out = m->envelope;
	if (m->big < 0)
		return 0;
	if (max > ENVELOPE_MAX)
		max = ENVELOPE_MAX;
	if (fstat(m->big, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size > max)
		return -1;
	buf_reset(&big);
	if (buf_reserve(&big, (size_t)st.st_size + 1) != 0 ||
	    pread(m->big, big.p, (size_t)st.st_size, 0) != st.st_size)
		return -1;
	*out = span_mem(big.p, (size_t)st.st_size);
	return 0;
}

/* What a large envelope needed is given back. */
static void
tidy(void)
{
	if (big.cap > KEEP_OCTETS)
		buf_free(&big);
	if (envelope.doc.cap > KEEP_OCTETS / sizeof(struct json_node))
		json_free(&envelope.doc);
	if (envelope.canon.cap > KEEP_OCTETS)
		buf_free(&envelope.canon);
}

static void
name_session(struct call *c, struct session *s)
{
	c->s = s;
	c->agent = s->agent_id[0] == '\0' ? NULL : agent_by_id(s->tenant, s->agent_id);
	c->d.row.tenant = span_str(s->tenant);
	c->d.row.agent = span_str(c->agent != NULL ? c->agent->row.name : s->sub);
	c->d.row.session = span_str(s->id);
	c->d.row.exec = span_str(s->exec_id);
	c->d.row.context = span_str(s->context);
}

/* What was shown is in the row; without `signed` nobody takes it for a good one. */
static void
note_signature(struct call *c)
{
	c->d.row.event = span_str("SignatureVerificationFailed");
	c->d.row.proof = c->e->signature;
}

static void
note_expiry(struct call *c, int64_t expired_at)
{
	char text[RFC3339_SIZE];

	if (rfc3339_format(expired_at, 0, 0, text, sizeof text) < 0)
		return;
	(void)snprintf(c->detail, sizeof c->detail, SEAL_UNMARKED_EXPIRED_AT "%s", text);
	c->d.row.event = span_str("SecurityTokenExpired");
	c->d.row.detail = span_str(c->detail);
}

static int
verify(struct call *c, struct span octets, struct seal_refusal *r)
{
	const struct jwt_keyset *own = trust_own();
	struct seal_world world = {.unix_ms = clock_now_ms(),
	    .mono_ms = loop_now_ms(),
	    .window_s = judge_conf.seal_window_s,
	    .compat_spaced = judge_conf.seal_compat_spaced != 0,
	    .issuer = judge_conf.issuer,
	    .audience = judge_conf.audience,
	    .keys = own->n > 0 ? own : NULL,
	    .leeway_s = judge_conf.seal_leeway_s,
	    .jti_once = judge_conf.seal_jti_once != 0,
	    .generation = trust_generation(),
	    .replay = replay};
	struct seal_checked checked;
	int ret;

	ret = seal_verify(c->e, octets.p, octets.len, &world, &checked, r);
	if (checked.stage != SEAL_STAGE_FORM)
		name_session(c, checked.session);
	if (checked.stage == SEAL_STAGE_SIGNED) {
		c->d.row.proof = c->e->signature;
		c->d.row.signed_text = span_mem(c->e->canon.p, c->e->canon.len);
		c->d.row.signed_payload = c->e->signed_payload;
		c->d.row.signed_time = c->e->timestamp;
		c->d.row.signed_form = c->e->signed_order == CANON_UTF8
		    ? (checked.own_token ? LEDGER_FORM_PLAIN : LEDGER_FORM_OTHER_TOKEN)
		    : c->e->signed_order == CANON_UTF16 ? LEDGER_FORM_UTF16
							: LEDGER_FORM_SPACED;
		c->d.row.method = span_str(c->e->method);
	} else {
		c->d.budget = LEDGER_CAUSE_ENVELOPE;
	}
	if (ret != 0 && r->code == SEAL_SIGNATURE)
		note_signature(c);
	if (ret != 0 && checked.expired_at != 0)
		note_expiry(c, checked.expired_at);
	if (ret == 0 && judge_conf.seal_jti_once)
		session_use(c->s);
	return ret;
}

int
seal_authorize(struct chan *chan, uint64_t reqid, void *msg)
{
	const struct msg_seal_authorize *m = msg;
	struct call c = {.e = &envelope};
	struct seal_refusal r = {.code = 0};
	struct span octets;

	decide_begin(&c.d, chan, reqid, m->peer);
	c.d.seal = 1;
	c.d.row.path = m->target;
	envelope.id = span_str(NULL);
	if (judge_stopping) {
		c.d.budget = LEDGER_CAUSE_ENVELOPE;
		refuse_code(&c, 503, "Shutting down", NULL);
	} else if (vault_sealed) {
		c.d.budget = LEDGER_CAUSE_SEALED;
		refuse_code(&c, 503, SEALED_ERROR ". " SEALED_HINT, SEALED_CODE);
	} else if (take_octets(m, &octets) != 0) {
		c.d.budget = LEDGER_CAUSE_ENVELOPE;
		refuse_code(&c, 413, "The envelope is too large", NULL);
	} else if (verify(&c, octets, &r) != 0) {
		seal_refuse(&c.d, &r);
	} else if (c.agent == NULL && c.s->agent_id[0] != '\0') {
		refuse_code(&c, SEAL_REVOKED,
		    "The session's agent does not exist any more", "agent_gone");
	} else if (pace(&c) == 0) {
		dispatch(&c);
	}
	tidy();
	return 0;
}
