/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes in on a connection: into one buffer that all share, from there to the parser
 * and the bodies; what has to wait is kept with the connection. gated; the octets are
 * agents'.
 */
#include "gated/conn_read.h"

#include <string.h>

#include "common/log.h"
#include "gated/body.h"
#include "gated/conf.h"
#include "gated/feed.h"
#include "gated/refuse.h"
#include "gated/req.h"
#include "gated/wsock.h"

#define READ_SIZE 65536

static char read_buf[READ_SIZE];
static struct http1_head head;

/* Works through octets of the agent; how many are used up. */
static size_t
work(struct conn *c, const char *p, size_t len)
{
	size_t used = 0;
	ssize_t n;

	while (!c->dead && used < len) {
		switch (c->state) {
		case CONN_HEAD:
			if (conn_unsent(c) > CONN_UNSENT_MAX)
				return used; /* reads its answers slower than it asks */
			n = http1_head_parse(&c->parser, p + used, len - used, &head);
			if (n == 0)
				return used;
			c->state = CONN_BUSY;
			if (n < 0) {
				refuse_head(c, (int)n, p + used, len - used);
				return len;
			}
			used += (size_t)n;
			request_begin(c, &head);
			break;
		case CONN_BUSY:
			if (c->req != NULL && c->req->feed != NULL) {
				feed_input(c->req, p + used, len - used);
				return len;
			}
			if (c->req != NULL && c->req->ws != NULL) {
				n = (ssize_t)wsock_input(c->req, p + used, len - used);
				if (n == 0)
					return used;
				used += (size_t)n;
				break;
			}
			if (c->req == NULL || c->req->body.done)
				return used;
			n = body_take(c->req, p + used, len - used);
			if (n == 0)
				return used;
			used = n < 0 ? len : used + (size_t)n;
			break;
		default:
			return len;
		}
	}
	return used;
}

/* The same over what was kept, until it is used up or has to wait. */
void
conn_go_on(struct conn *c)
{
	size_t used;

	if (c->working || c->dead || conn_waiting(c) == 0)
		return;
	c->working = true;
	used = work(c, (char *)c->in.p + c->in_off, conn_waiting(c));
	c->working = false;
	if (c->dead)
		return;
	if (c->state >= CONN_FLUSH)
		return;
	c->in_off += used;
	if (c->in_off == c->in.len) {
		buf_free(&c->in);
		c->in_off = 0;
	}
}

static void
work_fresh(struct conn *c, size_t len)
{
	size_t used;

	c->working = true;
	used = work(c, read_buf, len);
	c->working = false;
	if (!c->dead && used < len && c->state < CONN_FLUSH &&
	    buf_put(&c->in, read_buf + used, len - used) != 0)
		conn_close(c, true);
}

/* Appends what was read to what is kept. */
static void
work_more(struct conn *c, size_t len)
{
	if (c->in_off > 0) {
		memmove(c->in.p, c->in.p + c->in_off, conn_waiting(c));
		c->in.len -= c->in_off;
		c->in_off = 0;
	}
	if (buf_put(&c->in, read_buf, len) != 0)
		conn_close(c, true);
	else if (c->state == CONN_HEAD ||
	    (c->req != NULL &&
		(!c->req->body.done || c->req->feed != NULL || c->req->ws != NULL)))
		conn_go_on(c);
}

void
conn_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	ssize_t n;

	(void)fd;
	(void)what;
	if (c->dead)
		return;
	if (c->state == CONN_HANDSHAKE) {
		n = stream_handshake(&c->stream);
		if (n == STREAM_ERROR) {
			LOG_DEBUG("tls.failed", LS("peer", c->peer),
			    LS("reason", stream_error(&c->stream)));
			conn_close(c, true);
			return;
		}
		if (n == 1)
			c->state = CONN_HEAD;
		conn_update(c);
		return;
	}
	if (!conn_wants_read(c))
		return;
	n = stream_read(&c->stream, read_buf, sizeof(read_buf));
	if (n == STREAM_AGAIN) {
		conn_update(c);
		return;
	}
	if (n <= 0) {
		conn_close(c, n != STREAM_EOF);
		return;
	}
	if (c->state >= CONN_FLUSH) {
		conn_update(c);
		return; /* nobody reads what comes after the last request */
	}
	if (conn_waiting(c) == 0)
		work_fresh(c, (size_t)n);
	else
		work_more(c, (size_t)n);
	conn_update(c);
	if (!c->dead && stream_pending(&c->stream) > 0 && (c->added & EV_READ))
		event_active(&c->readable, EV_READ, 0);
}

void
conn_resume(struct conn *c)
{
	conn_go_on(c);
	conn_update(c);
}
