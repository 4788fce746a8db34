/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: their memory, and how one is given up at any point. gated.
 */
#include "gated/inspect.h"
#include "gated/req.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/log.h"
#include "gated/answer.h"
#include "gated/ask.h"
#include "gated/body.h"
#include "gated/conn.h"
#include "gated/feed.h"
#include "gated/mcp_stream.h"
#include "gated/redeemer.h"
#include "gated/refuse.h"
#include "gated/wsock.h"

#define POOL_MAX 256
#define POOL_BUF_MAX 4096 /* a larger buffer is not worth keeping */

static struct req_list pool = TAILQ_HEAD_INITIALIZER(pool);
static unsigned npool;

static void
on_timer(void *owner, enum timer_kind kind)
{
	struct req *r = owner;

	if (r->conn == NULL) {
		/* the worker never let go of a request whose agent left */
		if (r->ask != 0)
			chan_forget(r->chan, r->ask);
		r->ask = 0;
		req_free(r);
		return;
	}
	switch (kind) {
	case TIMER_DOOR:
		refuse(r, REFUSAL_REDEEMER_GONE, 503, "no redeemer for the grant");
		break;
	case TIMER_EVENTS:
		if (r->feed != NULL)
			feed_alive(r);
		else
			mcp_stream_alive(r);
		break;
	case TIMER_ANSWER:
		refuse(r, REFUSAL_UPSTREAM_TIMEOUT, 504, "no answer in time");
		break;
	default:
		conn_close(r->conn, true); /* a streamed answer without its end */
	}
}

struct req *
req_new(struct conn *c)
{
	struct req *r = TAILQ_FIRST(&pool);
	struct buf text, held;

	if (r != NULL) {
		TAILQ_REMOVE(&pool, r, entry);
		npool--;
		text = r->text;
		held = r->body.held;
	} else {
		r = malloc(sizeof(*r));
		if (r == NULL)
			return NULL;
		buf_init(&text);
		buf_init(&held);
	}
	memset(r, 0, sizeof(*r));
	buf_init(&r->parts);
	r->text = text;
	r->body.held = held;
	r->body.fd = r->body.ended = r->flow.fd = -1;
	r->body.done = true;
	r->conn = c;
	c->req = r;
	timer_init(&r->timer, on_timer, r);
	return r;
}

void
req_free(struct req *r)
{
	mcp_stream_unwatch(r);
	timer_set(&r->timer, TIMER_NONE);
	redeemer_leave(r);
	body_stream_close(&r->body);
	inspect_free(r->body.look);
	r->body.look = NULL;
	buf_free(&r->parts);
	feed_close(r);
	flow_close(r);
	wsock_free(r);
	if (npool == POOL_MAX) {
		buf_free(&r->text);
		buf_free(&r->body.held);
		free(r);
		return;
	}
	if (r->text.cap > POOL_BUF_MAX)
		buf_free(&r->text);
	if (r->body.held.cap > POOL_BUF_MAX)
		buf_free(&r->body.held);
	buf_reset(&r->text);
	buf_reset(&r->body.held);
	TAILQ_INSERT_HEAD(&pool, r, entry);
	npool++;
}

/* What the judge opens has to be closed again: on_decision(). */
static bool
asks_for_stream(const struct req *r)
{
	return r->route->kind == ROUTE_FEED ||
	    (r->route->kind == ROUTE_MCP && span_eq(req_method(r), "GET"));
}

/*
 * The agent is gone, or the request was given up. If its body is still on the way to a
 * worker, the stream must not end before the worker knows: its end means "complete". So
 * the request stays, without agent, until the worker has answered.
 */
void
req_cancel(struct req *r)
{
	bool half_sent = r->body.fd >= 0;

	if (r->feed == NULL)
		mcp_stream_gone(r);
	r->conn = NULL;
	timer_set(&r->timer, TIMER_NONE);
	flow_close(r);
	if (r->redeemer != NULL) {
		if (r->redeemer->role == ROLE_WORKER)
			worker_cancel(r);
		else
			toolhost_cancel(r);
		if (half_sent && r->ask != 0) {
			body_free(&r->body);
			timer_set(&r->timer, TIMER_ANSWER);
			return;
		}
		if (half_sent) {
			body_free(&r->body);
			timer_set(&r->timer, TIMER_END);
			return;
		}
	}
	if (r->ask != 0 && r->state == REQ_ASKED && asks_for_stream(r))
		return;
	if (r->ask != 0)
		chan_forget(r->chan, r->ask);
	r->ask = 0;
	req_free(r);
}

void
req_name(struct req *r)
{
	if (!r->has_id)
		r->has_id = getrandom(r->id, sizeof(r->id), 0) == (ssize_t)sizeof(r->id);
}

int
req_keep(struct req *r, struct part *part, struct span s)
{
	part->off = (uint32_t)r->text.len;
	part->len = (uint32_t)s.len;
	return buf_put(&r->text, s.p, s.len);
}

struct span
req_part(const struct req *r, struct part part)
{
	if (part.len == 0)
		return (struct span){"", 0};
	return (struct span){(const char *)r->text.p + part.off, part.len};
}

struct span
req_method(const struct req *r)
{
	return (struct span){r->method, r->method_len};
}

struct span
req_body(const struct req *r)
{
	if (r->body.held.len == r->body.held_off)
		return (struct span){"", 0};
	return (struct span){(const char *)r->body.held.p + r->body.held_off,
	    r->body.held.len - r->body.held_off};
}
