/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds; see feed.h. Framing is libwslay's, which reads and writes through memory only
 * and so fits the loop; a message of a reader may have 4 KiB. A reader that leaves more
 * than UNSENT_MAX unread is cut off.
 */
#include "gated/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <wslay/wslay.h>

#include "common/hex.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/metrics.h"
#include "common/proc.h"
#include "common/ws.h"
#include "gated/answer.h"
#include "gated/ask.h"
#include "gated/conn.h"
#include "gated/drain.h"
#include "gated/refuse.h"

#define UNSENT_MAX (256u * 1024)
#define MESSAGE_MAX 4096
#define PROTOCOL "aegis.v1"
#define BEARER "bearer." /* a subprotocol that carries a browser's token */

struct feed {
	LIST_ENTRY(feed) link;
	struct req *req;
	wslay_event_context_ptr ws;
	struct span in; /* what the reader sent and is not read yet */
};

static LIST_HEAD(, feed) feeds = LIST_HEAD_INITIALIZER(feeds);
static struct buf out; /* frames of one call */
static uint64_t cut_slow, cut_expired, cut_revoked;

/* -- the handshake -- */

/* Browsers can send no Authorization: they offer the token as a subprotocol. */
static int
read_protocols(struct req *r, const struct http1_head *h)
{
	const struct http1_header *f = http1_find(h, "sec-websocket-protocol");
	static char text[8300];
	struct span rest, item;

	if (f == NULL)
		return 0;
	for (rest = f->value; http1_list_next(&rest, &item);) {
		if (span_eq(item, PROTOCOL) && req_keep(r, &r->version, item) != 0)
			return -1;
		if (item.len <= strlen(BEARER) || item.len > 8192 ||
		    memcmp(item.p, BEARER, strlen(BEARER)) != 0 ||
		    r->authorization.len > 0)
			continue;
		snprintf(text, sizeof(text), "Bearer %.*s",
		    (int)(item.len - strlen(BEARER)), item.p + strlen(BEARER));
		if (req_keep(r, &r->authorization, span_str(text)) != 0)
			return -1;
		explicit_bzero(text, sizeof(text));
	}
	return 0;
}

void
feed_begin(struct req *r, const struct http1_head *h)
{
	const struct http1_header *key = http1_find(h, "sec-websocket-key");
	const struct http1_header *version = http1_find(h, "sec-websocket-version");
	const struct http1_header *upgrade = http1_find(h, "upgrade");
	const struct http1_header *connection = http1_find(h, "connection");
	char text[WS_ACCEPT_LEN + 1];
	const char *why;

	if (r->minor == 0 || r->head_only || upgrade == NULL || connection == NULL ||
	    version == NULL || key == NULL ||
	    !http1_list_has(upgrade->value, "websocket") ||
	    !http1_list_has(connection->value, "upgrade") ||
	    !span_eq(version->value, "13") || ws_accept(key->value, text) == -1) {
		refuse(r, REFUSAL_BAD_REQUEST, 400, "this path is a WebSocket");
		return;
	}
	why = api_keep_fields(r, h);
	if (why == NULL &&
	    (req_keep(r, &r->accept, span_str(text)) != 0 || read_protocols(r, h) == -1))
		why = "no memory";
	if (why != NULL) {
		refuse(r, REFUSAL_BAD_REQUEST, 400, why);
		return;
	}
	r->state = REQ_COLLECT;
	judge_ask_api(r);
}

/* -- frames -- */

static ssize_t
on_recv(wslay_event_context_ptr ws, uint8_t *p, size_t len, int flags, void *arg)
{
	struct feed *f = arg;
	size_t n = len < f->in.len ? len : f->in.len;

	(void)flags;
	if (n == 0) {
		wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(p, f->in.p, n);
	f->in = span_mem(f->in.p + n, f->in.len - n);
	return (ssize_t)n;
}

static ssize_t
on_send(wslay_event_context_ptr ws, const uint8_t *p, size_t len, int flags, void *arg)
{
	(void)flags;
	(void)arg;
	if (buf_put(&out, p, len) == 0)
		return (ssize_t)len;
	wslay_event_set_error(ws, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static int
on_mask(wslay_event_context_ptr ws, uint8_t *p, size_t len, void *arg)
{
	(void)ws;
	(void)arg;
	return getrandom(p, len, 0) == (ssize_t)len ? 0 : -1;
}

/* Frames that wait go out. -1: the connection is closed, and the feed with it. */
static int
flush(struct feed *f)
{
	struct conn *c = f->req->conn;
	struct iovec iov;
	bool over;

	buf_reset(&out);
	if (wslay_event_send(f->ws) != 0) {
		conn_close(c, true);
		return -1;
	}
	over = !wslay_event_want_read(f->ws) && !wslay_event_want_write(f->ws);
	if (conn_unsent(c) + out.len > UNSENT_MAX) {
		cut_slow++;
		LOG_INFO("feed.slow", LX("request", f->req->id, sizeof(f->req->id)),
		    LS("peer", c->peer), LU("unsent", conn_unsent(c)));
		conn_close(c, true);
		return -1;
	}
	iov = (struct iovec){out.p, out.len};
	if (out.len > 0 && conn_write(c, &iov, 1) == -1)
		return -1;
	if (over) {
		conn_close(c, false);
		return -1;
	}
	conn_update(c);
	return 0;
}

static struct feed *
feed_new(struct req *r)
{
	static const struct wslay_event_callbacks calls = {
	    on_recv, on_send, on_mask, NULL, NULL, NULL, NULL};
	struct feed *f = calloc(1, sizeof(*f));

	if (f == NULL || wslay_event_context_server_init(&f->ws, &calls, f) != 0) {
		free(f);
		return NULL;
	}
	wslay_event_config_set_max_recv_msg_length(f->ws, MESSAGE_MAX);
	f->req = r;
	r->feed = f;
	LIST_INSERT_HEAD(&feeds, f, link);
	return f;
}

void
feed_open(struct req *r)
{
	struct span key = req_part(r, r->accept), protocol = req_part(r, r->version);
	char head[512], id[2 * REQUEST_ID_LEN + 1];
	struct conn *c = r->conn;
	struct iovec iov = {head, 0};

	if (feed_new(r) == NULL) {
		feed_tell_gone(r->id);
		refuse_alone(r, 503);
		return;
	}
	hex_encode(r->id, REQUEST_ID_LEN, id, sizeof(id));
	iov.iov_len = (size_t)snprintf(head, sizeof(head),
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n%s%.*s%s"
	    "X-Aegis-Request-Id: %s\r\n\r\n",
	    (int)key.len, key.p, protocol.len > 0 ? "Sec-WebSocket-Protocol: " : "",
	    (int)protocol.len, protocol.p, protocol.len > 0 ? "\r\n" : "", id);
	r->state = REQ_EVENTS;
	c->close_after = true;
	if (conn_write(c, &iov, 1) == -1)
		return;
	timer_set(&r->timer, TIMER_EVENTS);
	conn_resume(c); /* what came behind the head */
}

void
feed_input(struct req *r, const char *p, size_t len)
{
	struct feed *f = r->feed;
	int bad;

	f->in = span_mem(p, len);
	bad = wslay_event_recv(f->ws);
	f->in = span_str("");
	if (bad != 0)
		conn_close(r->conn, true);
	else
		(void)flush(f);
}

void
feed_alive(struct req *r)
{
	static const struct wslay_event_msg ping = {WSLAY_PING, (const uint8_t *)"", 0};
	struct feed *f = r->feed;

	wslay_event_queue_msg(f->ws, &ping);
	timer_set(&r->timer, TIMER_EVENTS);
	(void)flush(f);
}

void
feed_tell_gone(const uint8_t id[REQUEST_ID_LEN])
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(feed_gone, m);

	memcpy(m.stream, id, sizeof(m.stream));
	if (judge != NULL)
		(void)chan_note(judge, MSG_feed_gone, &m);
}

void
feed_close(struct req *r)
{
	struct feed *f = r->feed;

	if (f == NULL)
		return;
	r->feed = NULL;
	LIST_REMOVE(f, link);
	wslay_event_context_free(f->ws);
	free(f);
	feed_tell_gone(r->id);
}

static struct feed *
find(const uint8_t id[REQUEST_ID_LEN])
{
	struct feed *f;

	LIST_FOREACH (f, &feeds, link)
		if (memcmp(f->req->id, id, REQUEST_ID_LEN) == 0)
			return f;
	return NULL;
}

/* The reader is told why, and need not agree. */
int
feed_end(struct chan *c, uint64_t reqid, void *msg)
{
	static const uint8_t again[] = "show the token again",
			     gone[] = "the token does not count any more";
	const struct msg_feed_end *m = msg;
	struct feed *f = find(m->stream);
	struct conn *conn;

	(void)c;
	(void)reqid;
	if (f == NULL)
		return 0;
	conn = f->req->conn;
	if (m->expired) {
		cut_expired++;
		wslay_event_queue_close(
		    f->ws, WSLAY_CODE_GOING_AWAY, again, sizeof(again) - 1);
	} else {
		cut_revoked++;
		wslay_event_queue_close(
		    f->ws, WSLAY_CODE_POLICY_VIOLATION, gone, sizeof(gone) - 1);
	}
	if (flush(f) == 0) {
		conn->unread =
		    true; /* what it still sends must not reset the connection */
		conn_request_done(conn);
	}
	return 0;
}

int
feed_row(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_feed_row *m = msg;
	struct wslay_event_msg text = {
	    WSLAY_TEXT_FRAME, (const uint8_t *)m->json.p, m->json.len};
	struct feed *f = find(m->stream);

	(void)c;
	(void)reqid;
	if (f == NULL) { /* it has just left, or the judge decided too late */
		feed_tell_gone(m->stream);
		return 0;
	}
	if (wslay_event_queue_msg(f->ws, &text) != 0)
		conn_close(f->req->conn, true);
	else
		(void)flush(f);
	return 0;
}

void
feed_judge_gone(struct chan *c, void *owner)
{
	struct feed *f;

	(void)c;
	(void)owner;
	while ((f = LIST_FIRST(&feeds)) != NULL)
		conn_close(f->req->conn, false);
}

void
feed_stop(uint32_t drain_ms)
{
	feed_judge_gone(NULL, NULL);
	drain_begin(drain_ms);
}

void
feed_numbers(struct buf *b)
{
	const struct feed *f;
	uint64_t n = 0;

	LIST_FOREACH (f, &feeds, link)
		n++;
	(void)metrics_put(b, METRIC_api_feeds, NULL, n);
	(void)metrics_put(b, METRIC_api_cut, "slow", cut_slow);
	(void)metrics_put(b, METRIC_api_cut, "expired", cut_expired);
	(void)metrics_put(b, METRIC_api_cut, "revoked", cut_revoked);
}
