/* SPDX-License-Identifier: Apache-2.0 */
/* WebSockets; see wsock.h. gated; the octets are agents', heads a worker's. */
#include "gated/wsock.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/msg.h"
#include "common/ws.h"
#include "gated/answer.h"
#include "gated/ask.h"
#include "gated/conf.h"
#include "gated/conn.h"
#include "gated/inspect.h"
#include "gated/redeemer.h"
#include "gated/refuse.h"
#include "gated/req.h"

#define PIECE_MAX 16384 /* that the inspector gets at once */
#define CONTROL_MIN 8   /* no credential in a control frame is shorter */

struct wsock {
	LIST_ENTRY(wsock) link; /* those that are open */
	struct req *req;
	char accept[WS_ACCEPT_LEN + 1];
	bool open;
	bool over; /* nothing more of the agent is wanted */
	struct event writable;
	/* with the inspector; else NULL, and the octets go on as they are */
	struct inspect *look;
	bool blocks, told;
	enum socket_why why; /* it ends */
	struct ws_reader reader;
	struct ws_writer writer;
	struct buf held; /* payload of the message under way that may not go on yet */
	uint64_t given;  /* octets of payload that went on */
	uint8_t kind;    /* of that message */
	struct buf out;  /* frames for the worker, from off on */
	size_t off;
};

static LIST_HEAD(, wsock) open_ones = LIST_HEAD_INITIALIZER(open_ones);

/* -- the agent's handshake, section 4.2.1 -- */

static const struct http1_header *
single(const struct http1_head *h, const char *name)
{
	return http1_count(h, name) == 1 ? http1_find(h, name) : NULL;
}

/* Does it name WebSockets at all? Other protocols are not offered, and so no matter. */
static bool
wants(const struct http1_head *h)
{
	size_t i;

	for (i = 0; i < h->nheaders; i++)
		if (span_ieq(h->headers[i].name, "upgrade") &&
		    http1_list_has(h->headers[i].value, "websocket"))
			return true;
	return http1_find(h, "sec-websocket-key") != NULL;
}

static const char *
form_refusal(const struct http1_head *h, const struct req *r)
{
	if (!span_eq(h->method, "GET") || h->minor != 1)
		return "a WebSocket begins with GET and HTTP/1.1";
	if (h->body != HTTP1_BODY_NONE &&
	    (h->body != HTTP1_BODY_LENGTH || h->content_length > 0))
		return "a WebSocket's handshake has no body";
	if (r->wants_continue)
		return "a WebSocket's handshake has no body to wait for";
	return NULL;
}

int
wsock_begin(struct req *r, const struct http1_head *h)
{
	const struct http1_header *upgrade = single(h, "upgrade"),
				  *version = single(h, "sec-websocket-version"),
				  *key = single(h, "sec-websocket-key");
	char accept[WS_ACCEPT_LEN + 1];
	const char *why;

	if (!wants(h))
		return 0;
	r->conn->close_after = true; /* who expects frames sends no other request */
	if ((why = form_refusal(h, r)) != NULL) {
		refuse(r, REFUSAL_BAD_REQUEST, 400, why);
		return -1;
	}
	if (upgrade == NULL || !span_ieq(upgrade->value, "websocket") || !h->upgrade) {
		refuse(r, REFUSAL_UPGRADE, 426,
		    "send Upgrade: websocket and Connection: Upgrade; a proxy in between "
		    "may take them away");
		return -1;
	}
	if (version == NULL || !span_eq(version->value, "13")) {
		refuse(r, REFUSAL_UPGRADE, 426, "Sec-WebSocket-Version must be 13");
		return -1;
	}
	if (key == NULL || ws_accept(key->value, accept) == -1) {
		refuse(r, REFUSAL_BAD_REQUEST, 400,
		    "Sec-WebSocket-Key must be 16 octets in base64");
		return -1;
	}
	r->ws = calloc(1, sizeof(*r->ws));
	if (r->ws == NULL) {
		refuse(r, REFUSAL_BODY_TOO_LARGE, 503, "no memory");
		return -1;
	}
	r->ws->req = r;
	memcpy(r->ws->accept, accept, sizeof(accept));
	return 0;
}

/* -- what the agent sends -- */

/* Nothing more goes to the worker; what the agent still sends is thrown away. */
static void
give_up(struct wsock *s)
{
	s->over = true;
	if (s->open)
		event_del(&s->writable);
	buf_wipe_free(&s->held);
	buf_free(&s->out);
	s->off = 0;
}

/* How many octets the worker took, 0 while it takes none. */
static size_t
give(struct wsock *s, const void *p, size_t len)
{
	ssize_t n = send(s->req->flow.fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
		give_up(s);
		return len;
	}
	if (n < (ssize_t)len)
		event_add(&s->writable, NULL);
	return n < 0 ? 0 : (size_t)n;
}

static void
flush(struct wsock *s)
{
	if (s->out.len > s->off)
		s->off += give(s, s->out.p + s->off, s->out.len - s->off);
	if (s->over || s->off < s->out.len)
		return;
	s->off = 0;
	buf_free(&s->out);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct wsock *s = arg;

	(void)fd;
	(void)what;
	if (!s->over)
		flush(s);
	conn_resume(s->req->conn);
}

static void
end_it(struct wsock *s, enum socket_why why)
{
	struct req *r = s->req;
	MSG_INIT(socket_end, m);

	memcpy(m.request_id, r->id, sizeof(m.request_id));
	m.why = (uint8_t)why;
	if (r->redeemer != NULL)
		(void)chan_note(r->redeemer->chan, MSG_socket_end, &m);
}

/* What may go on does. 0 or -1. */
static int
pass(struct wsock *s, bool last)
{
	size_t n = s->held.len;
	uint64_t clean;

	if (s->blocks) {
		clean = inspect_clean(s->look) - s->given;
		n = clean < n ? (size_t)clean : n;
	}
	if (n == 0 && !last)
		return 0;
	if (ws_put(&s->writer, &s->out, s->kind, last, s->held.p, n) == -1)
		return -1;
	s->given += n;
	s->held.len -= n;
	if (s->held.len > 0)
		memmove(s->held.p, s->held.p + n, s->held.len);
	else
		buf_free(&s->held);
	return 0;
}

/* What `look` has found so far. -1: it is blocked. */
static int
found(struct wsock *s, const struct inspect *look)
{
	char words[256];

	inspect_words(look, inspect_hit(look), words, sizeof(words));
	if (words[0] == '\0')
		return 0;
	if (inspect_hit(look) && s->blocks) {
		s->why = SOCKET_INSPECTION;
		judge_tell_blocked(s->req, words);
		return -1;
	}
	if (!s->told)
		judge_tell_found(s->req, words);
	s->told = true;
	return 0;
}

/* What a ping or a Close carries is looked at by itself: it may come inside a message. */
static int
take_control(struct wsock *s, const struct ws_piece *piece)
{
	struct inspect *look;
	int r = 0;

	if (piece->len >= CONTROL_MIN) {
		look = inspect_new(INSPECT_PLAIN);
		if (look == NULL)
			return -1;
		inspect_text(look, span_mem(piece->p, piece->len));
		r = found(s, look);
		inspect_free(look);
	}
	return r == 0
	    ? ws_put(&s->writer, &s->out, piece->kind, true, piece->p, piece->len)
	    : -1;
}

/* 0, or -1: it goes no further. */
static int
take_piece(struct wsock *s, const struct ws_piece *piece)
{
	if (piece->kind >= WS_CLOSE)
		return take_control(s, piece);
	s->kind = piece->kind;
	if (buf_put(&s->held, piece->p, piece->len) == -1 ||
	    inspect_feed(s->look, piece->p, piece->len) == -1)
		return -1;
	if (piece->last && inspect_end(s->look) == -1) /* no word goes across messages */
		return -1;
	if ((piece->last || inspect_hit(s->look)) && found(s, s->look) == -1)
		return -1;
	return pass(s, piece->last);
}

static void
inspected(struct wsock *s, const char *data, size_t len)
{
	static uint8_t copy[PIECE_MAX];
	uint8_t *p = copy;
	struct ws_piece piece;
	int r;

	memcpy(copy, data, len);
	while ((r = ws_next(&s->reader, &p, &len, &piece)) == 1)
		if (take_piece(s, &piece) == -1)
			break;
	explicit_bzero(copy, sizeof(copy));
	if (r == 0) {
		flush(s);
		return;
	}
	if (r < 0)
		s->why = r == WS_ERR_TOO_BIG ? SOCKET_TOO_LARGE : SOCKET_MALFORMED;
	end_it(s, s->why);
	give_up(s);
}

size_t
wsock_input(struct req *r, const char *p, size_t len)
{
	struct wsock *s = r->ws;

	if (r->state == REQ_REFUSING || s->over)
		return len;
	if (!s->open) {
		refuse(r, REFUSAL_BAD_REQUEST, 400,
		    "octets behind a WebSocket's handshake before its answer");
		return len;
	}
	if (s->look == NULL)
		return give(s, p, len);
	if (s->out.len > s->off)
		return 0;
	len = len < PIECE_MAX ? len : PIECE_MAX;
	inspected(s, p, len);
	return len;
}

/* -- its life -- */

static int
look_begin(struct req *r)
{
	struct wsock *s = r->ws;

	if (r->inspect == INSPECT_OFF)
		return 0;
	s->look = inspect_new(INSPECT_PLAIN);
	s->blocks = r->inspect == INSPECT_BLOCK;
	s->why = SOCKET_STOPPING; /* without memory, say */
	s->reader.masked = true;
	s->reader.max = gate_conf.max_body;
	s->writer.mask = WS_MASK_ZERO;
	return s->look == NULL ? -1 : 0;
}

void
wsock_open(struct req *r, struct msg_proxy_head *m)
{
	struct wsock *s = r->ws;

	if (s == NULL || m->stream < 0 || m->body.len > 0) {
		LOG_WARN("worker.answer", LU("instance", r->redeemer->instance),
		    LU("status", m->status));
		refuse(r, REFUSAL_REDEEMER_GONE, 502, "malformed answer of the worker");
		return;
	}
	if (look_begin(r) == -1) {
		refuse(r, REFUSAL_BODY_TOO_LARGE, 503, "no memory");
		return;
	}
	timer_set(&r->timer, TIMER_NONE);
	r->flow.framing = FRAMING_CLOSE;
	flow_open_take(r, m->stream);
	event_assign(&s->writable, loop_base(), m->stream, EV_WRITE, on_writable, s);
	m->stream = -1;
	s->open = true;
	LIST_INSERT_HEAD(&open_ones, s, link);
	/* its end must not be lost in a reset by octets that nobody reads any more */
	r->conn->unread = true;
	if (answer_switched(r, m->headers, s->accept) == 0)
		flow_start(r);
}

void
wsock_detach(struct req *r)
{
	struct wsock *s = r->ws;

	if (s == NULL || !s->open)
		return;
	event_del(&s->writable);
	LIST_REMOVE(s, link);
	s->open = false;
	s->over = true;
}

void
wsock_free(struct req *r)
{
	struct wsock *s = r->ws;

	if (s == NULL)
		return;
	r->ws = NULL;
	inspect_free(s->look);
	buf_wipe_free(&s->held);
	buf_wipe_free(&s->out);
	free(s);
}

void
wsock_drain(void)
{
	struct wsock *s;

	LIST_FOREACH (s, &open_ones, link)
		end_it(s, SOCKET_STOPPING);
}
