/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of a question: refusal, answer, grant. Judge only. */
#include "keymasterd/judge/decide.h"

#include <string.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/count.h"
#include "keymasterd/judge/flight.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/socket.h"
#include "keymasterd/judge/turn.h"

static struct buf body;

void
decide_begin(struct decide *d, struct chan *c, uint64_t reqid, struct span peer)
{
	memset(d, 0, sizeof(*d));
	d->chan = c;
	d->reqid = reqid;
	judge_random(d->request_id, sizeof(d->request_id));
	d->row.kind = LEDGER_DECISION;
	d->row.request = d->request_id;
	d->row.peer = peer;
	d->budget = -1;
}

/* 0 when there is a row now. One that cannot be written makes the turn fail, and with it
 * the answer. */
static int
append(struct decide *d)
{
	if (d->row.kind == 0)
		return 1;
	d->row.request = d->request_id;
	if (d->row.decision == LEDGER_BLOCKED)
		count_blocked(&d->row);
	if (d->budget >= 0)
		return ledger_append_budget(&d->row, (enum ledger_cause)d->budget,
		    d->chan != NULL ? role_name(chan_peer_role(d->chan)) : NULL,
		    d->chan != NULL ? chan_peer_instance(d->chan) : 0);
	return ledger_append(&d->row, NULL);
}

static void
answer(struct decide *d, uint32_t status, struct span json)
{
	MSG_INIT(decision, m);

	m.verdict = VERDICT_ANSWER;
	memcpy(m.request_id, d->request_id, sizeof(m.request_id));
	m.status = status;
	m.headers = span_str(d->headers);
	m.close = d->close;
	m.body = json;
	turn_decision(d->chan, d->reqid, &m, d->seal);
}

void
decide_answer(struct decide *d, uint32_t status, const void *p, size_t len)
{
	if (d->row.status == 0)
		d->row.status = status;
	(void)append(d);
	answer(d, status, span_mem(p, len));
}

void
decide_refuse_kv(struct decide *d, uint32_t status, const char *code, struct span error,
    const char *hint, const struct decide_kv *kv, size_t n)
{
	struct jsonw w;
	size_t i;

	d->row.decision = LEDGER_BLOCKED;
	d->row.code = span_str(code);
	d->row.status = status;
	d->row.reason = error;
	if (append(d) == 0)
		hook_refused(d, span_str(code), kv, n);
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key(&w, "error");
	jsonw_strn(&w, error.p, error.len);
	for (i = 0; i < n && kv[i].key != NULL; i++) {
		jsonw_key(&w, kv[i].key);
		if (kv[i].kind == DECIDE_UINT)
			jsonw_uint(&w, kv[i].u);
		else if (kv[i].kind == DECIDE_LIST)
			jsonw_list(&w, kv[i].s);
		else
			jsonw_strn(&w, kv[i].s.p, kv[i].s.len);
	}
	if (hint != NULL)
		jsonw_key_str(&w, "hint", hint);
	jsonw_obj_close(&w);
	answer(
	    d, status, jsonw_done(&w) == 0 ? span_mem(body.p, body.len) : span_str("{}"));
}

void
decide_refuse_seal(struct decide *d, uint32_t status, unsigned code, const char *message,
    struct span request)
{
	char text[16], now[RFC3339_SIZE], id[2 * REQUEST_ID_LEN + 1];
	uint64_t us = loop_unix_us();
	struct buf digits;
	struct jsonw w;

	buf_init(&digits);
	(void)buf_printf(&digits, "%u", code);
	(void)span_copy(span_mem(digits.p, digits.len), text, sizeof(text));
	buf_free(&digits);
	(void)hex_encode(d->request_id, sizeof(d->request_id), id, sizeof(id));
	(void)rfc3339_format((int64_t)(us / 1000000), (uint32_t)(us % 1000000) * 1000, 3,
	    now, sizeof(now));
	d->row.decision = LEDGER_BLOCKED;
	if (d->row.code.p == NULL)
		d->row.code = span_str(text);
	d->row.status = status;
	d->row.reason = span_str(message);
	(void)append(d);
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "protocol", "seal/v1");
	jsonw_key_str(&w, "status", "error");
	jsonw_key(&w, "error");
	jsonw_obj_open(&w);
	jsonw_key_int(&w, "code", code);
	jsonw_key_str(&w, "message", message);
	jsonw_key_str(&w, "timestamp", now);
	jsonw_key(&w, "request_id");
	if (request.p != NULL)
		jsonw_raw(&w, request.p, request.len);
	else
		jsonw_str(&w, id);
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
	answer(
	    d, status, jsonw_done(&w) == 0 ? span_mem(body.p, body.len) : span_str("{}"));
}

/* Seals over the digest in d->row.judged, notes the flight, writes the row. NULL: no
 * memory. */
static struct flight *
grant_make(struct decide *d, struct redeemer *r, struct agent *agent, uint32_t timeout_ms,
    struct grant *g)
{
	struct flight *f;

	memcpy(g->request_id, d->request_id, sizeof(g->request_id));
	if (grant_seal(g, r->key, loop_boot_ms(), d->row.judged) == -1)
		return NULL;
	f = flight_new(r, agent, &d->row, g, timeout_ms);
	if (f == NULL)
		return NULL;
	d->row.decision = LEDGER_ALLOWED;
	(void)append(d);
	return f;
}

static void
grant_fields(struct msg_decision *m, const struct decide *d, const struct redeemer *r,
    const struct grant *g)
{
	memcpy(m->request_id, d->request_id, sizeof(m->request_id));
	m->redeemer = r->instance;
	memcpy(m->grant, g->id, sizeof(m->grant));
	m->not_after = g->not_after_ms;
	memcpy(m->mac, g->mac, sizeof(m->mac));
}

static void
no_grant(struct decide *d)
{
	d->row.judged = NULL;
	if (d->seal)
		decide_refuse_seal(
		    d, 503, 503, "No grant could be made", (struct span){NULL, 0});
	else
		decide_refuse(d, 503, "no_grant", "No grant could be made", NULL, DK_END);
}

void
decide_grant_tool(struct decide *d, struct redeemer *r, const struct decide_tool *t)
{
	uint8_t digest[GRANT_DIGEST_LEN];
	struct grant g;
	MSG_INIT(decision, m);

	d->row.judged = digest;
	grant_digest_tool(t->server, t->execution, t->payload, t->payload_len, digest);
	if (grant_make(d, r, t->agent, t->timeout_ms, &g) == NULL) {
		no_grant(d);
		return;
	}
	grant_fields(&m, d, r, &g);
	m.verdict = VERDICT_TOOL;
	m.server = t->server;
	m.execution = t->execution;
	m.payload_off = t->payload_off;
	m.payload_len = t->payload_len;
	m.timeout_ms = t->timeout_ms;
	m.max_response = t->max_response;
	m.wrap = t->wrap != 0 ? t->wrap : WRAP_SEAL;
	m.log_level = t->log_level;
	turn_decision(d->chan, d->reqid, &m, d->seal);
	d->row.judged = NULL;
}

void
decide_grant_proxy(struct decide *d, struct redeemer *r, const struct decide_proxy *p)
{
	struct socket *socket = p->upgrade ? socket_new(d, p) : NULL;
	uint8_t digest[GRANT_DIGEST_LEN];
	struct flight *f = NULL;
	struct grant g;
	MSG_INIT(decision, m);

	d->row.judged = digest;
	grant_digest_proxy(p->method, p->authority, p->target, p->headers, p->body_len,
	    judge_conf.max_body_bytes, p->upgrade, digest);
	if (!p->upgrade || socket != NULL)
		f = grant_make(d, r, p->agent, judge_conf.request_timeout_ms, &g);
	if (f == NULL) {
		socket_free(socket);
		no_grant(d);
		return;
	}
	f->socket = socket;
	grant_fields(&m, d, r, &g);
	m.verdict = VERDICT_PROXY;
	m.authority = p->authority;
	m.target = p->target;
	m.max_body = judge_conf.max_body_bytes;
	m.inspect = (uint8_t)p->inspect;
	m.timeout_ms = judge_conf.request_timeout_ms;
	m.idle_ms = judge_conf.websocket_idle_ms;
	m.max_response = UINT64_MAX;
	turn_decision(d->chan, d->reqid, &m, d->seal);
	d->row.judged = NULL;
}
