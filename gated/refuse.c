/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals of the gate's own. gated. The judge is asked for row and words; without a
 * judge nothing is allowed, and the words are here.
 */
#include "gated/refuse.h"

#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/rfc3339.h"
#include "gated/answer.h"
#include "gated/ask.h"
#include "gated/body.h"
#include "gated/conn.h"
#include "gated/http_guess.h"
#include "gated/status.h"

/*
 * A fresh request for the refusal of one that a redeemer still holds: that one lives on
 * until the redeemer has let go.
 */
static struct req *
replace(struct req *old)
{
	struct conn *c = old->conn;
	struct req *r;

	c->req = NULL;
	r = req_new(c);
	if (r == NULL || req_keep(r, &r->target, req_part(old, old->target)) != 0) {
		if (r == NULL)
			c->req = old;
		else
			req_cancel(old);
		conn_close(c, true);
		return NULL;
	}
	r->route = old->route;
	r->seal = old->seal;
	r->head_only = old->head_only;
	r->keep_alive = old->keep_alive;
	r->minor = old->minor;
	r->method_len = old->method_len;
	memcpy(r->method, old->method, sizeof(r->method));
	memcpy(r->id, old->id, sizeof(r->id));
	r->has_id = old->has_id;
	r->body.done = old->body.done;
	req_cancel(old);
	return r;
}

void
refuse(struct req *r, enum refusal reason, unsigned status, const char *detail)
{
	struct conn *c = r->conn;

	if (r->state == REQ_STREAM || r->state == REQ_EVENTS) {
		conn_close(c, true); /* too late for words */
		return;
	}
	timer_set(&r->timer, TIMER_NONE);
	if (r->redeemer != NULL) {
		r = replace(r);
		if (r == NULL)
			return;
	} else {
		if (r->ask != 0)
			chan_forget(r->chan, r->ask);
		r->ask = 0;
		redeemer_leave(r);
	}
	r->state = REQ_REFUSING;
	r->refused = (uint16_t)status;
	r->body.discard = true;
	judge_ask_refusal(r, reason, status, detail);
	if (!c->working)
		conn_update(c);
}

/* A request of which there is no head; the connection ends with it. */
static struct req *
begin_headless(struct conn *c, const char *p, size_t len)
{
	struct req *r = req_new(c);
	struct http_guess g;

	if (r == NULL) {
		conn_close(c, true);
		return NULL;
	}
	http_guess(p, len, &g);
	memcpy(r->method, g.method.p, g.method.len);
	r->method_len = (uint8_t)g.method.len;
	(void)req_keep(r, &r->target, g.target);
	r->minor = 1;
	r->seal = g.target.len > 0 && route_find(g.target)->seal;
	c->close_after = c->unread = true;
	return r;
}

static enum refusal
reason_of(int err)
{
	switch (err) {
	case HTTP1_ERR_TARGET_LONG:
		return REFUSAL_TARGET_TOO_LONG;
	case HTTP1_ERR_HEAD_SIZE:
	case HTTP1_ERR_HEAD_COUNT:
		return REFUSAL_HEADERS_TOO_LARGE;
	case HTTP1_ERR_EXPECT:
		return REFUSAL_EXPECTATION;
	default:
		return REFUSAL_BAD_REQUEST;
	}
}

void
refuse_head(struct conn *c, int err, const char *p, size_t len)
{
	struct req *r = begin_headless(c, p, len);

	if (r != NULL)
		refuse(r, reason_of(err), (unsigned)http1_error_status(err),
		    http1_strerror(err));
}

void
refuse_slow_head(struct conn *c, const char *p, size_t len)
{
	struct req *r = begin_headless(c, p, len);

	if (r != NULL)
		refuse(r, REFUSAL_HEADER_TIMEOUT, 408, "the head took too long");
}

static int
word_plain(char *out, size_t cap, const char *what, const char *hint)
{
	return snprintf(out, cap, "{\"error\":\"%s\",\"hint\":\"%s\"}\n", what, hint);
}

/* SEAL's error body; 4000 and up is free for implementations. */
static int
word_seal(const struct req *r, char *out, size_t cap, unsigned status, const char *what)
{
	uint64_t ms = loop_unix_ms();
	char time[RFC3339_SIZE] = "", id[2 * REQUEST_ID_LEN + 1] = "";

	(void)rfc3339_format(
	    (int64_t)(ms / 1000), (uint32_t)(ms % 1000) * 1000000, 3, time, sizeof(time));
	(void)hex_encode(r->id, sizeof(r->id), id, sizeof(id));
	return snprintf(out, cap,
	    "{\"protocol\":\"seal/v1\",\"status\":\"error\",\"error\":{\"code\":%u,"
	    "\"message\":\"%s\",\"timestamp\":\"%s\",\"request_id\":\"%s\"}}\n",
	    4000 + status, what, time, id);
}

/* Header lines that a status needs. */
static const char *
lines_alone(const struct req *r, unsigned status)
{
	if (status == 405)
		return r->seal ? "Allow: POST\r\n" : "Allow: GET, HEAD\r\n";
	return status == 429 || status == 503 ? "Retry-After: 1\r\n" : "";
}

void
refuse_alone(struct req *r, unsigned status)
{
	char text[512];
	const char *what =
	    status == 503 ? "Aegis cannot decide right now" : status_reason(status);
	struct iovec iov = {text, 0};
	int n;

	req_name(r);
	LOG_DEBUG("gate.alone", LX("request", r->id, sizeof(r->id)),
	    LS("peer", r->conn->peer), LU("status", status));
	r->body.discard = true;
	n = r->seal
	    ? word_seal(r, text, sizeof(text), status, what)
	    : word_plain(text, sizeof(text), what,
		  status == 503
		      ? "Try again in a moment; `aegis status` shows what is missing."
		      : "The request is not well formed or not allowed here.");
	if (n > 0 && (size_t)n < sizeof(text))
		iov.iov_len = (size_t)n;
	answer_json(r, status, span_str(lines_alone(r, status)), &iov, 1);
}
