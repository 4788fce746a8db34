/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to /mcp: who asks, in which session, and what the transport demands (MCP,
 * "Streamable HTTP"). Judge only; every field and octet is an agent's.
 */
#include "keymasterd/judge/attest_method.h"
#include "keymasterd/judge/mcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/proto.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/mcp_forward.h"
#include "keymasterd/judge/mcp_stream.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/sealed.h"

#define KEEP_OCTETS (1u << 20)
#define LEGACY "legacy"

struct mcp_conf mcp_conf = {.seal_required = true, .idle_s = 1800};

static struct agent legacy; /* clients without a token, all of them */
static struct json_doc doc;
static struct buf big;

int
mcp_conf_read(const struct msg_conf_mcp *m, struct mcp_conf *c)
{
	c->seal_required = m->seal_required != 0;
	c->idle_s = m->idle_s != 0 ? m->idle_s : 1800;
	return span_copy(m->legacy_context, c->legacy_context,
		   sizeof(c->legacy_context)) == -1 ||
		span_copy(m->hosts, c->hosts, sizeof(c->hosts)) == -1
	    ? -1
	    : 0;
}

int
mcp_configure(void *msg)
{
	snprintf(legacy.row.name, sizeof(legacy.row.name), LEGACY);
	snprintf(legacy.row.id, sizeof(legacy.row.id), LEGACY);
	return mcp_conf_read(msg, &mcp_conf);
}

/* ---- who asks ---- */

static void
unknown(struct mcp *c, const char *code, const char *message)
{
	c->d.budget = LEDGER_CAUSE_TOKEN;
	c->d.headers = "WWW-Authenticate: Bearer realm=\"aegis\"\r\n";
	mcp_error(c, 401, RPC_REFUSED, code, message);
}

/* Sets c->agent. 0, or -1: the request was answered. */
static int
identify(struct mcp *c)
{
	struct span token = judge_token_of(c->m->token, c->m->authorization);
	struct attest_ask ask = {.process = c->m->process};
	enum agent_token_state state;
	const char *why;

	if (token.len > 0) {
		c->agent = agent_by_token(token, judge_now_ms(), &state);
		if (c->agent == NULL) {
			unknown(c,
			    state == TOKEN_EXPIRED ? "agent_expired" : "agent_unknown",
			    state == TOKEN_EXPIRED
				? "The agent token has expired; make another with `aegis "
				  "agent regenerate`"
				: "The agent token is not known");
			return -1;
		}
		ask.agent = c->agent;
		if (attest_by_process.check(&ask, &why) == -1) {
			unknown(c, "process_refused", why);
			return -1;
		}
		judge_sha256(token.p, token.len, c->token_hash);
	} else if (!mcp_conf.seal_required && c->m->authorization.len == 0) {
		/* a page under a name that its owner leads here could say nothing better
		 */
		if (!mcp_host_ok(c->m->host, span_str(mcp_conf.hosts))) {
			c->d.budget = LEDGER_CAUSE_TOKEN;
			mcp_error(c, 403, RPC_REFUSED, "host",
			    "This Host is not served without a token; `mcp.hosts` of the "
			    "configuration lists the names");
			return -1;
		}
		c->agent = &legacy;
		snprintf(legacy.row.tenant, sizeof(legacy.row.tenant), "%s",
		    judge_conf.tenant);
	} else {
		unknown(c, "agent_missing",
		    "Send the agent's token as Authorization: Bearer or X-Aegis-Agent; "
		    "`aegis agent add` makes one");
		return -1;
	}
	c->d.row.agent = span_str(c->agent->row.name);
	c->d.row.tenant = span_str(c->agent->row.tenant);
	return 0;
}

/* ---- the SecurityContext ---- */

struct choice {
	const char *only;
	unsigned n;
};

static void
count_context(const char *name, void *arg)
{
	struct choice *k = arg;

	k->only = name;
	k->n++;
}

/* What the client asks for, in a header or in _meta; "" for nothing. */
static void
wanted_context(const struct mcp *c, char out[STORE_CONTEXT_MAX])
{
	uint32_t meta = json_get(c->doc, c->in.meta, "aegis/context");

	out[0] = '\0';
	if (c->m->context.len > 0)
		(void)span_copy(c->m->context, out, STORE_CONTEXT_MAX);
	else if (meta != JSON_NONE)
		(void)json_str_copy(c->doc, meta, out, STORE_CONTEXT_MAX, NULL);
}

static void
no_context(struct mcp *c, const char *message)
{
	mcp_error(c, 403, RPC_REFUSED, "context", message);
}

/* The context of a new session, into `name`. 0, or -1: the request was answered. */
static int
choose_context(struct mcp *c, char name[STORE_CONTEXT_MAX])
{
	struct choice k = {NULL, 0};
	char why[300];

	wanted_context(c, name);
	if (c->agent == &legacy) {
		if (name[0] != '\0' && strcmp(name, mcp_conf.legacy_context) != 0) {
			no_context(
			    c, "A client without a token cannot choose its context");
			return -1;
		}
		snprintf(name, STORE_CONTEXT_MAX, "%s", mcp_conf.legacy_context);
		return 0;
	}
	if (name[0] != '\0') {
		if (agent_may_context(c->agent, name))
			return 0;
		no_context(c, "This SecurityContext is not available to the agent");
		return -1;
	}
	agent_context_each(c->agent, count_context, &k);
	if (k.n == 1) {
		snprintf(name, STORE_CONTEXT_MAX, "%s", k.only);
		return 0;
	}
	if (k.n == 0)
		snprintf(why, sizeof(why),
		    "The agent has no SecurityContext: run `aegis agent context --agent "
		    "%s "
		    "--context NAME`",
		    c->agent->row.name);
	else
		snprintf(why, sizeof(why),
		    "The agent may use several SecurityContexts: name one in the "
		    "X-Aegis-Context header or in _meta[\"aegis/context\"]");
	no_context(c, why);
	return -1;
}

/* Sets c->rules to what the name stands for now. */
static int
load_context(struct mcp *c, const char *name)
{
	c->context = name;
	c->d.row.context = span_str(name);
	c->rules = context_find(c->agent->row.tenant, span_str(name));
	if (c->rules != NULL)
		return 0;
	no_context(c, "The SecurityContext does not exist: see `aegis context list`");
	return -1;
}

/* ---- sessions ---- */

/* 0, or -1: the request was answered. */
static int
find_session(struct mcp *c)
{
	if (c->m->session.len == 0) {
		mcp_error(c, 400, RPC_INVALID, "no_session",
		    "Mcp-Session-Id is missing: begin with initialize");
		return -1;
	}
	c->s = mcp_session_find(c->m->session, c->agent, c->token_hash);
	if (c->s == NULL) {
		mcp_error(c, 404, RPC_NO_SESSION, "unknown_session",
		    "Session not found: begin with initialize");
		return -1;
	}
	c->d.row.session = span_str(c->s->id);
	c->level = c->s->level;
	return load_context(c, c->s->context);
}

static bool
version_known(struct span v)
{
	return span_eq(v, MCP_VERSION_2026) || span_eq(v, MCP_VERSION_SESSION) ||
	    span_eq(v, "2025-06-18") || span_eq(v, "2025-03-26") ||
	    span_eq(v, "2024-11-05");
}

static void
unknown_version(struct mcp *c)
{
	static const char data[] =
	    "{\"supported\":[\"" MCP_VERSION_2026 "\",\"" MCP_VERSION_SESSION
	    "\",\"2025-06-18\",\"2025-03-26\",\"2024-11-05\"]}";

	mcp_error_data(c, 400, RPC_NO_VERSION, "version",
	    "Unsupported MCP-Protocol-Version", span_str(data));
}

/* ---- HTTP methods ---- */

static void
take_notification(struct mcp *c)
{
	uint32_t id;
	const uint8_t *p;
	size_t len;

	if (strcmp(c->in.method, "notifications/cancelled") == 0) {
		id = json_get(c->doc, c->in.params, "requestId");
		if (json_raw(c->doc, id, &p, &len) == 0)
			mcp_cancel(c, span_mem(p, len));
	}
	mcp_accepted(c); /* others mean nothing to us */
}

/* A message of 2026-07-28: the context is chosen anew for each. */
static void
take_alone(struct mcp *c)
{
	char name[STORE_CONTEXT_MAX];

	if (c->in.kind == MCP_NOTIFICATION)
		mcp_accepted(c); /* none is defined; to cancel is to leave */
	else if (c->in.kind == MCP_RESPONSE)
		mcp_error(c, 400, RPC_INVALID, "malformed", "nothing was asked");
	else if (mcp_2026_check(c) == 0 && choose_context(c, name) == 0 &&
	    load_context(c, name) == 0)
		mcp_dispatch(c);
}

static void
take_message(struct mcp *c)
{
	char name[STORE_CONTEXT_MAX];

	if (c->modern) {
		take_alone(c);
		return;
	}
	if (c->in.kind == MCP_REQUEST && strcmp(c->in.method, "initialize") == 0) {
		if (choose_context(c, name) == 0 && load_context(c, name) == 0)
			mcp_initialize(c);
		return;
	}
	if (find_session(c) != 0)
		return;
	if (c->in.kind == MCP_REQUEST)
		mcp_dispatch(c);
	else if (c->in.kind == MCP_RESPONSE)
		mcp_respond(c);
	else
		take_notification(c);
}

/* The body, from the message or its memfd. 0 or -1. */
static int
take_body(struct mcp *c)
{
	struct stat st;

	c->body = c->m->body;
	if (c->m->big < 0)
		return 0;
	if (fstat(c->m->big, &st) != 0 || st.st_size < 0 ||
	    st.st_size > (off_t)MCP_BODY_MAX)
		return -1;
	buf_reset(&big);
	if (buf_reserve(&big, (size_t)st.st_size + 1) != 0 ||
	    pread(c->m->big, big.p, (size_t)st.st_size, 0) != st.st_size)
		return -1;
	c->body = span_mem(big.p, (size_t)st.st_size);
	return 0;
}

static void
do_post(struct mcp *c)
{
	const char *why;
	int r;

	if (!mcp_is_json(c->m->content_type)) {
		mcp_error(c, 415, RPC_REFUSED, "media_type",
		    "Content-Type must be application/json");
		return;
	}
	if (!mcp_accepts(c->m->accept, "application/json") ||
	    !mcp_accepts(c->m->accept, "text/event-stream")) {
		mcp_error(c, 406, RPC_REFUSED, "accept",
		    "Accept must list application/json and text/event-stream");
		return;
	}
	if (take_body(c) != 0) {
		mcp_error(c, 413, RPC_INVALID, "413", "The message is too large");
		return;
	}
	if ((r = mcp_read(c->doc, c->body.p, c->body.len, &c->in, &why)) != 0) {
		mcp_error(c, 400, r, "malformed", why);
		return;
	}
	if (c->in.kind != MCP_RESPONSE)
		c->d.row.method = span_str(c->in.method);
	take_message(c);
}

static void
do_get(struct mcp *c)
{
	if (!mcp_accepts(c->m->accept, "text/event-stream"))
		mcp_error(
		    c, 406, RPC_REFUSED, "accept", "Accept must list text/event-stream");
	else if (find_session(c) == 0)
		mcp_stream_grant(c);
}

static void
do_delete(struct mcp *c)
{
	char id[MCP_SESSION_ID_LEN + 1];

	if (find_session(c) != 0)
		return;
	memcpy(id, c->s->id, sizeof(id)); /* for the row, which comes after it */
	c->d.row.session = span_str(id);
	c->d.row.context = span_str(c->rules->name);
	mcp_session_end(c->s);
	c->d.row.decision = LEDGER_ALLOWED;
	decide_answer(&c->d, 204, NULL, 0);
}

static const struct {
	const char *method;
	void (*fn)(struct mcp *);
} verbs[] = {{"POST", do_post}, {"GET", do_get}, {"DELETE", do_delete}};

static void
handle(struct mcp *c, struct span path)
{
	size_t i;

	if (judge_stopping) {
		c->d.budget = LEDGER_CAUSE_TOKEN;
		mcp_error(c, 503, RPC_INTERNAL, "503", "Shutting down");
		return;
	}
	if (vault_sealed) {
		c->d.budget = LEDGER_CAUSE_SEALED;
		mcp_error(
		    c, 503, RPC_INTERNAL, SEALED_CODE, SEALED_ERROR ". " SEALED_HINT);
		return;
	}
	if (!span_eq(path, "/mcp") && !span_eq(path, "/mcp/")) {
		c->d.budget = LEDGER_CAUSE_TOKEN;
		mcp_error(c, 404, RPC_REFUSED, "404", "There is nothing at this path");
		return;
	}
	if (!mcp_origin_ok(c->m->origin, span_str(mcp_conf.hosts))) {
		c->d.budget = LEDGER_CAUSE_TOKEN;
		mcp_error(c, 403, RPC_REFUSED, "origin",
		    "Pages of this Origin are not served; `mcp.hosts` of the "
		    "configuration "
		    "lists the names");
		return;
	}
	if (identify(c) != 0)
		return;
	if (c->m->version.len > 0 && !version_known(c->m->version)) {
		unknown_version(c);
		return;
	}
	c->modern = span_eq(c->m->version, MCP_VERSION_2026);
	if (c->modern && !span_eq(c->m->method, "POST")) {
		c->d.headers = "Allow: POST\r\n";
		mcp_error(c, 405, RPC_REFUSED, "405",
		    "Since 2026-07-28 there is nothing but POST");
		return;
	}
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (span_eq(c->m->method, verbs[i].method)) {
			verbs[i].fn(c);
			return;
		}
	c->d.headers = "Allow: GET, POST, DELETE\r\n";
	mcp_error(c, 405, RPC_REFUSED, "405", "This path knows GET, POST and DELETE");
}

int
mcp_request(struct chan *chan, uint64_t reqid, void *msg)
{
	const struct msg_mcp_request *m = msg;
	const char *mark = memchr(m->target.p, '?', m->target.len);
	struct mcp c = {.m = m, .doc = &doc};
	struct span path = m->target;

	if (mark != NULL)
		path.len = (size_t)(mark - path.p);
	c.in.params = c.in.meta = JSON_NONE;
	decide_begin(&c.d, chan, reqid, m->peer);
	c.d.row.method = m->method;
	c.d.row.path = path;
	handle(&c, path);
	if (big.cap > KEEP_OCTETS)
		buf_free(&big);
	if (doc.cap > KEEP_OCTETS / sizeof(struct json_node))
		json_free(&doc);
	return 0;
}
