/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Octets of a WebSocket: read, written, and not read while the other side takes none.
 * Egress worker.
 */
#include "egressd/worker/socket_int.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/loop.h"
#include "egressd/worker/exchange.h"

#define RX_SIZE (32 * 1024)
#define UNSENT_MAX (64 * 1024) /* nothing more is read while this waits */
#define ROUNDS 16              /* reads per turn of the loop */

/* One for the process: handlers run to their end. */
static uint8_t rx[RX_SIZE];

/* Something moved: unless goodbye was said, the clock starts anew. */
void
socket_touch(struct exchange *ex)
{
	struct socket *s = ex->socket;

	if (!s->shut && !s->up.closed && !s->down.closed)
		socket_set_due(ex, ex->idle_ms);
}

/* n octets left, or none could (0). Who takes them slowly may never take all. */
static void
sent(struct way *w, size_t n)
{
	w->off += n;
	buf_behind(&w->out, &w->off);
	if (w->out.len > 0)
		return;
	buf_free(&w->out);
}

static int
flush_down(struct exchange *ex)
{
	struct socket *s = ex->socket;
	struct way *w = &s->down;
	ssize_t n;

	while (way_unsent(w) > 0) {
		n = send(
		    s->fd, w->out.p + w->off, way_unsent(w), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0) {
			socket_agent_gone(ex);
			return -1;
		}
		ex->bytes_out += (size_t)n;
		sent(w, (size_t)n);
		socket_touch(ex);
	}
	return 0;
}

static int
flush_up(struct exchange *ex)
{
	struct socket *s = ex->socket;
	struct way *w = &s->up;
	ssize_t n;

	while (way_unsent(w) > 0 && !s->upstream_over) {
		n = stream_write(&ex->up->stream, w->out.p + w->off, way_unsent(w));
		if (n == STREAM_AGAIN)
			return 0;
		if (n <= 0)
			return socket_upstream_gone(ex);
		ex->bytes_in += (size_t)n;
		sent(w, (size_t)n);
		socket_touch(ex);
	}
	return 0;
}

/* 1: something came, 0, -1. */
static int
read_upstream(struct exchange *ex)
{
	struct socket *s = ex->socket;
	ssize_t n;

	if (s->upstream_over || (way_unsent(&s->down) > UNSENT_MAX && !s->shut))
		return 0;
	n = stream_read(&ex->up->stream, rx, sizeof(rx));
	if (n == STREAM_AGAIN)
		return 0;
	if (n <= 0)
		return socket_upstream_gone(ex);
	socket_touch(ex);
	if (socket_from_upstream(ex, rx, (size_t)n) == -1)
		return -1;
	if (s->shut) /* it may be the secret that ended it */
		explicit_bzero(rx, (size_t)n);
	return 1;
}

static int
read_gate(struct exchange *ex)
{
	struct socket *s = ex->socket;
	ssize_t n;

	if (way_unsent(&s->up) > 0 && !s->shut)
		return 0;
	n = read(s->fd, rx, sizeof(rx));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		socket_agent_gone(ex);
		return -1;
	}
	socket_touch(ex);
	return socket_from_agent(ex, rx, (size_t)n) == -1 ? -1 : 1;
}

static void
listen_to(struct event *ev, bool *added, bool wanted)
{
	if (*added == wanted)
		return;
	*added = wanted;
	if (wanted)
		event_add(ev, NULL);
	else
		event_del(ev);
}

/* Which events there is something to do for. */
static void
wait(struct exchange *ex, bool more)
{
	struct socket *s = ex->socket;

	if (s->held.len == 0) /* an idle WebSocket holds no memory */
		buf_free(&s->held);
	listen_to(&s->readable, &s->reading, s->shut || way_unsent(&s->up) == 0);
	listen_to(&s->writable, &s->writing, way_unsent(&s->down) > 0);
	if (s->upstream_over) {
		upstream_set_reading(ex->up, false);
		return;
	}
	upstream_set_reading(ex->up, s->shut || way_unsent(&s->down) <= UNSENT_MAX);
	if (more || way_unsent(&s->up) > 0 || ex->up->stream.want_write)
		upstream_want_write(ex->up);
}

/* Is all said that there was to say? */
static bool
is_over(const struct socket *s)
{
	if (way_unsent(&s->down) > 0 || (way_unsent(&s->up) > 0 && !s->upstream_over))
		return false;
	if (s->shut) /* the upstream, which may still be sending, should see our Close */
		return s->upstream_over;
	return s->down.closed && (s->up.closed || s->upstream_over);
}

int
socket_go(struct exchange *ex)
{
	struct socket *s = ex->socket;
	bool more = true;
	int a = 0, b = 0;

	for (int round = 0; more && round < ROUNDS; round++) {
		a = read_upstream(ex);
		if (a == -1 || flush_down(ex) == -1)
			return -1;
		b = read_gate(ex);
		if (b == -1 || flush_up(ex) == -1 || flush_down(ex) == -1)
			return -1;
		if (is_over(s))
			return socket_finish(ex, s->outcome);
		more = a == 1 || b == 1;
	}
	wait(ex, more);
	return 0;
}
