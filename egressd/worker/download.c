/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large and open-ended answers, down a stream to the gate: framing off, searched, passed
 * on as they come, and no faster than the agent takes them. Hostile octets.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/loop.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/exchange.h"

#define DOWN_SIZE (128 * 1024)
#define DOWN_MIN (16 * 1024) /* less room than this: the agent is slow, stop reading */
#define PIPE_BUFFER (256 * 1024)
#define ROUNDS 16 /* buffers per turn of the loop */

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
		return exchange_broken(ex, "malformed chunk");
	if (credential_feed(ex->credential, d->at, p, (size_t)len))
		return exchange_echoed(ex, "body");
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
	size_t held = d->over ? 0 : credential_hold(ex->credential, d->at);
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
		return exchange_broken(ex, "the answer broke off");
	exchange_touch(ex);
	*got = (size_t)n;
	return absorb(ex, (size_t)n) == -1 ? -1 : 1;
}

int
download_pump(struct exchange *ex)
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
	/* others first, then on: what is here may be the last there is to read */
	upstream_set_reading(ex->up, true);
	upstream_want_write(ex->up);
	return 0;
}

int
download_begin(struct exchange *ex, const struct http1_head *head, struct span fields,
    const uint8_t *body, size_t len)
{
	struct download *d = &ex->down;
	int pair[2], size = PIPE_BUFFER;
	MSG_INIT(proxy_head, m);

	d->buf = malloc(DOWN_SIZE);
	if (len > DOWN_SIZE || d->buf == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) ==
		-1)
		return exchange_broken(ex, "out of memory or descriptors");
	d->fd = pair[0];
	setsockopt(d->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	event_assign(&d->writable, loop_base(), d->fd, EV_WRITE, on_download, ex);
	d->kind = head->body;
	d->left = head->content_length;
	memcpy(d->buf, body, len);
	if (len > 0 && absorb(ex, len) == -1) { /* nothing is out yet: a clean 502 */
		close(pair[1]);
		return -1;
	}
	m.status = ex->status;
	m.headers = fields;
	m.body_len =
	    head->body == HTTP1_BODY_LENGTH ? head->content_length : BODY_LEN_UNKNOWN;
	m.stream = pair[1];
	ex->state = EX_STREAM;
	buf_wipe_free(&ex->in);
	if (chan_answer(ex->gate, ex->reqid, MSG_proxy_head, &m) == -1) {
		ex->reqid = 0;
		return exchange_finish(ex, OUTCOME_AGENT_GONE);
	}
	ex->reqid = 0;
	return download_pump(ex);
}
