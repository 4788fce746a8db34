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
#include "egressd/worker/respond.h"

#define RX_SIZE (64 * 1024)
#define DOWN_SIZE (128 * 1024)
#define DOWN_MIN (16 * 1024) /* less room than this: the agent is slow, stop reading */
#define PIPE_BUFFER (256 * 1024)
#define ROUNDS 16      /* buffers per turn of the loop */
#define INTERIM_MAX 16 /* 1xx answers before the final one */

_Static_assert(RX_SIZE <= DOWN_SIZE, "what was read beside the head must fit");

/* One set for the process: handlers run to their end. */
static uint8_t rx[RX_SIZE];
static char fields[RESPOND_HEADERS_MAX];
static uint8_t whole[INLINE_BODY_MAX]; /* a chunked body without its framing */
static struct http1_head head;

static int
broken(struct exchange *ex, const char *cause)
{
	return exchange_fail(ex, OUTCOME_UPSTREAM_BROKEN, 502,
	    "Upstream sent an answer that cannot be passed on", cause, NULL);
}

static int
echoed(struct exchange *ex, const char *where)
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
	struct reflect_at at = {0};

	return reflect_feed(ex->credential->reflect, &at, p, len);
}

/* -- streams -- */

void
download_close(struct download *d)
{
	if (d->fd >= 0) {
		event_del(&d->writable);
		close(d->fd);
		d->fd = -1;
	}
	if (d->buf != NULL) {
		explicit_bzero(d->buf, DOWN_SIZE);
		free(d->buf);
		d->buf = NULL;
	}
}

/* Takes the framing off n octets behind what is there. How many remain, or -1. */
static ssize_t
unframe(struct exchange *ex, uint8_t *p, size_t n)
{
	struct download *d = &ex->down;
	struct span in = span_mem(p, n), data;
	size_t len = 0;
	int r;

	switch (d->kind) {
	case HTTP1_BODY_LENGTH:
		if (n > d->left) {
			n = (size_t)d->left; /* the rest belongs to nobody */
			ex->keep = false;
		}
		d->left -= n;
		d->over = d->left == 0;
		return (ssize_t)n;
	case HTTP1_BODY_CHUNKED:
		while (
		    (r = http1_chunk_next(&d->chunked, &in, &data)) == HTTP1_CHUNK_DATA) {
			memmove(p + len, data.p, data.len);
			len += data.len;
		}
		if (r == HTTP1_CHUNK_END) {
			d->over = true;
			if (in.len > 0)
				ex->keep = false;
		}
		return r < 0 ? -1 : (ssize_t)len;
	case HTTP1_BODY_UNTIL_CLOSE:
		return (ssize_t)n;
	case HTTP1_BODY_NONE:
		break;
	}
	return -1;
}

/* n more octets of the upstream stand behind what is there. 0 or -1. */
static int
absorb(struct exchange *ex, size_t n)
{
	struct download *d = &ex->down;
	uint8_t *p = d->buf + d->off + d->len;
	ssize_t len = unframe(ex, p, n);

	if (len < 0)
		return broken(ex, "malformed chunk");
	if (reflect_feed(ex->credential->reflect, &d->at, p, (size_t)len))
		return echoed(ex, "body");
	d->len += (size_t)len;
	return 0;
}

static void
on_download(evutil_socket_t fd, short what, void *arg)
{
	struct exchange *ex = arg;

	(void)fd;
	(void)what;
	ex->down.waiting = false;
	exchange_receive(ex);
}

/* Passes on what cannot be the beginning of the secret. 0 or -1. */
static int
flush(struct exchange *ex)
{
	struct download *d = &ex->down;
	size_t held = d->over ? 0 : reflect_hold(ex->credential->reflect, &d->at);
	ssize_t n;

	while (d->len > held && !d->waiting) {
		n = send(
		    d->fd, d->buf + d->off, d->len - held, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				return exchange_finish(ex, OUTCOME_AGENT_GONE);
			event_add(&d->writable, NULL);
			d->waiting = true;
			break;
		}
		exchange_touch(ex);
		d->off += (size_t)n;
		d->len -= (size_t)n;
		ex->bytes_out += (size_t)n;
	}
	if (d->len == 0) {
		d->off = 0;
	} else if (DOWN_SIZE - d->off - d->len < DOWN_MIN && d->off > 0) {
		memmove(d->buf, d->buf + d->off, d->len);
		d->off = 0;
	}
	return 0;
}

/* 1: a piece came; 0: nothing now; -1. */
static int
stream_more(struct exchange *ex, size_t *got, size_t *room)
{
	struct download *d = &ex->down;
	ssize_t n;

	*room = DOWN_SIZE - d->off - d->len;
	if (*room < DOWN_MIN) {
		upstream_set_reading(ex->up, false);
		return 0;
	}
	n = stream_read(&ex->up->stream, d->buf + d->off + d->len, *room);
	if (n == STREAM_AGAIN) {
		upstream_set_reading(ex->up, true);
		if (ex->up->stream.want_write)
			upstream_want_write(ex->up);
		return 0;
	}
	if (n == STREAM_EOF && d->kind == HTTP1_BODY_UNTIL_CLOSE) {
		d->over = true;
		return 1;
	}
	if (n <= 0)
		return broken(ex, "the answer broke off");
	exchange_touch(ex);
	*got = (size_t)n;
	return absorb(ex, (size_t)n) == -1 ? -1 : 1;
}

static int
pump(struct exchange *ex)
{
	struct download *d = &ex->down;
	size_t got, room;
	int r;

	for (int round = 0; round < ROUNDS; round++) {
		if (flush(ex) == -1)
			return -1;
		if (d->over) {
			exchange_release(ex);
			return d->len == 0 ? exchange_finish(ex, OUTCOME_OK) : 0;
		}
		got = room = 0;
		r = stream_more(ex, &got, &room);
		if (r != 1)
			return r;
		/* a plain socket that gave less than it could is empty: do not ask again
		 */
		if (!d->over && got < room && ex->up->stream.ssl == NULL) {
			upstream_set_reading(ex->up, true);
			return flush(ex);
		}
	}
	/* others first; TLS may hold octets that no event announces */
	upstream_set_reading(ex->up, true);
	if (ex->up->stream.ssl != NULL)
		upstream_want_write(ex->up);
	return 0;
}

static int
stream_begin(struct exchange *ex, ssize_t fields_len, const uint8_t *rest, size_t len)
{
	struct download *d = &ex->down;
	int pair[2], size = PIPE_BUFFER;
	MSG_INIT(proxy_head, m);

	d->buf = malloc(DOWN_SIZE);
	if (d->buf == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) ==
		-1)
		return broken(ex, "out of memory or descriptors");
	d->fd = pair[0];
	setsockopt(d->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	event_assign(&d->writable, loop_base(), d->fd, EV_WRITE, on_download, ex);
	d->kind = head.body;
	d->left = head.content_length;
	memcpy(d->buf, rest, len);
	if (len > 0 && absorb(ex, len) == -1) { /* nothing is out yet: a clean 502 */
		close(pair[1]);
		return -1;
	}
	m.status = ex->status;
	m.headers = span_mem(fields, (size_t)fields_len);
	m.body_len =
	    head.body == HTTP1_BODY_LENGTH ? head.content_length : BODY_LEN_UNKNOWN;
	m.stream = pair[1];
	ex->state = EX_STREAM;
	buf_wipe_free(&ex->in);
	if (chan_answer(ex->gate, ex->reqid, MSG_proxy_head, &m) == -1) {
		ex->reqid = 0;
		return exchange_finish(ex, OUTCOME_AGENT_GONE);
	}
	ex->reqid = 0;
	return pump(ex);
}

/* -- heads and small answers -- */

static int
answer_whole(struct exchange *ex, ssize_t fields_len, const void *body, size_t len)
{
	MSG_INIT(proxy_head, m);

	if (holds_secret(ex, body, len))
		return echoed(ex, "body");
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

	if (head.status == 101)
		return broken(ex, "the upstream switched protocols");
	if (refusal != NULL)
		return broken(ex, refusal);
	if (head.body == HTTP1_BODY_LENGTH && head.content_length <= INLINE_BODY_MAX &&
	    len < head.content_length) {
		ex->need = head_len + (size_t)head.content_length;
		return 1;
	}
	ex->status = (uint32_t)head.status;
	ex->keep = head.keep_alive;
	fields_len = respond_headers(&head, fields, sizeof(fields));
	if (fields_len < 0)
		return broken(ex, "too many headers");
	if (holds_secret(ex, fields, (size_t)fields_len))
		return echoed(ex, "headers");
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
	return stream_begin(ex, fields_len, rest, len);
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
	return buf_put(&ex->in, p, len) == 0 ? 0 : broken(ex, "out of memory");
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
			return broken(ex, http1_strerror((int)n));
		if (n == 0)
			break;
		if (head.status >= 200 || head.status == 101) {
			r = answer(ex, (size_t)n, p + n, len - (size_t)n);
			if (r != 1)
				return r;
			break;
		}
		if (++ex->interim > INTERIM_MAX)
			return broken(ex, "too many interim answers");
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
				return broken(ex, "out of memory");
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
		return pump(ex);
	case EX_OPENING:
		break;
	}
	return 0;
}
