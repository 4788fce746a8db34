/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back to the agent: the head of the answer, small answers whole inside one message,
 * large and open-ended ones down a stream. All that an upstream sends is hostile, and
 * nothing of it goes on before it was searched for the secret.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/log.h"
#include "common/loop.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/exchange.h"
#include "egressd/worker/grace.h"
#include "egressd/worker/respond.h"
#include "egressd/worker/socket.h"

#define RX_SIZE (64 * 1024)
#define INTERIM_MAX 16 /* 1xx answers before the final one */

/* One set for the process: handlers run to their end. */
static uint8_t rx[RX_SIZE];
static char fields[RESPOND_HEADERS_MAX];
static uint8_t whole[INLINE_BODY_MAX]; /* a chunked body without its framing */
static struct http1_head head;

int
exchange_broken(struct exchange *ex, const char *cause)
{
	return exchange_fail(ex, OUTCOME_UPSTREAM_BROKEN, 502,
	    "Upstream sent an answer that cannot be passed on", cause, NULL);
}

int
exchange_echoed(struct exchange *ex, const char *where)
{
	explicit_bzero(rx, sizeof(rx));
	explicit_bzero(fields, sizeof(fields));
	explicit_bzero(whole, sizeof(whole));
	LOG_WARN("secret.echoed", LS("service", ex->credential->service),
	    LS("host", ex->to.host), LS("in", where),
	    LX("request", ex->request_id, sizeof(ex->request_id)));
	return exchange_fail(ex, OUTCOME_SECRET_ECHOED, 502,
	    "The upstream's answer contained the credential and was withheld", NULL,
	    "The upstream repeats what authenticates the request. Ask for something "
	    "else, "
	    "or tell its operator; rotate the credential if others can read such "
	    "answers.");
}

static bool
holds_secret(const struct exchange *ex, const void *p, size_t len)
{
	struct reflect_at at[2] = {0};

	return credential_feed(ex->credential, at, p, len);
}

static int
answer_whole(struct exchange *ex, ssize_t fields_len, const void *body, size_t len)
{
	MSG_INIT(proxy_head, m);

	if (holds_secret(ex, body, len))
		return exchange_echoed(ex, "body");
	m.status = ex->status;
	m.headers = span_mem(fields, (size_t)fields_len);
	m.body_len = len;
	m.body = span_mem(body, len);
	ex->bytes_out = len;
	if (chan_answer(ex->gate, ex->reqid, MSG_proxy_head, &m) == -1) {
		ex->reqid = 0;
		return exchange_finish(ex, OUTCOME_AGENT_GONE);
	}
	ex->reqid = 0;
	return exchange_finish(ex, OUTCOME_OK);
}

/*
 * A chunked body that is here completely: its octets are moved to the front of p. Returns
 * their number, or -1 when it is longer or not complete (p is as before then).
 */
static ssize_t
whole_chunked(struct exchange *ex, uint8_t *p, size_t len)
{
	struct http1_chunked c = {0};
	struct span in = span_mem(p, len), data;
	size_t n = 0;
	int r;

	while ((r = http1_chunk_next(&c, &in, &data)) == HTTP1_CHUNK_DATA) {
		if (data.len > sizeof(whole) - n)
			return -1;
		memcpy(whole + n, data.p, data.len);
		n += data.len;
	}
	if (r != HTTP1_CHUNK_END)
		return -1;
	if (in.len > 0)
		ex->keep = false;
	memcpy(p, whole, n);
	return (ssize_t)n;
}

/* The final head is in `head`, len octets follow it. 1: wait for `need` octets; 0; -1. */
static int
answer(struct exchange *ex, size_t head_len, uint8_t *rest, size_t len)
{
	const char *refusal = respond_refuse(&head);
	ssize_t fields_len, n;

	if (head.status == 101 && !ex->upgrade)
		return exchange_broken(ex, "the upstream switched protocols");
	if (refusal != NULL)
		return exchange_broken(ex, refusal);
	if (head.body == HTTP1_BODY_LENGTH && head.content_length <= INLINE_BODY_MAX &&
	    len < head.content_length) {
		ex->need = head_len + (size_t)head.content_length;
		return 1;
	}
	ex->status = (uint32_t)head.status;
	if (ex->hook) /* what it says besides is nobody's business */
		return exchange_finish(ex, OUTCOME_OK);
	ex->keep = head.keep_alive;
	fields_len = respond_headers(&head, fields, sizeof(fields));
	if (fields_len < 0)
		return exchange_broken(ex, "too many headers");
	if (holds_secret(ex, fields, (size_t)fields_len))
		return exchange_echoed(ex, "headers");
	if (head.status == 101)
		return socket_begin(
		    ex, &head, span_mem(fields, (size_t)fields_len), rest, len);
	switch (head.body) {
	case HTTP1_BODY_NONE:
		if (len > 0)
			ex->keep = false;
		return answer_whole(ex, fields_len, "", 0);
	case HTTP1_BODY_LENGTH:
		if (head.content_length > INLINE_BODY_MAX)
			break;
		if (len > head.content_length)
			ex->keep = false;
		return answer_whole(ex, fields_len, rest, (size_t)head.content_length);
	case HTTP1_BODY_CHUNKED:
		n = whole_chunked(ex, rest, len);
		if (n >= 0)
			return answer_whole(ex, fields_len, rest, (size_t)n);
		break;
	case HTTP1_BODY_UNTIL_CLOSE:
		break;
	}
	return download_begin(ex, &head, span_mem(fields, (size_t)fields_len), rest, len);
}

/* Keeps what cannot be used yet; p may be inside ex->in. */
static int
keep_for_later(struct exchange *ex, const uint8_t *p, size_t len)
{
	if (ex->in.len > 0) {
		memmove(ex->in.p, p, len);
		ex->in.len = len;
		return 0;
	}
	return buf_put(&ex->in, p, len) == 0 ? 0 : exchange_broken(ex, "out of memory");
}

/* Looks at all that has come. 0 or -1. */
static int
feed(struct exchange *ex, uint8_t *p, size_t len)
{
	ssize_t n = 0;
	int r;

	while (len >= ex->need) {
		n = http1_head_parse(&ex->parser, (const char *)p, len, &head);
		if (n < 0)
			return exchange_broken(ex, http1_strerror((int)n));
		if (n == 0)
			break;
		if (head.status >= 200 || head.status == 101) {
			if (grace_answered(ex, head.status))
				return exchange_begin(ex, true);
			r = answer(ex, (size_t)n, p + n, len - (size_t)n);
			if (r != 1)
				return r;
			break;
		}
		if (++ex->interim > INTERIM_MAX)
			return exchange_broken(ex, "too many interim answers");
		p += n;
		len -= (size_t)n;
	}
	return keep_for_later(ex, p, len);
}

static int
receive_head(struct exchange *ex)
{
	ssize_t n;
	bool tls;

	do {
		tls = ex->up->stream.ssl != NULL;
		n = stream_read(&ex->up->stream, rx, sizeof(rx));
		if (n == STREAM_AGAIN) {
			if (ex->up->stream.want_write)
				upstream_want_write(ex->up);
			return 0;
		}
		if (n <= 0)
			return exchange_lost(ex);
		ex->answered = true;
		exchange_touch(ex);
		if (ex->in.len > 0) {
			if (buf_put(&ex->in, rx, (size_t)n) == -1)
				return exchange_broken(ex, "out of memory");
			if (feed(ex, ex->in.p, ex->in.len) == -1)
				return -1;
		} else if (feed(ex, rx, (size_t)n) == -1) {
			return -1;
		}
	} while (tls && ex->state == EX_HEAD);
	return 0;
}

int
exchange_receive(struct exchange *ex)
{
	switch (ex->state) {
	case EX_HEAD:
		return ex->up == NULL ? 0 : receive_head(ex);
	case EX_STREAM:
		return download_pump(ex);
	case EX_SOCKET:
		return socket_go(ex);
	case EX_OPENING:
		break;
	}
	return 0;
}
