/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of requests. gated; the octets are agents'. At most one read's worth waits for a
 * slow worker: then nothing more is read from the agent.
 */
#include "gated/body.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/loop.h"
#include "gated/conf.h"
#include "gated/conn.h"
#include "gated/inspect.h"
#include "gated/refuse.h"

#define PROGRESS_MIN 512 /* octets that restart the timer of an awaited body */
#define HELD_TOTAL                                                          \
	(256 * 1024 * 1024) /* of all bodies that are held, in this process \
			     */

static size_t held_total;

size_t
body_held(void)
{
	return held_total;
}

static void on_writable(evutil_socket_t, short, void *);
static bool flush(struct req *);

void
body_init(struct body *b, const struct http1_head *h, uint64_t limit)
{
	b->kind = h->body;
	b->left = h->content_length;
	b->limit = limit;
	b->done = h->body == HTTP1_BODY_NONE ||
	    (h->body == HTTP1_BODY_LENGTH && h->content_length == 0);
}

static bool
has_held(const struct body *b)
{
	return b->held.len > b->held_off;
}

/* How much of what is held may leave. */
static size_t
ready(const struct body *b)
{
	size_t n = b->held.len - b->held_off;
	uint64_t clean;

	if (b->look == NULL || !b->look_blocks)
		return n;
	clean = inspect_clean(b->look) - b->given;
	return clean < n ? (size_t)clean : n;
}

/* Nothing is held any more. */
static void
held_clear(struct body *b)
{
	held_total -= b->charged;
	b->charged = 0;
	b->held_off = 0;
	buf_reset(&b->held);
}

/* What has left makes room: a word's beginning stays. */
static void
held_shift(struct body *b)
{
	memmove(b->held.p, b->held.p + b->held_off, b->held.len - b->held_off);
	b->held.len -= b->held_off;
	b->charged -= b->held_off;
	held_total -= b->held_off;
	b->held_off = 0;
}

void
body_free(struct body *b)
{
	/* what is dropped here must not look sent: all_sent() would call it whole */
	if (b->fd >= 0)
		event_del(&b->writable);
	held_clear(b);
	inspect_free(b->look);
	b->look = NULL;
	buf_free(&b->held);
}

void
body_stream_close(struct body *b)
{
	if (b->fd >= 0) {
		event_del(&b->writable);
		close(b->fd);
	}
	if (b->ended >= 0)
		close(b->ended);
	b->fd = b->ended = -1;
	held_clear(b);
}

bool
body_wants(const struct req *r)
{
	const struct body *b = &r->body;

	if (b->done || r->state == REQ_REFUSING)
		return false;
	if (b->discard || r->state == REQ_COLLECT)
		return true;
	return b->fd >= 0 ? ready(b) == 0 : b->held.len < BODY_HELD_MAX;
}

static int
hold(struct body *b, struct span data)
{
	if (data.len > HELD_TOTAL - held_total)
		return -1;
	if (buf_put(&b->held, data.p, data.len) != 0)
		return -1;
	b->charged += data.len;
	held_total += data.len;
	return 0;
}

/* The worker has closed its end: it wants no more, but may still answer. */
static void
lose_taker(struct req *r)
{
	body_stream_close(&r->body);
	r->body.discard = true;
}

/*
 * Everything is with the worker. That it is whole is told by shutting one direction: a
 * stream that is closed altogether is what our death looks like.
 */
static void
all_sent(struct req *r)
{
	struct body *b = &r->body;

	event_del(&b->writable);
	(void)shutdown(b->fd, SHUT_WR);
	b->ended = b->fd;
	b->fd = -1;
	held_clear(b);
	if (r->state == REQ_SENT)
		timer_set(&r->timer, TIMER_ANSWER);
}

/* Sends; how many octets the worker took. */
static size_t
give(struct req *r, struct span data)
{
	ssize_t n = send(r->body.fd, data.p, data.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
		lose_taker(r);
		return data.len;
	}
	return 0;
}

/* The worker is slow: wait for it, not for ever. */
static void
wait_taker(struct req *r)
{
	event_add(&r->body.writable, NULL);
	if (r->state == REQ_SENT)
		timer_set(&r->timer, TIMER_ANSWER);
}

static int
put(struct req *r, struct span data)
{
	struct body *b = &r->body;
	size_t n;

	if (b->discard)
		return 0;
	if (b->look != NULL) {
		if (hold(b, data) == -1)
			return -1;
		if (b->fd >= 0)
			(void)flush(r);
		return 0;
	}
	if (b->fd >= 0 && !has_held(b)) {
		n = give(r, data);
		data.p += n;
		data.len -= n;
		if (data.len == 0)
			return 0;
		wait_taker(r);
	}
	return hold(b, data);
}

/* Takes the framing off the front of `in`. As http1_chunk_next(). */
static int
next_data(struct body *b, struct span *in, struct span *data)
{
	int k;

	if (b->kind == HTTP1_BODY_CHUNKED) {
		k = http1_chunk_next(&b->chunked, in, data);
		b->done = k == HTTP1_CHUNK_END;
		return k;
	}
	data->p = in->p;
	data->len = b->left < in->len ? (size_t)b->left : in->len;
	in->p += data->len;
	in->len -= data->len;
	b->left -= data->len;
	b->done = b->left == 0;
	return HTTP1_CHUNK_DATA;
}

static void
note_progress(struct req *r, size_t n)
{
	struct body *b = &r->body;

	b->since += (uint32_t)n;
	if (r->conn->timer.kind != TIMER_BODY ||
	    (r->state == REQ_COLLECT && b->since < PROGRESS_MIN))
		return;
	b->since = 0;
	timer_set(&r->conn->timer, TIMER_BODY);
}

static void
complete(struct req *r)
{
	if (r->state == REQ_COLLECT)
		request_collected(r);
	else if (r->body.look != NULL && r->body.fd >= 0)
		(void)flush(r);
	else if (r->body.fd >= 0 && !has_held(&r->body))
		all_sent(r);
}

ssize_t
body_take(struct req *r, const char *p, size_t len)
{
	struct body *b = &r->body;
	struct span in = {p, len}, data;
	int k;

	while (in.len > 0 && !b->done && body_wants(r)) {
		data.len = 0;
		k = next_data(b, &in, &data);
		if (k < 0) {
			r->conn->close_after = true;
			refuse(r, REFUSAL_BAD_REQUEST, (unsigned)http1_error_status(k),
			    http1_strerror(k));
			return -1;
		}
		if (k != HTTP1_CHUNK_DATA)
			continue;
		b->total += data.len;
		if (b->kind == HTTP1_BODY_CHUNKED && b->total > b->limit && !b->discard) {
			refuse(r, REFUSAL_BODY_TOO_LARGE, 413, "body too large");
			return -1;
		}
		/* refused, r may be gone; what follows in the octets is still the agent's
		 */
		if (!b->discard && inspect_more(r, data) == -1)
			return (ssize_t)(len - in.len);
		if (put(r, data) == -1) {
			refuse(r, REFUSAL_BODY_TOO_LARGE, 503,
			    "too many large bodies at once");
			return (ssize_t)(len - in.len);
		}
	}
	len -= in.len;
	if (len > 0)
		note_progress(r, len);
	if (b->done && !b->discard && inspect_finish(r) == -1)
		return (ssize_t)len;
	if (b->done)
		complete(r);
	return (ssize_t)len;
}

int
body_stream_open(struct req *r)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) == -1)
		return -1;
	r->body.fd = sv[0];
	event_assign(&r->body.writable, loop_base(), sv[0], EV_WRITE, on_writable, r);
	return sv[1];
}

/* Sends what is held. True when all of it is gone. */
static bool
flush(struct req *r)
{
	struct body *b = &r->body;
	struct span data = req_body(r);
	size_t n = 0;

	data.len = ready(b);
	if (data.len > 0)
		n = give(r, data);
	if (b->fd < 0)
		return true; /* lost */
	b->held_off += n;
	b->given += n;
	if (ready(b) > 0) {
		wait_taker(r);
		return false;
	}
	if (has_held(b)) { /* its end is not here yet */
		held_shift(b);
		return true;
	}
	held_clear(b);
	if (b->done)
		all_sent(r);
	return true;
}

void
body_stream_go(struct req *r)
{
	if (flush(r))
		conn_resume(r->conn);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct req *r = arg;

	(void)fd;
	(void)what;
	if (!flush(r) || r->conn == NULL)
		return;
	if (!r->body.done && r->state == REQ_SENT)
		timer_set(&r->timer, TIMER_NONE);
	conn_resume(r->conn);
}

int
body_memfd(const void *p, size_t len)
{
	int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;
	ssize_t n;

	if (fd == -1)
		return -1;
	while (done < len) {
		n = write(fd, (const char *)p + done, len - done);
		if (n <= 0 && errno != EINTR)
			goto fail;
		if (n > 0)
			done += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS,
		F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
fail:
	close(fd);
	return -1;
}
