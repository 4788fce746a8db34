/* SPDX-License-Identifier: Apache-2.0 */
/* WebSockets; see socket.h. Egress worker; both sides are hostile. */
#include "egressd/worker/socket.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/exchange.h"
#include "egressd/worker/worker.h"

#define RX_SIZE (32 * 1024)
#define UNSENT_MAX (64 * 1024) /* nothing more is read while this waits */
#define ROUNDS 16              /* reads per turn of the loop */
#define GOODBYE_MS 5000        /* between the Close of one side and that of the other */
#define SHUT_MS 1000           /* for both to take ours */

/* One of the two directions. */
struct way {
	struct ws_reader reader;
	struct ws_writer writer;
	struct buf out; /* frames that wait, from off on */
	size_t off;
	bool closed; /* a Close went this way; nothing follows it */
};

struct socket {
	char key[WS_KEY_LEN + 1];
	int fd; /* to the gate: frames of the agent, frames for it */
	struct event readable, writable;
	bool reading, writing; /* which of these are added */
	struct way up, down;
	struct reflect_at
	    at[2];       /* in what the upstream's messages say, one after another */
	struct buf held; /* of its message under way: searched, not passed on */
	uint8_t kind;    /* of that message */
	bool shut;       /* we have said Close: what comes is thrown away */
	bool upstream_over;
	enum outcome outcome;
};

/* One for the process: handlers run to their end. */
static uint8_t rx[RX_SIZE];

struct socket *
socket_new(uint64_t max)
{
	struct socket *s = calloc(1, sizeof(*s));

	if (s == NULL || ws_key(s->key) == -1) {
		free(s);
		return NULL;
	}
	s->fd = -1;
	s->up.reader.masked = true;
	s->up.reader.max = max;
	s->up.writer.mask = WS_RANDOM;
	s->down.reader.max = UINT64_MAX;
	s->outcome = OUTCOME_OK;
	return s;
}

const char *
socket_key(const struct socket *s)
{
	return s->key;
}

static void
fd_close(struct socket *s)
{
	if (s->fd < 0)
		return;
	event_del(&s->readable);
	event_del(&s->writable);
	close(s->fd);
	s->fd = -1;
}

void
socket_free(struct socket *s)
{
	if (s == NULL)
		return;
	fd_close(s);
	buf_wipe_free(&s->up.out);
	buf_wipe_free(&s->down.out);
	buf_wipe_free(&s->held);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

static size_t
unsent(const struct way *w)
{
	return w->out.len - w->off;
}

bool
socket_close(struct exchange *ex)
{
	struct socket *s = ex->socket;
	bool whole = unsent(&s->down) == 0;

	fd_close(s);
	return whole;
}

/* -- the ends -- */

static int
finish(struct exchange *ex, enum outcome outcome)
{
	ex->keep = false;
	return exchange_finish(ex, outcome);
}

static void
set_due(struct exchange *ex, uint32_t ms)
{
	ex->due_ms = loop_now_ms() + ms;
}

static int
say_close(struct way *w, enum ws_code code, const char *why)
{
	if (w->closed)
		return 0;
	w->closed = true;
	return ws_put_close(&w->writer, &w->out, code, why);
}

/*
 * A Close to both, each with its own code (0: that side is not there), then the end. What
 * is held back is not sent.
 */
static int
shut(struct exchange *ex, enum outcome outcome, unsigned to_agent, unsigned to_upstream,
    const char *why)
{
	struct socket *s = ex->socket;
	size_t len = strlen(ex->detail);

	if (s->shut)
		return 0;
	s->shut = true;
	s->outcome = outcome;
	snprintf(ex->detail + len, sizeof(ex->detail) - len, ": %s", why);
	buf_wipe_free(&s->held);
	set_due(ex, SHUT_MS);
	if ((to_agent != 0 && say_close(&s->down, to_agent, why) == -1) ||
	    (to_upstream != 0 &&
		say_close(&s->up, to_upstream,
		    to_upstream == WS_PROTOCOL_ERROR ? why : "") == -1))
		return finish(ex, outcome);
	if (to_upstream == 0)
		s->upstream_over = true;
	return 0;
}

/* The same to an agent that may know why. */
static int
shut_now(struct exchange *ex, enum outcome outcome, enum ws_code code, const char *why)
{
	if (shut(ex, outcome, code, WS_GOING_AWAY, why) == -1)
		return -1;
	return socket_go(ex);
}

void
socket_end(struct exchange *ex, unsigned why)
{
	static const struct {
		enum outcome outcome;
		enum ws_code code;
		const char *text;
	} table[] = {
	    [SOCKET_REVOKED] = {OUTCOME_CLOSED, WS_POLICY, "no longer allowed"},
	    [SOCKET_INSPECTION] = {OUTCOME_CLOSED, WS_POLICY,
		"the message looks like it holds a credential"},
	    [SOCKET_MALFORMED] = {OUTCOME_CLOSED, WS_PROTOCOL_ERROR, "a malformed frame"},
	    [SOCKET_TOO_LARGE] = {OUTCOME_TOO_LARGE, WS_TOO_BIG,
		"the message is too large"},
	    [SOCKET_STOPPING] = {OUTCOME_CLOSED, WS_GOING_AWAY,
		"Aegis Gate is shutting down"},
	};

	if (why == 0 || why >= sizeof(table) / sizeof(table[0]))
		why = SOCKET_STOPPING;
	shut_now(ex, table[why].outcome, table[why].code, table[why].text);
}

void
socket_due(struct exchange *ex)
{
	struct socket *s = ex->socket;

	if (s->shut)
		finish(ex, s->outcome);
	else if (s->up.closed || s->down.closed) /* one said goodbye, the other did not */
		finish(ex, OUTCOME_OK);
	else
		shut_now(ex, OUTCOME_CLOSED, WS_GOING_AWAY, "idle");
}

void
socket_agent_gone(struct exchange *ex)
{
	struct socket *s = ex->socket;
	bool done = s->shut || (s->up.closed && s->down.closed);

	finish(ex, done ? s->outcome : OUTCOME_AGENT_GONE);
}

static void
sweep(struct exchange *ex, const void *arg)
{
	(void)arg;
	if (ex->socket->shut)
		return;
	if (worker_leaving)
		shut_now(ex, OUTCOME_CLOSED, WS_GOING_AWAY,
		    "the process that holds this credential ends");
	else if (ex->credential != worker_credential)
		shut_now(ex, OUTCOME_CLOSED, WS_RESTART,
		    "the credential has changed; connect again");
	else if (proc_peer(ROLE_JUDGE) == NULL)
		shut_now(ex, OUTCOME_CLOSED, WS_RESTART, "Aegis cannot decide right now");
}

void
sockets_sweep(void)
{
	exchange_sockets(sweep, NULL);
}

static int
upstream_gone(struct exchange *ex)
{
	struct socket *s = ex->socket;

	s->upstream_over = true;
	if (s->shut || s->down.closed) /* after its Close it may */
		return 0;
	return shut(ex, s->up.closed ? OUTCOME_OK : OUTCOME_UPSTREAM_BROKEN, WS_INTERNAL,
	    0, "the upstream broke off the connection");
}

static int
echoed(struct exchange *ex)
{
	explicit_bzero(rx, sizeof(rx));
	LOG_WARN("secret.echoed", LS("service", ex->credential->service),
	    LS("host", ex->to.host), LS("in", "message"),
	    LX("request", ex->request_id, sizeof(ex->request_id)));
	return shut(ex, OUTCOME_SECRET_ECHOED, WS_POLICY, WS_POLICY,
	    "the message contained the credential and was withheld");
}

static int
no_memory(struct exchange *ex)
{
	return shut(ex, OUTCOME_CLOSED, WS_INTERNAL, WS_GOING_AWAY, "out of memory");
}

/* -- what the upstream says -- */

/* Passes on all but `keep` octets of the message under way. 0 or -1. */
static int
pass_held(struct exchange *ex, size_t keep, bool last)
{
	struct socket *s = ex->socket;
	size_t n = s->held.len > keep ? s->held.len - keep : 0;

	if (n == 0 && !last)
		return 0;
	if (ws_put(&s->down.writer, &s->down.out, s->kind, last, s->held.p, n) == -1)
		return no_memory(ex);
	s->held.len -= n;
	if (s->held.len > 0)
		memmove(s->held.p, s->held.p + n, s->held.len);
	return 0;
}

static int
take_control(struct exchange *ex, const struct ws_piece *piece)
{
	struct reflect_at at[2] = {{0}};
	struct socket *s = ex->socket;

	if (credential_feed(ex->credential, at, piece->p, piece->len))
		return echoed(ex);
	if (ws_put(&s->down.writer, &s->down.out, piece->kind, true, piece->p,
		piece->len) == -1)
		return no_memory(ex);
	if (piece->kind == WS_CLOSE) {
		s->down.closed = true;
		set_due(ex, GOODBYE_MS);
	}
	return 0;
}

static int
take_piece(struct exchange *ex, const struct ws_piece *piece)
{
	struct socket *s = ex->socket;

	if (piece->kind >= WS_CLOSE)
		return take_control(ex, piece);
	s->kind = piece->kind;
	if (buf_put(&s->held, piece->p, piece->len) == -1)
		return no_memory(ex);
	if (credential_feed(ex->credential, s->at, piece->p, piece->len))
		return echoed(ex);
	/* a message that is over does not wait for the next one; should that bring the
	 * secret's end, it is not passed on */
	return piece->last ? pass_held(ex, 0, true) : 0;
}

static int
from_upstream(struct exchange *ex, uint8_t *p, size_t len)
{
	struct socket *s = ex->socket;
	struct ws_piece piece;
	int r = 0;

	while (!s->shut && !s->down.closed &&
	    (r = ws_next(&s->down.reader, &p, &len, &piece)) == 1)
		if (take_piece(ex, &piece) == -1)
			return -1;
	if (s->shut || s->down.closed)
		return 0;
	if (r < 0)
		return shut(ex, OUTCOME_UPSTREAM_BROKEN, WS_INTERNAL, WS_PROTOCOL_ERROR,
		    ws_strerror(r));
	return pass_held(ex, credential_hold(ex->credential, s->at), false);
}

/* -- what the agent says -- */

static int
from_agent(struct exchange *ex, uint8_t *p, size_t len)
{
	struct socket *s = ex->socket;
	struct ws_piece piece;
	int r = 0;

	while (!s->shut && !s->up.closed &&
	    (r = ws_next(&s->up.reader, &p, &len, &piece)) == 1) {
		if (ws_put(&s->up.writer, &s->up.out, piece.kind, piece.last, piece.p,
			piece.len) == -1)
			return no_memory(ex);
		if (piece.kind == WS_CLOSE) {
			s->up.closed = true;
			set_due(ex, GOODBYE_MS);
		}
	}
	if (r < 0 && !s->shut)
		return shut(ex, r == WS_ERR_TOO_BIG ? OUTCOME_TOO_LARGE : OUTCOME_CLOSED,
		    ws_code_of(r), WS_GOING_AWAY, ws_strerror(r));
	return 0;
}

/* -- moving octets -- */

/* Something moved: unless goodbye was said, the clock starts anew. */
static void
touch(struct exchange *ex)
{
	struct socket *s = ex->socket;

	if (!s->shut && !s->up.closed && !s->down.closed)
		set_due(ex, ex->idle_ms);
}

/* n octets left, or none could (0). */
static void
sent(struct way *w, size_t n)
{
	w->off += n;
	if (w->off < w->out.len)
		return;
	w->off = 0;
	buf_free(&w->out);
}

static int
flush_down(struct exchange *ex)
{
	struct socket *s = ex->socket;
	struct way *w = &s->down;
	ssize_t n;

	while (unsent(w) > 0) {
		n = send(
		    s->fd, w->out.p + w->off, unsent(w), MSG_NOSIGNAL | MSG_DONTWAIT);
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
		touch(ex);
	}
	return 0;
}

static int
flush_up(struct exchange *ex)
{
	struct socket *s = ex->socket;
	struct way *w = &s->up;
	ssize_t n;

	while (unsent(w) > 0 && !s->upstream_over) {
		n = stream_write(&ex->up->stream, w->out.p + w->off, unsent(w));
		if (n == STREAM_AGAIN)
			return 0;
		if (n <= 0)
			return upstream_gone(ex);
		ex->bytes_in += (size_t)n;
		sent(w, (size_t)n);
		touch(ex);
	}
	return 0;
}

/* 1: something came, 0, -1. */
static int
read_upstream(struct exchange *ex)
{
	struct socket *s = ex->socket;
	ssize_t n;

	if (s->upstream_over || (unsent(&s->down) > UNSENT_MAX && !s->shut))
		return 0;
	n = stream_read(&ex->up->stream, rx, sizeof(rx));
	if (n == STREAM_AGAIN)
		return 0;
	if (n <= 0)
		return upstream_gone(ex);
	touch(ex);
	return from_upstream(ex, rx, (size_t)n) == -1 ? -1 : 1;
}

static int
read_gate(struct exchange *ex)
{
	struct socket *s = ex->socket;
	ssize_t n;

	if (unsent(&s->up) > 0 && !s->shut)
		return 0;
	n = read(s->fd, rx, sizeof(rx));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		socket_agent_gone(ex);
		return -1;
	}
	touch(ex);
	return from_agent(ex, rx, (size_t)n) == -1 ? -1 : 1;
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
	listen_to(&s->readable, &s->reading, s->shut || unsent(&s->up) == 0);
	listen_to(&s->writable, &s->writing, unsent(&s->down) > 0);
	if (s->upstream_over) {
		upstream_set_reading(ex->up, false);
		return;
	}
	upstream_set_reading(ex->up, s->shut || unsent(&s->down) <= UNSENT_MAX);
	if (more || unsent(&s->up) > 0 || ex->up->stream.want_write)
		upstream_want_write(ex->up);
}

/* Is all said that there was to say? */
static bool
is_over(const struct socket *s)
{
	if (unsent(&s->down) > 0 || (unsent(&s->up) > 0 && !s->upstream_over))
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
			return finish(ex, s->outcome);
		more = a == 1 || b == 1;
	}
	wait(ex, more);
	return 0;
}

static void
on_gate(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	socket_go(arg);
}

/* -- the handshake -- */

static bool
only(const struct http1_head *head, const char *name, const char *value)
{
	const struct http1_header *f = http1_find(head, name);

	return f != NULL && http1_count(head, name) == 1 && span_ieq(f->value, value);
}

/* Is `name` one of those that the agent offered? */
static bool
was_offered(struct span headers, struct span name)
{
	static const char field[] = "sec-websocket-protocol:";
	struct span list, item;
	const char *end;

	while ((end = headers.len > 0 ? memchr(headers.p, '\n', headers.len) : NULL) !=
	    NULL) {
		list = span_mem(headers.p, (size_t)(end - headers.p));
		headers = span_mem(end + 1, headers.len - list.len - 1);
		if (list.len < sizeof(field) ||
		    strncasecmp(list.p, field, sizeof(field) - 1) != 0)
			continue;
		list = span_mem(list.p + sizeof(field) - 1,
		    list.len - (sizeof(field) - 1) - 1); /* without the CR */
		while (http1_list_next(&list, &item))
			if (span_same(item, name))
				return true;
	}
	return false;
}

/* What is wrong with a 101, or NULL. RFC 6455 section 4.1. */
static const char *
refusal(const struct exchange *ex, const struct http1_head *head)
{
	const struct http1_header *protocol = http1_find(head, "sec-websocket-protocol"),
				  *connection = http1_find(head, "connection");
	char accept[WS_ACCEPT_LEN + 1];
	const struct http1_header *f = http1_find(head, "sec-websocket-accept");

	if (head->minor != 1 || !only(head, "upgrade", "websocket") ||
	    connection == NULL || http1_count(head, "connection") != 1 ||
	    !http1_list_has(connection->value, "upgrade"))
		return "the upstream switched to something else";
	if (f == NULL || http1_count(head, "sec-websocket-accept") != 1 ||
	    ws_accept(span_str(ex->socket->key), accept) == -1 ||
	    !span_eq(f->value, accept))
		return "the upstream's Sec-WebSocket-Accept is wrong";
	if (http1_find(head, "sec-websocket-extensions") != NULL)
		return "the upstream uses an extension that nobody asked for";
	if (protocol != NULL &&
	    (http1_count(head, "sec-websocket-protocol") != 1 ||
		!was_offered(ex->request.headers, protocol->value)))
		return "the upstream chose a subprotocol that was not offered";
	return NULL;
}

static void
tell_judge(const struct exchange *ex)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(socket_open, m);

	memcpy(m.request_id, ex->request_id, sizeof(m.request_id));
	memcpy(m.grant, ex->grant, sizeof(m.grant));
	if (judge != NULL)
		(void)chan_note(judge, MSG_socket_open, &m);
}

int
socket_begin(struct exchange *ex, const struct http1_head *head, struct span fields,
    uint8_t *rest, size_t len)
{
	struct socket *s = ex->socket;
	const char *why = refusal(ex, head);
	int pair[2];
	MSG_INIT(proxy_head, m);

	if (why != NULL)
		return exchange_broken(ex, why);
	/* without a judge nobody could end it */
	if (proc_peer(ROLE_JUDGE) == NULL || worker_credential != ex->credential)
		return exchange_fail(ex, OUTCOME_CLOSED, 503,
		    "The WebSocket cannot be opened now", NULL, "Try again.");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) ==
	    -1)
		return exchange_broken(ex, "out of descriptors");
	s->fd = pair[0];
	event_assign(&s->readable, loop_base(), s->fd, EV_READ | EV_PERSIST, on_gate, ex);
	event_assign(
	    &s->writable, loop_base(), s->fd, EV_WRITE | EV_PERSIST, on_gate, ex);
	ex->status = 101;
	m.status = 101;
	m.headers = fields;
	m.body_len = BODY_LEN_UNKNOWN;
	m.stream = pair[1];
	if (chan_answer(ex->gate, ex->reqid, MSG_proxy_head, &m) == -1) {
		ex->reqid = 0;
		return finish(ex, OUTCOME_AGENT_GONE);
	}
	ex->reqid = 0;
	ex->state = EX_SOCKET;
	touch(ex);
	tell_judge(ex);
	if (from_upstream(ex, rest, len) == -1)
		return -1;
	buf_wipe_free(&ex->in);
	return socket_go(ex);
}
