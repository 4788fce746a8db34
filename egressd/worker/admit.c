/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the gate on their way in: grant, domain, form. What comes from the gate is
 * believed only as far as the grant seals it, and each one ends in exactly one `done`.
 */
#include <event2/event.h>
#include <event2/util.h>

#include <string.h>

#include "common/access.h"
#include "common/chan.h"
#include "common/log.h"
#include "common/loop.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/exchange.h"
#include "egressd/worker/grace.h"
#include "egressd/worker/respond.h"
#include "egressd/worker/socket.h"
#include "egressd/worker/worker.h"

#define TIMEOUT_DEFAULT_MS 60000
#define IDLE_DEFAULT_MS 300000

static bool
is_idempotent(struct span method)
{
	static const char *const names[] = {
	    "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_eq(method, names[i]))
			return true;
	return false;
}

/* Keeps a copy; the place is set once nothing more is added. */
static int
keep_text(struct exchange *ex, const struct msg_proxy_open *m)
{
	struct buf *t = &ex->text;
	const struct span parts[] = {m->method, m->target, m->headers, m->body};
	struct span *to[] = {&ex->request.method, &ex->request.target,
	    &ex->request.headers, &ex->request.body};
	size_t off = 0;

	for (size_t i = 0; i < 4; i++)
		if (buf_put(t, parts[i].p, parts[i].len) == -1)
			return -1;
	for (size_t i = 0; i < 4; i++) {
		*to[i] = span_mem(t->p + off, parts[i].len);
		off += parts[i].len;
	}
	return 0;
}

static void
take_body(struct exchange *ex, struct msg_proxy_open *m)
{
	struct upload *u = &ex->up_body;

	ex->request.body_len = m->body_len;
	if (m->stream < 0) {
		ex->request.body_len = m->body.len;
		return;
	}
	u->fd = m->stream;
	m->stream = -1;
	evutil_make_socket_nonblocking(u->fd);
	u->streamed = true;
	u->chunked = m->body_len == BODY_LEN_UNKNOWN;
	u->left = u->chunked ? m->max_body : m->body_len;
	/* so that it can be closed before it was ever read */
	event_assign(&u->readable, loop_base(), u->fd, EV_READ, NULL, NULL);
}

static enum grant_verdict
redeem(const struct msg_proxy_open *m)
{
	uint8_t digest[GRANT_DIGEST_LEN];
	struct grant g;

	memcpy(g.request_id, m->request_id, sizeof(g.request_id));
	memcpy(g.id, m->grant, sizeof(g.id));
	memcpy(g.mac, m->mac, sizeof(g.mac));
	g.not_after_ms = m->not_after;
	grant_digest_proxy(m->method, m->authority, m->target, m->headers, m->body_len,
	    m->max_body, m->upgrade, digest);
	return grant_redeem(worker_grants, &g, loop_boot_ms(), digest);
}

static int
start(struct exchange *ex, struct msg_proxy_open *m)
{
	enum grant_verdict v = redeem(m);
	enum access_verdict limit;
	enum target_verdict t;
	const char *why;

	if (v != GRANT_GOOD) {
		LOG_WARN("grant.refused", LS("why", grant_strverdict(v)),
		    LX("request", m->request_id, sizeof(m->request_id)));
		return exchange_fail(ex, OUTCOME_GRANT_REFUSED, 403, "Grant refused",
		    grant_strverdict(v), "Send the request again.");
	}
	if (worker_credential != NULL && worker_credential->kind == INJECT_WEBHOOK)
		return exchange_fail(ex, OUTCOME_GRANT_REFUSED, 403, "Grant refused",
		    "a webhook's secret signs nothing else", NULL);
	if (worker_credential == NULL || exchange_count_sockets() > SOCKETS_MAX ||
	    exchange_count() - exchange_count_sockets() > EXCHANGES_MAX)
		return exchange_fail(ex, OUTCOME_UPSTREAM_UNREACHABLE, 503,
		    worker_credential == NULL ? "The credential is gone"
					      : "Too many requests with this credential",
		    NULL, worker_credential == NULL ? NULL : "Try again later.");
	if (m->body.len > m->max_body)
		return exchange_too_large(ex);
	ex->credential = credential_ref(worker_credential);
	t = worker_target(&ex->to, ex->credential, m->authority);
	if (t != TARGET_GOOD) {
		LOG_WARN("domain.refused",
		    LSN("authority", m->authority.p, m->authority.len),
		    LX("request", m->request_id, sizeof(m->request_id)));
		return exchange_fail(ex, OUTCOME_DOMAIN_REFUSED, 403,
		    "Domain not in credential allowlist", NULL,
		    "The list sealed with the credential does not cover this host and "
		    "port.");
	}
	limit = access_check(ex->credential->access,
	    m->upgrade ? span_str(WEBSOCKET_METHOD) : m->method, m->target, m->headers,
	    &why);
	if (limit != ACCESS_GOOD) {
		LOG_WARN("access.refused", LSN("method", m->method.p, m->method.len),
		    LS("header", why),
		    LX("request", m->request_id, sizeof(m->request_id)));
		return exchange_fail(ex, OUTCOME_ACCESS_REFUSED, 403,
		    limit == ACCESS_METHOD ? "Method not permitted by this credential"
					   : "Path not permitted by this credential",
		    why,
		    "The limits sealed with the credential do not cover this request.");
	}
	if (keep_text(ex, m) == -1)
		return exchange_fail(ex, OUTCOME_UPSTREAM_UNREACHABLE, 503,
		    "Out of memory", NULL, "Try again.");
	if (ex->upgrade && (ex->socket = socket_new(m->max_body)) == NULL)
		return exchange_fail(ex, OUTCOME_UPSTREAM_UNREACHABLE, 503,
		    "Out of memory", NULL, "Try again.");
	ex->request.ws_key = ex->upgrade ? socket_key(ex->socket) : NULL;
	ex->request.to = &ex->to;
	take_body(ex, m);
	if (inject_check(&ex->request) == -1)
		return exchange_fail(ex, OUTCOME_GRANT_REFUSED, 400,
		    "The request cannot be sent as it is", "malformed parts", NULL);
	ex->idempotent = is_idempotent(m->method);
	ex->head_only = span_eq(m->method, "HEAD");
	grace_choose(ex);
	LOG_DEBUG("worker.request", LS("host", ex->to.host),
	    LX("request", m->request_id, sizeof(m->request_id)));
	http1_parser_init(&ex->parser,
	    ex->head_only ? HTTP1_RESPONSE_HEAD : HTTP1_RESPONSE, &respond_limits);
	return exchange_begin(ex, false);
}

int
exchange_open(struct chan *gate, uint64_t reqid, void *msg)
{
	struct msg_proxy_open *m = msg;
	struct exchange *ex;

	/* a body is inside or comes down a stream, and is as long as was judged */
	if (m->stream >= 0
		? m->body.len > 0
		: m->body_len != BODY_LEN_UNKNOWN && m->body_len != m->body.len)
		return -1;
	if (m->upgrade &&
	    (m->stream >= 0 || m->body_len != 0 || !span_eq(m->method, "GET")))
		return -1;
	ex = exchange_new();
	if (ex == NULL)
		return chan_answer_error(gate, reqid, 0, "out of memory");
	ex->gate = gate;
	ex->reqid = reqid;
	memcpy(ex->request_id, m->request_id, sizeof(ex->request_id));
	memcpy(ex->grant, m->grant, sizeof(ex->grant));
	ex->began_us = loop_unix_us();
	ex->idle_ms = m->idle_ms != 0 ? m->idle_ms : IDLE_DEFAULT_MS;
	ex->timeout_ms = m->timeout_ms != 0 ? m->timeout_ms : TIMEOUT_DEFAULT_MS;
	if (m->upgrade)
		exchange_set_upgrade(ex);
	exchange_touch(ex);
	start(ex, m);
	return 0;
}
