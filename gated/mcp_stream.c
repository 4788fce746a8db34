/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events, one message an event (the HTML standard, 9.2; MCP, "Streamable
 * HTTP"). gated: judge and toolhost say what goes to which request; it is not looked at
 * but for line breaks, which would end an event too early.
 */
#include "gated/mcp_stream.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/proc.h"
#include "gated/answer.h"
#include "gated/conn.h"
#include "gated/redeemer.h"

#define BUCKETS 1024
#define EVENT_MAX (64u * 1024 * 1024)
#define UNSENT_MAX (4u * 1024 * 1024) /* an agent that reads slower is cut off */

LIST_HEAD(bucket, req);

static struct bucket table[BUCKETS];

static struct bucket *
bucket_of(const uint8_t id[REQUEST_ID_LEN])
{
	return &table[((unsigned)id[0] << 8 | id[1]) % BUCKETS];
}

static struct req *
find(const uint8_t id[REQUEST_ID_LEN])
{
	struct req *r;

	LIST_FOREACH (r, bucket_of(id), by_id)
		if (memcmp(r->id, id, REQUEST_ID_LEN) == 0)
			return r;
	return NULL;
}

void
mcp_stream_watch(struct req *r)
{
	LIST_INSERT_HEAD(bucket_of(r->id), r, by_id);
	r->watched = true;
}

void
mcp_stream_unwatch(struct req *r)
{
	if (r->watched)
		LIST_REMOVE(r, by_id);
	r->watched = false;
}

/* One chunk. 0, or -1: the connection is closed. */
static int
put(struct req *r, struct iovec *body, int n)
{
	char size[24];
	struct iovec iov[6] = {{size, 0}};
	size_t len = 0;
	int i;

	for (i = 0; i < n; i++) {
		len += body[i].iov_len;
		iov[1 + i] = body[i];
	}
	if (r->flow.framing != FRAMING_CHUNKED)
		return conn_write(r->conn, body, n);
	iov[0].iov_len = (size_t)snprintf(size, sizeof(size), "%zx\r\n", len);
	iov[1 + n] = (struct iovec){(char[]){"\r\n"}, 2};
	return conn_write(r->conn, iov, n + 2);
}

/* 0, or -1: the connection is closed. */
static int
put_event(struct req *r, const struct iovec *data)
{
	struct iovec iov[3] = {
	    {(char[]){"event: message\ndata: "}, 21}, *data, {(char[]){"\n\n"}, 2}};

	if (conn_unsent(r->conn) > UNSENT_MAX) {
		LOG_INFO("mcp.slow", LX("request", r->id, sizeof(r->id)),
		    LS("peer", r->conn->peer));
		conn_close(r->conn, true);
		return -1;
	}
	timer_set(&r->timer, TIMER_EVENTS);
	if (put(r, iov, 3) == -1)
		return -1;
	conn_update(r->conn);
	return 0;
}

static int
begin(struct req *r)
{
	if (answer_events(r) == -1)
		return -1;
	r->state = REQ_EVENTS;
	timer_set(&r->timer, TIMER_EVENTS);
	return 0;
}

static void
end(struct req *r)
{
	struct iovec iov = {(char[]){"0\r\n\r\n"}, 5};
	struct conn *c = r->conn;

	mcp_stream_unwatch(r);
	if (r->flow.framing == FRAMING_CHUNKED && conn_write(c, &iov, 1) == -1)
		return;
	r->state = REQ_SENT; /* nothing is owed any more */
	redeemer_leave(r);
	conn_request_done(c);
}

void
mcp_stream_open(struct req *r)
{
	struct iovec hello = {(char[]){": open\n\n"}, 8};
	struct conn *c = r->conn;

	if (begin(r) == -1)
		return;
	mcp_stream_watch(r);
	if (conns_draining())
		end(r);
	else if (put(r, &hello, 1) == 0 && !c->working)
		conn_update(c);
}

void
mcp_stream_alive(struct req *r)
{
	struct iovec iov = {(char[]){": \n\n"}, 4};

	timer_set(&r->timer, TIMER_EVENTS);
	if (conn_unsent(r->conn) == 0 && put(r, &iov, 1) == 0)
		conn_update(r->conn);
}

void
mcp_stream_result(struct req *r, const struct iovec *body, unsigned status)
{
	if (r->state == REQ_EVENTS) {
		if (body->iov_len == 0 || put_event(r, body) == 0)
			end(r);
		return;
	}
	mcp_stream_unwatch(r);
	answer_json(r, body->iov_len > 0 ? 200 : status, (struct span){"", 0}, body, 1);
}

void
mcp_stream_tell_gone(const uint8_t id[REQUEST_ID_LEN])
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(mcp_gone, m);

	memcpy(m.stream, id, sizeof(m.stream));
	if (judge != NULL)
		(void)chan_note(judge, MSG_mcp_gone, &m);
}

void
mcp_stream_gone(struct req *r)
{
	mcp_stream_unwatch(r);
	if (r->state == REQ_EVENTS && r->redeemer == NULL)
		mcp_stream_tell_gone(r->id);
}

/* fn over the streams that agents opened. */
static void
each_open(void (*fn)(struct req *))
{
	struct req *r, *next;
	unsigned i;

	for (i = 0; i < BUCKETS; i++)
		for (r = LIST_FIRST(&table[i]); r != NULL; r = next) {
			next = LIST_NEXT(r, by_id);
			if (r->state == REQ_EVENTS && r->redeemer == NULL)
				fn(r);
		}
}

void
mcp_stream_drain(void)
{
	each_open(end);
}

void
mcp_stream_judge_gone(struct chan *c, void *owner)
{
	(void)c;
	(void)owner;
	each_open(end); /* its sessions are gone with it */
}

int
on_mcp_event(struct chan *chan, uint64_t reqid, void *msg)
{
	const struct msg_mcp_event *m = msg;
	struct req *r = find(m->stream);
	struct iovec data = {NULL, m->data.len};

	(void)chan;
	(void)reqid;
	if (r == NULL || r->state != REQ_EVENTS || r->redeemer != NULL)
		return 0; /* it has left meanwhile */
	memcpy(&data.iov_base, &m->data.p, sizeof(m->data.p));
	if (data.iov_len > 0 && put_event(r, &data) == -1)
		return 0;
	if (m->last)
		end(r);
	return 0;
}

/* What does not fit a message comes in a descriptor. 0 or -1. */
static int
read_big(int fd, struct buf *out)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || st.st_size <= 0 || st.st_size > (off_t)EVENT_MAX ||
	    buf_reserve(out, (size_t)st.st_size) == -1 ||
	    pread(fd, out->p, (size_t)st.st_size, 0) != st.st_size)
		return -1;
	out->len = (size_t)st.st_size;
	return 0;
}

int
on_tool_event(struct chan *chan, uint64_t reqid, void *msg)
{
	const struct msg_tool_event *m = msg;
	struct req *r = find(m->request_id);
	struct iovec data = {NULL, m->data.len};
	struct buf big;

	(void)reqid;
	if (r == NULL || r->redeemer == NULL || r->redeemer->chan != chan)
		return 0;
	buf_init(&big);
	memcpy(&data.iov_base, &m->data.p, sizeof(m->data.p));
	if (m->big >= 0) {
		if (read_big(m->big, &big) == -1)
			goto out;
		data = (struct iovec){big.p, big.len};
	}
	if (data.iov_len > 0 && memchr(data.iov_base, '\n', data.iov_len) == NULL &&
	    memchr(data.iov_base, '\r', data.iov_len) == NULL &&
	    (r->state == REQ_EVENTS || begin(r) == 0))
		(void)put_event(r, &data);
out:
	buf_free(&big);
	return 0;
}
