/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers as octets: one head, one write. gated. Framing and Connection are said here and
 * nowhere else.
 */
#include "gated/answer.h"

#include <string.h>

#include "common/hex.h"
#include "common/log.h"
#include "gated/ask.h"
#include "gated/conn.h"
#include "gated/headers.h"
#include "gated/redeemer.h"
#include "gated/refuse.h"
#include "gated/status.h"
#include "gated/timer.h"
#include "gated/wsock.h"

#define PIECES_MAX 4

/* Heads are built one at a time. */
static struct buf out;
static unsigned said; /* the status in it */

static void
put_number(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	buf_put(b, digits + i, sizeof(digits) - i);
}

#define PUT(b, literal) buf_put((b), (literal), sizeof(literal) - 1)

static void
head_begin(unsigned status)
{
	said = status;
	buf_reset(&out);
	PUT(&out, "HTTP/1.1 ");
	put_number(&out, status);
	PUT(&out, " ");
	buf_puts(&out, status_reason(status));
	PUT(&out, "\r\n");
}

static void
put_id(struct req *r)
{
	char id[2 * REQUEST_ID_LEN + 1];

	req_name(r);
	LOG_DEBUG("gate.answer", LX("request", r->id, sizeof(r->id)),
	    LS("peer", r->conn->peer), LSN("method", r->method, r->method_len),
	    LU("status", said));
	hex_encode(r->id, REQUEST_ID_LEN, id, sizeof(id));
	PUT(&out, "X-Aegis-Request-Id: ");
	buf_put(&out, id, sizeof(id) - 1);
	PUT(&out, "\r\n");
}

/* The fields that every answer has, and the end of the head. */
static void
head_end(struct req *r, bool date)
{
	struct conn *c = r->conn;

	if (!date)
		buf_put(&out, timer_date(), TIMER_DATE_LEN);
	put_id(r);
	if (!r->body.done || conns_draining())
		c->close_after = true;
	if (c->close_after)
		PUT(&out, "Connection: close\r\n");
	else if (r->minor == 0)
		PUT(&out, "Connection: keep-alive\r\n");
	PUT(&out, "\r\n");
}

static void
put_length(uint64_t n)
{
	PUT(&out, "Content-Length: ");
	put_number(&out, n);
	PUT(&out, "\r\n");
}

/* Answers without a body whatever their fields say (RFC 9110 6.4.1). */
static bool
bodyless(const struct req *r, unsigned status)
{
	return r->head_only || status == 204 || status == 304;
}

/* Writes head and body; the answer is whole. */
static void
send_whole(struct req *r, const struct iovec *body, int n)
{
	struct iovec iov[1 + PIECES_MAX];
	struct conn *c = r->conn;

	iov[0] = (struct iovec){out.p, out.len};
	if (n > 0)
		memcpy(iov + 1, body, (size_t)n * sizeof(*body));
	if (r->body.fd < 0)
		redeemer_leave(r); /* it has done its part */
	if (conn_write(c, iov, 1 + n) == 0)
		conn_request_done(c);
}

static bool
says_type(struct span lines)
{
	static const char name[] = "Content-Type:";

	return lines.len >= sizeof(name) - 1 &&
	    memcmp(lines.p, name, sizeof(name) - 1) == 0;
}

void
answer_json(
    struct req *r, unsigned status, struct span lines, const struct iovec *body, int n)
{
	uint64_t len = 0;
	int i;

	for (i = 0; i < n; i++)
		len += body[i].iov_len;
	head_begin(status);
	buf_put(&out, lines.p, lines.len);
	if (len > 0 && !says_type(lines))
		PUT(&out, "Content-Type: application/json\r\n");
	if (status != 204)
		put_length(len);
	head_end(r, false);
	send_whole(r, body, bodyless(r, status) ? 0 : n);
}

int
answer_events(struct req *r)
{
	struct iovec iov;

	head_begin(200);
	PUT(&out, "Content-Type: text/event-stream\r\nCache-Control: no-store\r\n");
	if (r->minor == 1)
		PUT(&out, "Transfer-Encoding: chunked\r\n");
	else
		r->conn->close_after = true;
	r->flow.framing = r->minor == 1 ? FRAMING_CHUNKED : FRAMING_CLOSE;
	head_end(r, false);
	iov = (struct iovec){out.p, out.len};
	return conn_write(r->conn, &iov, 1);
}

int
answer_switched(struct req *r, struct span lines, const char *accept)
{
	struct headers_seen seen;
	struct iovec iov;

	head_begin(101);
	PUT(&out, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
	buf_puts(&out, accept);
	PUT(&out, "\r\n");
	if (headers_answer(lines, &out, &seen) == -1) {
		conn_close(r->conn, true);
		return -1;
	}
	put_id(r);
	PUT(&out, "\r\n");
	iov = (struct iovec){out.p, out.len};
	return conn_write(r->conn, &iov, 1);
}

int
answer_continue(struct req *r)
{
	static char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec iov = {line, sizeof(line) - 1};

	if (!r->wants_continue || r->body.done || r->body.total > 0)
		return 0;
	r->wants_continue = false;
	return conn_write(r->conn, &iov, 1);
}

/* Says how the body is delimited. */
static void
put_framing(
    struct req *r, const struct msg_proxy_head *m, const struct headers_seen *seen)
{
	struct flow *f = &r->flow;

	if (bodyless(r, m->status)) {
		if (m->status != 204 && seen->has_length)
			put_length(seen->length);
		else if (r->head_only && m->body_len != BODY_LEN_UNKNOWN &&
		    m->body_len > 0)
			put_length(m->body_len);
	} else if (m->stream < 0) {
		put_length(m->body.len);
	} else if (m->body_len != BODY_LEN_UNKNOWN) {
		f->framing = FRAMING_LENGTH;
		f->length = m->body_len;
		put_length(m->body_len);
	} else if (r->minor == 1) {
		f->framing = FRAMING_CHUNKED;
		PUT(&out, "Transfer-Encoding: chunked\r\n");
	} else {
		f->framing = FRAMING_CLOSE;
		r->conn->close_after = true;
	}
}

void
answer_proxied(struct req *r, struct msg_proxy_head *m)
{
	struct iovec iov = {NULL, m->body.len};
	struct headers_seen seen;

	if (m->status == 101) {
		wsock_open(r, m);
		return;
	}
	head_begin(m->status);
	if (m->status < 200 || m->status > 599 ||
	    headers_answer(m->headers, &out, &seen) == -1) {
		LOG_WARN("worker.answer", LX("request", r->id, sizeof(r->id)),
		    LU("instance", r->redeemer->instance), LU("status", m->status));
		refuse(r, REFUSAL_REDEEMER_GONE, 502, "malformed answer of the worker");
		return;
	}
	timer_set(&r->timer, TIMER_NONE);
	put_framing(r, m, &seen);
	head_end(r, seen.date);
	memcpy(&iov.iov_base, &m->body.p, sizeof(m->body.p));
	if (bodyless(r, m->status) || m->stream < 0) {
		send_whole(r, &iov, bodyless(r, m->status) ? 0 : 1);
		return;
	}
	flow_open_take(r, m->stream);
	m->stream = -1;
	iov = (struct iovec){out.p, out.len};
	if (conn_write(r->conn, &iov, 1) == 0)
		flow_start(r);
}
