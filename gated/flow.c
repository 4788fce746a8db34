/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streamed answers: from a worker's stream to the agent's connection, as fast as the
 * agent reads. An answer that breaks off must not look whole: the connection is reset
 * then. gated; the octets are an upstream's and are not looked at.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/loop.h"
#include "gated/answer.h"
#include "gated/conn.h"
#include "gated/redeemer.h"
#include "gated/wsock.h"

#define PIECE 65536
#define SIZE_ROOM 8   /* "10000" CRLF and one to spare, before a piece */
#define TURN_PIECES 4 /* then others have their turn */
#define BUCKETS 1024

LIST_HEAD(flow_bucket, req);

static struct flow_bucket flows[BUCKETS];
static char piece[SIZE_ROOM + PIECE + 2];

static struct flow_bucket *
bucket(const uint8_t id[REQUEST_ID_LEN])
{
	return &flows[((unsigned)id[0] << 8 | id[1]) % BUCKETS];
}

struct req *
flow_find(const uint8_t id[REQUEST_ID_LEN])
{
	struct req *r;

	LIST_FOREACH (r, bucket(id), by_id)
		if (memcmp(r->id, id, REQUEST_ID_LEN) == 0)
			return r;
	return NULL;
}

static void
listen_to(struct req *r, bool on)
{
	if (r->flow.listening == on)
		return;
	r->flow.listening = on;
	if (on)
		event_add(&r->flow.readable, NULL);
	else
		event_del(&r->flow.readable);
}

void
flow_close(struct req *r)
{
	if (r->flow.fd < 0)
		return;
	listen_to(r, false);
	wsock_detach(r);
	close(r->flow.fd);
	r->flow.fd = -1;
	LIST_REMOVE(r, by_id);
}

/* Is everything here that the worker and the head promised? */
static bool
whole(const struct flow *f)
{
	if (f->framing == FRAMING_LENGTH && f->sent != f->length)
		return false;
	return f->gone ? f->framing == FRAMING_LENGTH : f->sent == f->promised;
}

static void
settle(struct req *r)
{
	static char last_chunk[] = "0\r\n\r\n";
	struct iovec iov = {last_chunk, sizeof(last_chunk) - 1};
	struct conn *c = r->conn;

	if (!r->flow.ended && !r->flow.gone) {
		timer_set(&r->timer, TIMER_END);
		return;
	}
	if (!whole(&r->flow)) {
		conn_close(c, true);
		return;
	}
	if (r->flow.framing == FRAMING_CHUNKED && conn_write(c, &iov, 1) == -1)
		return;
	flow_close(r);
	if (r->body.fd < 0)
		redeemer_leave(r);
	conn_request_done(c);
}

/* Frames n octets that stand behind SIZE_ROOM and sends them. */
static int
send_piece(struct req *r, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	struct iovec iov = {piece + SIZE_ROOM, n};
	size_t size = n;
	char *p;

	if (r->flow.framing == FRAMING_CHUNKED) {
		p = piece + SIZE_ROOM;
		*--p = '\n';
		*--p = '\r';
		for (; size > 0; size >>= 4)
			*--p = hex[size & 15];
		memcpy(piece + SIZE_ROOM + n, "\r\n", 2);
		iov = (struct iovec){p, (size_t)(piece + SIZE_ROOM + n + 2 - p)};
	}
	return conn_write(r->conn, &iov, 1);
}

static void
pump(struct req *r)
{
	struct flow *f = &r->flow;
	ssize_t n;
	int i;

	for (i = 0; i < TURN_PIECES; i++) {
		n = recv(f->fd, piece + SIZE_ROOM, PIECE, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			f->eof = true;
			listen_to(r, false);
			/* a worker that ends a WebSocket may leave our octets unread */
			if (n < 0 && r->ws == NULL)
				conn_close(r->conn, true);
			else
				settle(r);
			return;
		}
		f->sent += (uint64_t)n;
		if (f->framing == FRAMING_LENGTH && f->sent > f->length) {
			conn_close(r->conn, true);
			return;
		}
		if (send_piece(r, (size_t)n) == -1)
			return;
		if (conn_unsent(r->conn) > 0) {
			listen_to(r, false);
			conn_update(r->conn);
			return;
		}
	}
	listen_to(r, true);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump(arg);
}

void
flow_open_take(struct req *r, int fd)
{
	r->state = REQ_STREAM;
	r->flow.fd = fd;
	LIST_INSERT_HEAD(bucket(r->id), r, by_id);
	event_assign(
	    &r->flow.readable, loop_base(), fd, EV_READ | EV_PERSIST, on_readable, r);
}

void
flow_start(struct req *r)
{
	conn_update(r->conn);
	flow_resume(r);
}

void
flow_resume(struct req *r)
{
	if (!r->flow.eof && conn_unsent(r->conn) == 0)
		pump(r);
}

void
flow_end(struct req *r, bool complete, uint64_t bytes)
{
	if (!complete) {
		conn_close(r->conn, true);
		return;
	}
	r->flow.ended = true;
	r->flow.promised = bytes;
	if (r->flow.eof)
		settle(r);
}

void
flow_abandon(struct req *r)
{
	r->flow.gone = true;
	if (r->flow.eof)
		settle(r);
	else
		flow_resume(r);
}
