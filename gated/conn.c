/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: reading, writing, what to wait for and until when. gated; the octets are
 * agents'. What they mean is found out in request.c and body.c.
 */
#include "gated/conn.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/loop.h"
#include "gated/answer.h"
#include "gated/body.h"
#include "gated/conf.h"
#include "gated/conn_read.h"
#include "gated/drain.h"
#include "gated/listener.h"
#include "gated/process.h"
#include "gated/refuse.h"
#include "gated/req.h"
#include "gated/tls.h"

#define PIPELINE_MAX 32768 /* octets of later requests that we keep */
#define POOL_MAX 1024
#define TLS_JOIN_MAX 16384 /* one record */

TAILQ_HEAD(conn_list, conn);

static struct conn_list open_conns = TAILQ_HEAD_INITIALIZER(open_conns);
static struct conn_list dead_conns = TAILQ_HEAD_INITIALIZER(dead_conns);
static struct conn_list pool = TAILQ_HEAD_INITIALIZER(pool);
static unsigned nopen, npool;
static bool draining;
static char join_buf[TLS_JOIN_MAX];

static void on_writable(evutil_socket_t, short, void *);
static void on_timer(void *, enum timer_kind);

/* Frees what died in this turn; nobody up the stack holds it any more. */
static void
reap(void *arg)
{
	struct conn *c;

	(void)arg;
	while ((c = TAILQ_FIRST(&dead_conns)) != NULL) {
		TAILQ_REMOVE(&dead_conns, c, entry);
		if (npool < POOL_MAX) {
			TAILQ_INSERT_HEAD(&pool, c, entry);
			npool++;
		} else {
			free(c);
		}
	}
}

int
conns_init(void)
{
	loop_on_turn(reap, NULL);
	return 0;
}

unsigned
conns_open(void)
{
	return nopen;
}

bool
conns_draining(void)
{
	return draining;
}

void
conns_drain(void)
{
	struct conn *c, *next;

	draining = true;
	for (c = TAILQ_FIRST(&open_conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->req == NULL && c->in.len == c->in_off && c->state <= CONN_HEAD)
			conn_close(c, false);
	}
}

static void
format_peer(struct conn *c, const struct sockaddr *sa)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;
	const void *addr = &in->sin_addr;
	int family = sa->sa_family;

	(void)snprintf(c->peer, sizeof(c->peer), "local");
	if (family == AF_INET6) {
		addr = &in6->sin6_addr;
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
			addr = &in6->sin6_addr.s6_addr[12];
			family = AF_INET;
		}
	} else if (family != AF_INET) {
		return;
	}
	(void)inet_ntop(family, addr, c->peer, sizeof(c->peer));
}

void
conn_open_take(int fd, const struct sockaddr *sa)
{
	struct conn *c = TAILQ_FIRST(&pool);

	if (c != NULL) {
		TAILQ_REMOVE(&pool, c, entry);
		npool--;
	} else if ((c = malloc(sizeof(*c))) == NULL) {
		evutil_closesocket(fd);
		return;
	}
	memset(c, 0, sizeof(*c));
	if (sa->sa_family == AF_UNIX) {
		c->state = CONN_PROCESS;
		stream_plain(&c->stream, fd);
	} else if (tls_wanted()) {
		c->state = CONN_HANDSHAKE;
		if (tls_accept(&c->stream, fd) == -1) {
			evutil_closesocket(fd);
			free(c);
			return;
		}
	} else {
		c->state = CONN_HEAD;
		stream_plain(&c->stream, fd);
	}
	format_peer(c, sa);
	http1_parser_init(&c->parser, HTTP1_REQUEST, &gate_conf.limits);
	timer_init(&c->timer, on_timer, c);
	event_assign(
	    &c->readable, loop_base(), fd, EV_READ | EV_PERSIST, conn_on_readable, c);
	event_assign(
	    &c->writable, loop_base(), fd, EV_WRITE | EV_PERSIST, on_writable, c);
	TAILQ_INSERT_TAIL(&open_conns, c, entry);
	nopen++;
	timer_set(&c->timer, TIMER_HEAD);
	if (c->state == CONN_PROCESS)
		process_ask(c);
	conn_update(c);
}

void
conn_close(struct conn *c, bool hard)
{
	struct linger reset = {.l_onoff = 1};

	if (c->dead)
		return;
	c->dead = true;
	if (c->added & EV_READ)
		event_del(&c->readable);
	if (c->added & EV_WRITE)
		event_del(&c->writable);
	c->added = 0;
	timer_set(&c->timer, TIMER_NONE);
	process_leave(c);
	if (c->req != NULL)
		req_cancel(c->req);
	c->req = NULL;
	if (hard) {
		(void)setsockopt(
		    c->stream.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		c->stream.handshaken =
		    0; /* no close_notify: it would call the answer whole */
	}
	stream_close(&c->stream);
	buf_free(&c->in);
	buf_free(&c->out);
	TAILQ_REMOVE(&open_conns, c, entry);
	TAILQ_INSERT_TAIL(&dead_conns, c, entry);
	nopen--;
	listener_room();
	if (draining && nopen == 0)
		drain_over();
}

/* -- what to wait for -- */

static short
wanted_events(const struct conn *c)
{
	short events = conn_unsent(c) > 0 ? EV_WRITE : 0;

	switch (c->state) {
	case CONN_BUSY:
		if (c->req != NULL && !c->req->body.done) {
			if (body_wants(c->req))
				events |= EV_READ;
		} else if (conn_waiting(c) < PIPELINE_MAX) {
			events |= EV_READ; /* also to notice that the agent left */
		}
		break;
	case CONN_PROCESS:
	case CONN_FLUSH:
		break;
	case CONN_HEAD:
		if (conn_unsent(c) <= CONN_UNSENT_MAX)
			events |= EV_READ;
		break;
	default:
		events |= EV_READ;
	}
	return stream_events(&c->stream, events);
}

bool
conn_wants_read(const struct conn *c)
{
	return (wanted_events(c) & EV_READ) != 0;
}

static enum timer_kind
wanted_timer(const struct conn *c)
{
	switch (c->state) {
	case CONN_PROCESS:
	case CONN_HANDSHAKE:
		return TIMER_HEAD;
	case CONN_HEAD:
		if (conn_unsent(c) > 0)
			return TIMER_WRITE;
		return conn_waiting(c) > 0 || !c->served ? TIMER_HEAD : TIMER_IDLE;
	case CONN_FLUSH:
		return TIMER_WRITE;
	case CONN_LINGER:
		return TIMER_LINGER;
	default:
		break;
	}
	if (conn_unsent(c) > 0)
		return TIMER_WRITE;
	return c->req != NULL && !c->req->body.done && body_wants(c->req) ? TIMER_BODY
									  : TIMER_NONE;
}

static void
switch_event(struct conn *c, struct event *ev, short which, short wanted)
{
	if ((c->added & which) == (wanted & which))
		return;
	if (wanted & which)
		event_add(ev, NULL);
	else
		event_del(ev);
	c->added = (short)(c->added ^ which);
}

void
conn_update(struct conn *c)
{
	enum timer_kind kind;
	short wanted, before = c->added;

	if (c->dead)
		return;
	wanted = wanted_events(c);
	switch_event(c, &c->readable, EV_READ, wanted);
	switch_event(c, &c->writable, EV_WRITE, wanted);
	kind = wanted_timer(c);
	if (kind != c->timer.kind)
		timer_set(&c->timer, kind);
	/* what TLS has decrypted already no event announces */
	if ((wanted & EV_READ) && !(before & EV_READ) && stream_pending(&c->stream) > 0)
		event_active(&c->readable, EV_READ, 0);
}

/* -- writing -- */

size_t
conn_unsent(const struct conn *c)
{
	return c->out.len - c->out_off;
}

/* One record instead of one for each piece. */
static int
join(struct iovec *iov, int n)
{
	size_t len = 0;
	int i;

	for (i = 0; i < n; i++) {
		if (iov[i].iov_len > sizeof(join_buf) - len)
			return n;
		memcpy(join_buf + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	iov[0] = (struct iovec){join_buf, len};
	return 1;
}

int
conn_write(struct conn *c, struct iovec *iov, int n)
{
	ssize_t sent = 0;
	size_t skip;
	int i;

	if (c->dead)
		return -1;
	if (conn_unsent(c) == 0) {
		if (c->stream.ssl != NULL && n > 1)
			n = join(iov, n);
		sent = stream_writev(&c->stream, iov, n);
		if (sent == STREAM_AGAIN)
			sent = 0;
		if (sent < 0)
			goto fail;
	}
	skip = (size_t)sent;
	buf_behind(&c->out, &c->out_off); /* who reads slowly may never take all */
	for (i = 0; i < n; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		if (buf_put(&c->out, (char *)iov[i].iov_base + skip,
			iov[i].iov_len - skip) != 0)
			goto fail;
		skip = 0;
	}
	return 0;
fail:
	conn_close(c, true);
	return -1;
}

/* The last answer has been handed to the kernel. */
static void
finish(struct conn *c)
{
	if (!c->unread && conn_waiting(c) == 0) {
		conn_close(c, false);
		return;
	}
	/* closing with octets unread would reset the connection and lose the answer */
	tls_goodbye(&c->stream);
	(void)shutdown(c->stream.fd, SHUT_WR);
	c->state = CONN_LINGER;
	buf_free(&c->in);
	c->in_off = 0;
	conn_update(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	ssize_t n;

	(void)fd;
	(void)what;
	if (c->dead)
		return;
	if (c->state == CONN_HANDSHAKE || conn_unsent(c) == 0) {
		conn_on_readable(
		    fd, EV_READ, c); /* TLS wanted to write in order to read */
		return;
	}
	n = stream_write(&c->stream, c->out.p + c->out_off, conn_unsent(c));
	if (n == STREAM_ERROR) {
		conn_close(c, true);
		return;
	}
	if (n > 0) {
		c->out_off += (size_t)n;
		if (c->timer.kind == TIMER_WRITE)
			timer_set(&c->timer, TIMER_WRITE);
	}
	if (conn_unsent(c) == 0) {
		buf_free(&c->out);
		c->out_off = 0;
		if (c->state == CONN_FLUSH) {
			finish(c);
			return;
		}
		if (c->req != NULL && c->req->state == REQ_STREAM)
			flow_resume(c->req);
		else if (c->state == CONN_HEAD)
			conn_go_on(c);
	}
	conn_update(c);
}

void
conn_request_done(struct conn *c)
{
	if (c->dead)
		return;
	c->served = true;
	if (!c->req->body.done)
		c->unread = c->close_after = true;
	req_cancel(c->req);
	c->req = NULL;
	if (c->close_after || draining) {
		c->state = CONN_FLUSH;
		if (conn_unsent(c) == 0)
			finish(c);
		else
			conn_update(c);
		return;
	}
	c->state = CONN_HEAD;
	if (!c->working)
		conn_resume(c);
}

/* -- time -- */

static void
on_timer(void *owner, enum timer_kind kind)
{
	struct conn *c = owner;

	switch (kind) {
	case TIMER_HEAD:
		if (c->state == CONN_HEAD && conn_waiting(c) > 0) {
			c->state = CONN_BUSY;
			refuse_slow_head(c, (char *)c->in.p + c->in_off, conn_waiting(c));
			conn_update(c);
			return;
		}
		conn_close(c, false);
		return;
	case TIMER_BODY:
		refuse(c->req, REFUSAL_BODY_TIMEOUT, 408, "the body stopped coming");
		conn_update(c);
		return;
	case TIMER_WRITE:
		conn_close(c, true);
		return;
	default:
		conn_close(c, false);
	}
}
