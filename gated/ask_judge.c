/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the judge, and what to do with its decision. gated.
 */
#include <string.h>

#include "common/log.h"
#include "common/metrics.h"
#include "common/msg.h"
#include "common/proc.h"
#include "gated/answer.h"
#include "gated/ask.h"
#include "gated/body.h"
#include "gated/conn.h"
#include "gated/feed.h"
#include "gated/mcp_stream.h"
#include "gated/refuse.h"

#define JUDGE_TIMEOUT_MS 10000 /* it waits up to 5 s for a worker to start */
#define ROW_TARGET_MAX 1024
#define ROW_DETAIL_MAX 256
#define PARTS_MAX (4u << 20)

static const uint8_t no_id[REQUEST_ID_LEN];

static void on_decision(struct chan *, enum chan_status, void *, void *);

int
on_answer_part(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_answer_part *m = msg;
	struct req *r = chan_waiter(c, reqid, on_decision);

	/* a part that cannot be kept makes the answer wrong: none is better */
	if (r != NULL && r->conn != NULL &&
	    (r->parts.len + m->data.len > PARTS_MAX ||
		buf_put(&r->parts, m->data.p, m->data.len) == -1)) {
		chan_forget(c, reqid);
		r->ask = 0;
		refuse_alone(r, 503);
	}
	return 0;
}

static void
answer_of_judge(struct req *r, const struct msg_decision *m)
{
	struct iovec iov[2] = {{r->parts.p, r->parts.len}, {NULL, m->body.len}};
	struct buf text;

	memcpy(&iov[1].iov_base, &m->body.p, sizeof(m->body.p));
	if (m->close)
		r->conn->close_after = true;
	if (m->status != 200) /* what came ahead of it is not said */
		iov[0].iov_len = 0;
	if (m->status != 200 || r->route->kind != ROUTE_METRICS) {
		answer_json(r, m->status, m->headers, iov, 2);
		return;
	}
	buf_init(&text);
	if (metrics_text(span_mem(r->parts.p, r->parts.len), &text) == -1) {
		LOG_ERROR("metrics.text", LX("request", r->id, sizeof(r->id)),
		    LU("octets", r->parts.len));
		refuse_alone(r, 503);
	} else {
		iov[0] = (struct iovec){text.p, text.len};
		answer_json(r, 200, m->headers, iov, 1);
	}
	buf_free(&text);
}

static void
carry_out(struct req *r, const struct msg_decision *m)
{
	const struct grant_view g = {
	    .id = m->grant,
	    .mac = m->mac,
	    .not_after = m->not_after,
	    .max_response = m->max_response,
	    .max_body = m->max_body,
	    .server = m->server,
	    .execution = m->execution,
	    .payload_off = m->payload_off,
	    .payload_len = m->payload_len,
	    .timeout_ms = m->timeout_ms,
	    .idle_ms = m->idle_ms,
	    .log_level = m->log_level,
	    .authority = m->authority,
	    .target = m->target,
	};

	r->wrap = m->wrap;
	r->max_response = m->max_response;
	r->inspect = m->inspect;
	if (inspect_begin(r, m->inspect) == -1 || answer_continue(r) == -1)
		return;
	redeemer_send(r, m->verdict == VERDICT_PROXY ? ROLE_WORKER : ROLE_TOOLHOST,
	    m->redeemer, &g);
}

static bool
fits(const struct req *r, const struct msg_decision *m)
{
	switch (m->verdict) {
	case VERDICT_ANSWER:
		return m->status >= 200 && m->status <= 599;
	case VERDICT_PROXY:
		return r->state == REQ_ASKED && r->route->kind == ROUTE_PROXY;
	case VERDICT_TOOL:
		return r->state == REQ_ASKED && r->route->kind != ROUTE_PROXY &&
		    (m->wrap >= WRAP_MCP) == (r->route->kind == ROUTE_MCP);
	case VERDICT_STREAM:
		return r->state == REQ_ASKED &&
		    (r->route->kind == ROUTE_MCP || r->route->kind == ROUTE_FEED);
	default:
		return false;
	}
}

static void
on_decision(struct chan *chan, enum chan_status status, void *msg, void *arg)
{
	struct msg_decision *m = msg;
	struct req *r = arg;

	(void)chan;
	r->ask = 0;
	if (r->conn == NULL) { /* whoever asked for a stream has left */
		if (status == CHAN_OK && m->verdict == VERDICT_STREAM)
			(r->route->kind == ROUTE_FEED
				? feed_tell_gone
				: mcp_stream_tell_gone)(m->request_id);
		req_free(r);
		return;
	}
	if (status != CHAN_OK || !fits(r, m)) {
		req_name(r);
		LOG_WARN("judge.silent", LX("request", r->id, sizeof(r->id)),
		    LI("status", status));
		refuse_alone(r, r->state == REQ_REFUSING ? r->refused : 503);
		return;
	}
	if (memcmp(m->request_id, no_id, sizeof(no_id)) != 0) {
		memcpy(r->id, m->request_id, sizeof(r->id));
		r->has_id = true;
	}
	if (m->verdict == VERDICT_ANSWER)
		answer_of_judge(r, m);
	else if (m->verdict == VERDICT_STREAM && r->route->kind == ROUTE_FEED)
		feed_open(r);
	else if (m->verdict == VERDICT_STREAM)
		mcp_stream_open(r);
	else
		carry_out(r, m);
}

static void
ask(struct req *r, enum msg_type type, void *msg)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);

	if (r->state != REQ_REFUSING)
		r->state = REQ_ASKED;
	r->chan = judge;
	if (judge != NULL)
		r->ask = chan_ask(judge, type, msg, JUDGE_TIMEOUT_MS, on_decision, r);
	else
		msg_release(msg_desc_get(type), msg);
	if (r->ask == 0)
		refuse_alone(r, r->state == REQ_REFUSING ? r->refused : 503);
}

void
judge_ask_proxy(struct req *r)
{
	MSG_INIT(proxy_authorize, m);

	m.peer = span_str(r->conn->peer);
	m.token = req_part(r, r->token);
	m.method = req_method(r);
	m.target = req_part(r, r->target);
	m.has_target_host = r->has_target_host;
	m.target_host = req_part(r, r->target_host);
	m.headers = req_part(r, r->headers);
	m.body_len = r->body_len;
	m.process = r->conn->process;
	m.upgrade = r->ws != NULL;
	ask(r, MSG_proxy_authorize, &m);
}

void
judge_ask_seal(struct req *r)
{
	struct span body = req_body(r);
	MSG_INIT(seal_authorize, m);

	m.peer = span_str(r->conn->peer);
	m.target = req_part(r, r->target);
	if (body.len <= INLINE_JSON_MAX) {
		m.envelope = body;
	} else if ((m.big = body_memfd(body.p, body.len)) == -1) {
		refuse_alone(r, 503);
		return;
	}
	ask(r, MSG_seal_authorize, &m);
}

void
judge_ask_api(struct req *r)
{
	MSG_INIT(api_request, m);

	m.peer = span_str(r->conn->peer);
	m.method = req_method(r);
	m.target = req_part(r, r->target);
	m.content_type = req_part(r, r->content_type);
	m.authorization = req_part(r, r->authorization);
	m.token = req_part(r, r->token);
	m.host = req_part(r, r->host);
	m.origin = req_part(r, r->origin);
	m.context = req_part(r, r->context);
	m.body = req_body(r);
	m.process = r->conn->process;
	ask(r, MSG_api_request, &m);
}

void
judge_ask_mcp(struct req *r)
{
	struct span body = req_body(r);
	MSG_INIT(mcp_request, m);

	m.peer = span_str(r->conn->peer);
	m.method = req_method(r);
	m.target = req_part(r, r->target);
	m.content_type = req_part(r, r->content_type);
	m.accept = req_part(r, r->accept);
	m.authorization = req_part(r, r->authorization);
	m.token = req_part(r, r->token);
	m.host = req_part(r, r->host);
	m.origin = req_part(r, r->origin);
	m.session = req_part(r, r->session);
	m.version = req_part(r, r->version);
	m.context = req_part(r, r->context);
	m.rpc_method = req_part(r, r->rpc_method);
	m.rpc_name = req_part(r, r->rpc_name);
	if (body.len <= INLINE_MCP_MAX) {
		m.body = body;
	} else if ((m.big = body_memfd(body.p, body.len)) == -1) {
		refuse_alone(r, 503);
		return;
	}
	m.process = r->conn->process;
	ask(r, MSG_mcp_request, &m);
}

void
judge_tell_found(struct req *r, const char *words)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(body_found, m);

	memcpy(m.request_id, r->id, sizeof(m.request_id));
	m.detail = span_str(words);
	if (judge != NULL)
		(void)chan_note(judge, MSG_body_found, &m);
}

static void
on_noted(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	(void)c;
	(void)status;
	(void)msg;
	(void)arg;
}

void
judge_tell_blocked(struct req *r, const char *words)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(refusal_record, m);

	m.peer = span_str(r->conn->peer);
	m.reason = REFUSAL_BODY_INSPECTION;
	m.status = 403;
	m.method = span_str(WEBSOCKET_METHOD);
	m.target = req_part(r, r->target);
	if (m.target.len > ROW_TARGET_MAX)
		m.target.len = ROW_TARGET_MAX;
	m.detail = span_str(words);
	memcpy(m.request_id, r->id, sizeof(r->id));
	if (judge != NULL)
		(void)chan_ask(
		    judge, MSG_refusal_record, &m, JUDGE_TIMEOUT_MS, on_noted, NULL);
}

void
judge_ask_refusal(struct req *r, enum refusal reason, unsigned status, const char *detail)
{
	MSG_INIT(refusal_record, m);

	m.peer = span_str(r->conn->peer);
	m.reason = reason;
	m.status = status;
	m.method = req_method(r);
	m.target = req_part(r, r->target);
	if (m.target.len > ROW_TARGET_MAX)
		m.target.len = ROW_TARGET_MAX;
	m.detail = span_str(detail);
	if (m.detail.len > ROW_DETAIL_MAX)
		m.detail.len = 0;
	m.seal = r->seal;
	memcpy(m.request_id, r->id, sizeof(r->id));
	ask(r, MSG_refusal_record, &m);
}
