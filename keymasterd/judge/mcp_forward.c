/* SPDX-License-Identifier: Apache-2.0 */
/* Policy and grants for MCP clients, and their calls under way. Judge only. */
#include "keymasterd/judge/mcp_forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/chan.h"
#include "common/proto.h"
#include "keymasterd/judge/context_eval.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/seal_arguments.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/tools.h"
#include "keymasterd/judge/turn.h"

#define ID_PREFIX "aegis-"

/* A question of a server that the agent has been sent. */
struct question {
	TAILQ_ENTRY(question) link;
	uint64_t number;
	char method[65];
};

struct call {
	TAILQ_ENTRY(call) link;
	uint8_t request_id[16];
	struct mcp_session *session; /* NULL: none, or it has ended */
	struct tool_server *server;
	struct agent *agent; /* lives as long as the flight does */
	char context[STORE_CONTEXT_MAX];
	char id[MCP_ID_MAX + 1];
	size_t cap;
	TAILQ_HEAD(, question) questions;
};

TAILQ_HEAD(call_list, call);

static struct call_list calls = TAILQ_HEAD_INITIALIZER(calls);
static struct map by_request;
static struct buf arguments;

/* ---- policy ---- */

void
mcp_policy_name(
    char out[CONTEXT_TOOL_MAX + 1], const struct tool_server *t, const char *method)
{
	size_t i;

	/* methods that are offered are shorter; so all fits */
	snprintf(out, CONTEXT_TOOL_MAX + 1, "mcp.%s.%.59s", t->name, method);
	for (i = 0; out[i] != '\0'; i++)
		if (out[i] == '/')
			out[i] = '.';
}

bool
mcp_may(const struct context_entry *e, const struct tool_server *t, const char *method)
{
	char name[CONTEXT_TOOL_MAX + 1];

	mcp_policy_name(name, t, method);
	return context_names_tool(e->rules, span_str(name));
}

/* The agent's own limits. 0, or -1 when the request was answered. */
static int
agent_limits(struct mcp *c)
{
	uint32_t wait;

	if (c->agent->in_flight >= judge_conf.max_connections_per_agent) {
		mcp_deny(c, SEAL_RATE, "Too many calls of this agent are under way", 1);
		return -1;
	}
	if (c->agent->limiter == NULL ||
	    (wait = limiter_check(c->agent->limiter, judge_limit_ms())) == 0)
		return 0;
	mcp_deny(c, SEAL_RATE, "The agent's rate limit is used up", wait);
	return -1;
}

struct judging {
	const struct mcp *c;
	struct session_rate rate;
};

/* A context_rate_fn: as for SEAL, but over all that the agent has under way in this
 * context. */
static uint32_t
rate_wait(size_t cap, void *arg)
{
	struct judging *j = arg;
	uint32_t most = j->rate.context->rules->caps[cap].max_concurrent;
	const struct call *k;
	unsigned n = 0;

	if (most != 0)
		TAILQ_FOREACH (k, &calls, link)
			n += k->agent == j->c->agent && k->cap == cap &&
			    strcmp(k->context, j->c->context) == 0;
	return most != 0 && n >= most ? CONTEXT_BUSY : session_rate_wait(cap, &j->rate);
}

bool
mcp_pace(struct mcp *c)
{
	struct limit_rate rate = {judge_conf.seal_calls_per_second, 1000};
	struct session *s = mcp_rates(c->agent, c->context);
	uint32_t wait;

	if (rate.count == 0 || s == NULL ||
	    (s->pace == NULL && (s->pace = limiter_new(rate)) == NULL))
		return true; /* no memory: the other limits still hold */
	if ((wait = limiter_check(s->pace, judge_limit_ms())) == 0) {
		limiter_take(s->pace, judge_limit_ms());
		return true;
	}
	c->d.budget = LEDGER_CAUSE_ENVELOPE;
	mcp_deny(c, SEAL_RATE, "The agent calls more often than it may", wait);
	return false;
}

bool
mcp_judge(struct mcp *c, struct span name, uint32_t args, uint64_t *max_response)
{
	struct context_call question = {.tool = name, .doc = c->doc, .args = args};
	struct judging j = {.c = c,
	    .rate = {.session = mcp_rates(c->agent, c->context), .context = c->rules}};
	struct context_verdict v;

	c->d.row.tool = name;
	if (j.rate.session == NULL) {
		mcp_error(c, 503, RPC_INTERNAL, "503", "Out of memory");
		return false;
	}
	context_eval(c->rules->rules, &question, rate_wait, &j, &v);
	if (!v.allowed) {
		mcp_deny(c, v.code, v.why, v.retry_after);
		return false;
	}
	if (agent_limits(c) != 0)
		return false;
	c->d.row.event = span_str("ToolCallAuthorized");
	buf_reset(&arguments);
	if (seal_arguments(c->doc, args, &arguments) == 0)
		c->d.row.arguments = span_mem(arguments.p, arguments.len);
	session_rate_detail(v.cap, c->detail);
	c->d.row.detail = span_str(c->detail);
	session_rate_take(&j.rate, v.cap);
	c->cap = v.cap;
	*max_response = v.max_response;
	return true;
}

/* ---- calls under way ---- */

static void
drop_questions(struct call *k)
{
	struct question *q;

	while ((q = TAILQ_FIRST(&k->questions)) != NULL) {
		TAILQ_REMOVE(&k->questions, q, link);
		free(q);
	}
}

void
mcp_call_over(const uint8_t request_id[16])
{
	struct call *k = map_get(&by_request, request_id, 16);

	if (k == NULL)
		return;
	map_del(&by_request, k->request_id, sizeof(k->request_id));
	TAILQ_REMOVE(&calls, k, link);
	drop_questions(k);
	free(k);
}

void
mcp_forget_session(const struct mcp_session *s)
{
	struct call *k;

	TAILQ_FOREACH (k, &calls, link)
		if (k->session == s) {
			k->session = NULL;
			drop_questions(k);
		}
}

static int
note_call(struct mcp *c, struct tool_server *t)
{
	struct call *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return -1;
	memcpy(k->request_id, c->d.request_id, sizeof(k->request_id));
	k->session = c->s;
	k->server = t;
	k->agent = c->agent;
	snprintf(k->context, sizeof(k->context), "%s", c->context);
	(void)span_copy(c->in.id, k->id, sizeof(k->id));
	k->cap = c->cap;
	TAILQ_INIT(&k->questions);
	if (map_put(&by_request, k->request_id, sizeof(k->request_id), k) == -1) {
		free(k);
		return -1;
	}
	TAILQ_INSERT_TAIL(&calls, k, link);
	return 0;
}

void
mcp_forward(struct mcp *c, struct tool_server *server, uint64_t max_response)
{
	struct redeemer *toolhost = redeemer_toolhost();
	char execution[TOOL_EXECUTION_SIZE] = "";
	struct decide_tool t = {.server = server->number,
	    .execution = span_str(""),
	    .payload = c->body.p,
	    .payload_len = (uint32_t)c->body.len,
	    .timeout_ms = server->timeout_ms != 0 ? server->timeout_ms
						  : judge_conf.request_timeout_ms,
	    .max_response = max_response != 0 ? max_response : UINT64_MAX,
	    .agent = c->agent,
	    .wrap = c->modern ? WRAP_MCP_2026 : WRAP_MCP,
	    .log_level = c->level};

	c->d.row.server = span_str(server->name);
	if (server->per_execution && c->s == NULL) {
		mcp_error(c, 400, RPC_NO_SESSION, "no_session",
		    "This tool server has a process for each session: initialize one");
		return;
	}
	if (server->per_execution) {
		tool_execution_of(c->s->id, execution);
		t.execution = span_str(execution);
		c->s->has_processes = true;
	}
	if (toolhost == NULL) {
		mcp_error(c, 503, RPC_INTERNAL, "503",
		    "Tools cannot be reached at the moment; try again");
		return;
	}
	if (c->in.kind == MCP_REQUEST && note_call(c, server) == -1) {
		mcp_error(c, 503, RPC_INTERNAL, "503", "Out of memory");
		return;
	}
	if (c->agent->limiter != NULL)
		limiter_take(c->agent->limiter, judge_limit_ms());
	decide_grant_tool(&c->d, toolhost, &t);
	if (c->d.row.decision != LEDGER_ALLOWED)
		mcp_call_over(c->d.request_id); /* there is no flight that would end it */
}

void
mcp_cancel(struct mcp *c, struct span id)
{
	struct redeemer *toolhost = redeemer_toolhost();
	MSG_INIT(tool_withdraw, m);
	struct call *k;

	TAILQ_FOREACH_REVERSE(k, &calls, call_list, link)
	if (k->session == c->s && k->id[0] != '\0' && span_eq(id, k->id))
		break;
	if (k == NULL || c->s == NULL || toolhost == NULL)
		return; /* it was answered a moment ago */
	memcpy(m.request_id, k->request_id, sizeof(m.request_id));
	chan_note(toolhost->chan, MSG_tool_withdraw, &m);
}

/* ---- questions of servers ---- */

/* The question that the response's id names, if it went to this session. */
static struct question *
find_question(const struct mcp *c, struct call **of)
{
	uint32_t id = json_get(c->doc, json_root(c->doc), "id");
	char text[40], *end;
	struct question *q;
	uint64_t number;

	if (json_str_copy(c->doc, id, text, sizeof(text), NULL) == -1 ||
	    strncmp(text, ID_PREFIX, sizeof(ID_PREFIX) - 1) != 0)
		return NULL;
	number = strtoull(text + sizeof(ID_PREFIX) - 1, &end, 10);
	if (*end != '\0')
		return NULL;
	TAILQ_FOREACH (*of, &calls, link) {
		if ((*of)->session != c->s)
			continue;
		TAILQ_FOREACH (q, &(*of)->questions, link)
			if (q->number == number)
				return q;
	}
	return NULL;
}

void
mcp_respond(struct mcp *c)
{
	struct question *q;
	struct call *k;

	c->d.row.event = span_str("mcp.response");
	if ((q = find_question(c, &k)) == NULL) {
		/* no fault of the client: the call may have ended a moment ago */
		c->d.row.decision = LEDGER_BLOCKED;
		c->d.row.code = span_str("unknown_response");
		c->d.row.reason = span_str("nobody waits for this response");
		decide_answer(&c->d, 202, NULL, 0);
		return;
	}
	snprintf(c->tool, sizeof(c->tool), "%s", q->method);
	c->d.row.tool = span_str(c->tool);
	TAILQ_REMOVE(&k->questions, q, link);
	free(q);
	mcp_forward(c, k->server, 0);
}

/* Why the server may not ask this, or NULL. */
static const char *
may_ask(const struct call *k, const char *method)
{
	struct context_entry *e;

	if (k == NULL || k->session == NULL)
		return "the agent has no session in which it could be asked";
	if (strcmp(method, "sampling/createMessage") == 0 && !k->session->sampling)
		return "the client cannot sample";
	if (strcmp(method, "elicitation/create") == 0 && !k->session->elicitation)
		return "the client cannot be elicited";
	e = context_find(k->session->tenant, span_str(k->context));
	if (e == NULL || !mcp_may(e, k->server, method))
		return "the SecurityContext does not permit it";
	return NULL;
}

/* What is answered when the row is written. */
struct permit_answer {
	struct chan *chan;
	uint64_t reqid;
	uint8_t permitted;
	char message[128];
};

static void
send_permit(int ok, void *arg)
{
	struct permit_answer *a = arg;
	MSG_INIT(client_permit, m);

	m.permitted = ok ? a->permitted : 0;
	m.message = span_str(ok ? a->message : "the ledger cannot be written");
	(void)chan_answer(a->chan, a->reqid, MSG_client_permit, &m);
	free(a);
}

int
mcp_client_ask(struct chan *chan, uint64_t reqid, void *msg)
{
	const struct msg_client_ask *m = msg;
	struct call *k = map_get(&by_request, m->request_id, sizeof(m->request_id));
	struct permit_answer *a = calloc(1, sizeof(*a));
	struct question *q = calloc(1, sizeof(*q));
	struct ledger_row row = {.kind = LEDGER_DECISION,
	    .event = span_str("mcp.question"),
	    .request = m->request_id,
	    .method = m->method,
	    .has_bytes = 1,
	    .bytes_out = m->bytes};
	char name[CONTEXT_TOOL_MAX + 1];
	const char *why;

	if (a == NULL || q == NULL) {
		free(a);
		free(q);
		return chan_answer_error(chan, reqid, 1, "out of memory") == -1 ? -1 : 0;
	}
	(void)span_copy(m->method, q->method, sizeof(q->method));
	why = may_ask(k, q->method);
	if (k != NULL) {
		mcp_policy_name(name, k->server, q->method);
		row.tool = span_str(name);
		row.server = span_str(k->server->name);
		row.tenant = span_str(k->agent->row.tenant);
		row.agent = span_str(k->agent->row.name);
		row.context = span_str(k->context);
		if (k->session != NULL)
			row.session = span_str(k->session->id);
	}
	row.decision = why == NULL ? LEDGER_ALLOWED : LEDGER_BLOCKED;
	row.reason = span_str(why);
	if (why != NULL)
		row.code = span_str("2000");
	(void)ledger_append(&row, NULL);
	a->chan = chan;
	a->reqid = reqid;
	a->permitted = why == NULL;
	snprintf(a->message, sizeof(a->message), "%s", why != NULL ? why : "");
	if (why == NULL) {
		q->number = m->number;
		TAILQ_INSERT_TAIL(&k->questions, q, link);
	} else {
		free(q);
	}
	turn_then(send_permit, a);
	return 0;
}
