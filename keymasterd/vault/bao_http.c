/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to OpenBao; see bao_http.h. Runs in vault. */
#include "keymasterd/vault/bao_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/http1_chunk.h"
#include "common/loop.h"
#include "common/secret.h"
#include "common/stream.h"
#include "keymasterd/vault/bao_http.h"
#include "keymasterd/vault/access.h"
#include "keymasterd/vault/bao_stats.h"

#define CONNECTIONS_MAX 4
#define READ_OCTETS 16384

/* A request from its question to its answer. */
struct exchange {
	TAILQ_ENTRY(exchange) entry; /* in the queue while no connection has it */
	struct buf out;
	bool once, again; /* again: was sent on an idle connection that had died */
	struct event timer;
	struct conn *conn;
	unsigned operation; /* for the numbers, as the next */
	uint64_t began_us;
	bao_done_fn done;
	void *arg;
};

enum conn_state { CONN_CONNECTING, CONN_TLS, CONN_BUSY, CONN_IDLE };

struct conn {
	TAILQ_ENTRY(conn) entry;
	enum conn_state state;
	struct stream stream;
	struct event io;
	bool waiting; /* io is added */
	bool reused;
	unsigned address;
	struct exchange *x; /* NULL when idle, or when nobody waits any more */
	size_t sent;
	struct buf in, body;
	struct http1_parser parser;
	struct http1_head head;
	struct http1_chunked chunked;
	size_t head_len, taken; /* of in: the head, and what the chunk decoder has had */
};

static TAILQ_HEAD(, exchange) queue = TAILQ_HEAD_INITIALIZER(queue);
static TAILQ_HEAD(, conn) conns = TAILQ_HEAD_INITIALIZER(conns);
static unsigned nconns, nexchanges, next_address;
static const struct bao_http_conf *conf;

static void dispatch(void);
static void conn_step(struct conn *);

/* -- exchanges -- */

static void
exchange_end(struct exchange *x, const struct bao_answer *a)
{
	event_del(&x->timer);
	if (x->conn != NULL)
		x->conn->x = NULL;
	else
		TAILQ_REMOVE(&queue, x, entry);
	nexchanges--;
	bao_stats_count(x->operation, a, access_clock_us() - x->began_us);
	x->done(a, x->arg);
	buf_wipe_free(&x->out);
	free(x);
}

static void
conn_free(struct conn *c)
{
	if (c->waiting)
		event_del(&c->io);
	TAILQ_REMOVE(&conns, c, entry);
	nconns--;
	stream_close(&c->stream);
	buf_wipe_free(&c->in);
	buf_wipe_free(&c->body);
	free(c);
}

/* The connection is of no more use; whoever waits on it is told, or asked again. */
static void
conn_fail(struct conn *c, enum bao_outcome outcome, const char *text)
{
	const struct bao_answer a = {.outcome = outcome, .text = text};
	struct exchange *x = c->x;
	bool stale = c->reused && c->in.len == 0 && outcome == BAO_BROKEN;

	c->x = NULL;
	if (x != NULL)
		x->conn = NULL;
	if (x != NULL)
		TAILQ_INSERT_HEAD(&queue, x, entry);
	if (x != NULL && stale && !x->once && !x->again)
		x->again = true; /* stays in the queue */
	else if (x != NULL)
		exchange_end(x, &a);
	conn_free(c);
	dispatch();
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	static const struct bao_answer late = {
	    .outcome = BAO_LATE, .text = "OpenBao did not answer in time"};
	struct exchange *x = arg;
	struct conn *c = x->conn;

	(void)fd;
	(void)what;
	exchange_end(x, &late);
	if (c != NULL)
		conn_free(c); /* its answer may still come: nobody else may read it */
	dispatch();
}

/* -- a connection -- */

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	c->waiting = false;
	conn_step(c);
}

static void
conn_wait(struct conn *c, short wanted)
{
	if (c->waiting)
		event_del(&c->io);
	event_assign(&c->io, loop_base(), c->stream.fd, stream_events(&c->stream, wanted),
	    on_io, c);
	c->waiting = event_add(&c->io, NULL) == 0;
	if (!c->waiting)
		conn_fail(c, BAO_UNSENT, "no memory");
}

static socklen_t
sockaddr_of(const char *text, uint16_t port, struct sockaddr_storage *ss)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		memcpy(ss, &in, sizeof(in));
		return sizeof(in);
	}
	if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
		return 0;
	memcpy(ss, &in6, sizeof(in6));
	return sizeof(in6);
}

/* A connection that is being opened; NULL with errno. */
static struct conn *
conn_open(void)
{
	struct sockaddr_storage ss;
	struct conn *c;
	socklen_t len;
	int fd, on = 1, err;

	len = sockaddr_of(conf->addresses[next_address], conf->port, &ss);
	fd = len == 0
	    ? -1
	    : socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return NULL;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c = calloc(1, sizeof(*c));
	if (c == NULL ||
	    (connect(fd, (const struct sockaddr *)&ss, len) == -1 &&
		errno != EINPROGRESS)) {
		err = errno;
		free(c);
		close(fd);
		errno = err;
		return NULL;
	}
	stream_plain(&c->stream, fd);
	c->address = next_address;
	buf_init(&c->in);
	buf_init(&c->body);
	TAILQ_INSERT_TAIL(&conns, c, entry);
	nconns++;
	return c;
}

/* 1 when it is open, 0 when that takes longer, -1 when it failed and c is freed. */
static int
conn_opening(struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);
	ssize_t n;

	if (c->state == CONN_CONNECTING) {
		if (getsockopt(c->stream.fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
			err = errno;
		if (err != 0) {
			next_address = (c->address + 1) % conf->naddresses;
			conn_fail(c, BAO_UNSENT, strerror(err));
			return -1;
		}
		c->state = CONN_TLS;
		if (conf->tls != NULL &&
		    stream_tls(&c->stream, c->stream.fd, conf->tls, 0, conf->host) ==
			-1) {
			conn_fail(c, BAO_UNSENT, "TLS does not start");
			return -1;
		}
	}
	n = stream_handshake(&c->stream);
	if (n == STREAM_AGAIN) {
		conn_wait(c, 0);
		return 0;
	}
	if (n != 1) {
		conn_fail(c, BAO_UNSENT, stream_error(&c->stream));
		return -1;
	}
	c->state = CONN_BUSY;
	return 1;
}

static void
begin_answer(struct conn *c)
{
	http1_parser_init(&c->parser, HTTP1_RESPONSE, NULL);
	memset(&c->chunked, 0, sizeof(c->chunked));
	buf_reset(&c->in);
	buf_reset(&c->body);
	c->head_len = c->taken = c->sent = 0;
}

/* The chunks that have come. 1 at their end, 0 for more, -1. */
static int
read_chunks(struct conn *c)
{
	struct span in = span_mem(c->in.p + c->taken, c->in.len - c->taken), data;
	int r;

	while ((r = http1_chunk_next(&c->chunked, &in, &data)) == HTTP1_CHUNK_DATA)
		if (c->body.len + data.len > BAO_HTTP_BODY_MAX ||
		    buf_put(&c->body, data.p, data.len) == -1)
			return -1;
	c->taken = c->in.len - in.len;
	return r == HTTP1_CHUNK_END ? 1 : r == HTTP1_CHUNK_MORE ? 0 : -1;
}

/* What has come so far. 1 when the answer is whole, 0 for more, -1 when it is none. */
static int
read_answer(struct conn *c, bool ended)
{
	ssize_t n;

	if (c->head_len == 0) {
		n = http1_head_parse(
		    &c->parser, (const char *)c->in.p, c->in.len, &c->head);
		if (n <= 0)
			return n == 0 && !ended ? 0 : -1;
		if (c->head.status < 200) /* we ask for no such thing */
			return -1;
		c->head_len = c->taken = (size_t)n;
	}
	switch (c->head.body) {
	case HTTP1_BODY_NONE:
		return 1;
	case HTTP1_BODY_LENGTH:
		if (c->head.content_length > BAO_HTTP_BODY_MAX)
			return -1;
		if (c->in.len - c->head_len < c->head.content_length)
			return ended ? -1 : 0;
		return buf_put(&c->body, c->in.p + c->head_len,
			   (size_t)c->head.content_length) == 0
		    ? 1
		    : -1;
	case HTTP1_BODY_CHUNKED:
		if ((n = read_chunks(c)) == 0 && ended)
			return -1;
		return (int)n;
	case HTTP1_BODY_UNTIL_CLOSE: /* cut and whole look the same */
	default:
		return -1;
	}
}

static void
conn_answered(struct conn *c)
{
	struct bao_answer a = {.outcome = BAO_ANSWERED,
	    .status = c->head.status,
	    .body = span_mem(c->body.p, c->body.len)};
	struct exchange *x = c->x;
	bool keep = c->head.keep_alive &&
	    c->in.len ==
		(c->head.body == HTTP1_BODY_LENGTH
			? c->head_len + (size_t)c->head.content_length
			: c->taken);

	c->state = CONN_IDLE;
	exchange_end(x, &a); /* may send again, but not on this one: x is not NULL yet */
	buf_wipe_free(&c->in);
	buf_wipe_free(&c->body);
	if (!keep) {
		conn_free(c);
	} else {
		c->reused = true;
		conn_wait(c, EV_READ);
	}
	dispatch();
}

static void
conn_read(struct conn *c)
{
	ssize_t n;
	int r;

	for (;;) {
		if (c->in.len > BAO_HTTP_BODY_MAX * 2 ||
		    buf_reserve(&c->in, READ_OCTETS) == -1) {
			conn_fail(c, BAO_BROKEN, "the answer is too large");
			return;
		}
		n = stream_read(&c->stream, c->in.p + c->in.len, READ_OCTETS);
		if (n == STREAM_AGAIN) {
			conn_wait(c, EV_READ);
			return;
		}
		if (n == STREAM_ERROR) {
			conn_fail(c, BAO_BROKEN, stream_error(&c->stream));
			return;
		}
		c->in.len += (size_t)n;
		r = read_answer(c, n == STREAM_EOF);
		if (r == 1) {
			conn_answered(c);
			return;
		}
		if (r == -1) {
			conn_fail(c, BAO_BROKEN,
			    n == STREAM_EOF ? "the connection ended before an answer"
					    : "what came is no answer");
			return;
		}
	}
}

static void
conn_write(struct conn *c)
{
	struct buf *out = &c->x->out;
	ssize_t n;

	while (c->sent < out->len) {
		n = stream_write(&c->stream, out->p + c->sent, out->len - c->sent);
		if (n == STREAM_AGAIN) {
			conn_wait(c, EV_WRITE);
			return;
		}
		if (n < 0) {
			conn_fail(c, BAO_BROKEN, stream_error(&c->stream));
			return;
		}
		c->sent += (size_t)n;
	}
	conn_read(c);
}

static void
conn_step(struct conn *c)
{
	if (c->state == CONN_IDLE) { /* closed, or says what nobody asked for */
		conn_free(c);
		return;
	}
	if (c->state != CONN_BUSY && conn_opening(c) != 1)
		return;
	conn_write(c);
}

static void
assign(struct conn *c, struct exchange *x)
{
	TAILQ_REMOVE(&queue, x, entry);
	x->conn = c;
	c->x = x;
	begin_answer(c);
}

static struct conn *
idle_conn(void)
{
	struct conn *c;

	TAILQ_FOREACH (c, &conns, entry)
		if (c->state == CONN_IDLE && c->waiting)
			return c;
	return NULL;
}

/* Requests to connections. Not entered twice: what it calls may end requests. */
static void
dispatch(void)
{
	static bool inside;
	struct bao_answer unsent = {.outcome = BAO_UNSENT};
	struct exchange *x;
	struct conn *c;

	if (inside)
		return;
	inside = true;
	while ((x = TAILQ_FIRST(&queue)) != NULL) {
		c = idle_conn();
		if (c != NULL) {
			c->state = CONN_BUSY;
			assign(c, x);
			conn_wait(c, EV_WRITE);
			continue;
		}
		if (nconns >= CONNECTIONS_MAX)
			break;
		c = conn_open();
		if (c == NULL) {
			unsent.text = strerror(errno);
			next_address = (next_address + 1) % conf->naddresses;
			exchange_end(x, &unsent);
			continue;
		}
		assign(c, x);
		conn_wait(c, EV_WRITE);
	}
	inside = false;
}

/* -- for the rest of vault -- */

void
bao_http_setup(const struct bao_http_conf *c)
{
	conf = c;
	next_address = 0;
}

static int
put_token(const void *p, size_t len, void *arg)
{
	return buf_puts(arg, "X-Vault-Token: ") == 0 && buf_put(arg, p, len) == 0
	    ? buf_puts(arg, "\r\n")
	    : -1;
}

static int
put_request(struct buf *out, const struct bao_request *r)
{
	const char *open = strchr(conf->host, ':') != NULL ? "[" : "";

	if (buf_printf(out, "%s %s HTTP/1.1\r\nHost: %s%s%s:%u\r\n", r->method, r->path,
		open, conf->host, open[0] != '\0' ? "]" : "", conf->port) == -1)
		return -1;
	if (r->ns != NULL && r->ns[0] != '\0' &&
	    buf_printf(out, "X-Vault-Namespace: %s\r\n", r->ns) == -1)
		return -1;
	if (r->token != NULL && secret_use(r->token, put_token, out) != 0)
		return -1;
	/* a browser cannot send this one by mistake */
	if (buf_puts(out, "X-Vault-Request: true\r\n") == -1)
		return -1;
	if (r->body.len > 0 && buf_puts(out, "Content-Type: application/json\r\n") == -1)
		return -1;
	return buf_printf(out, "Content-Length: %zu\r\n\r\n", r->body.len) == 0
	    ? buf_put(out, r->body.p, r->body.len)
	    : -1;
}

void
bao_http_send(const struct bao_request *r, bao_done_fn done, void *arg)
{
	static const struct bao_answer busy = {
	    .outcome = BAO_BUSY, .text = "too many questions to OpenBao at once"};
	const struct timeval tv = {
	    (time_t)(r->timeout_ms / 1000), (suseconds_t)(r->timeout_ms % 1000) * 1000};
	struct exchange *x =
	    nexchanges < BAO_HTTP_QUEUE_MAX ? calloc(1, sizeof(*x)) : NULL;

	if (x == NULL) {
		done(&busy, arg);
		return;
	}
	buf_init(&x->out);
	x->once = r->once != 0;
	x->operation = bao_stats_operation(r->path);
	x->began_us = access_clock_us();
	x->done = done;
	x->arg = arg;
	if (put_request(&x->out, r) == -1 ||
	    evtimer_assign(&x->timer, loop_base(), on_late, x) == -1 ||
	    evtimer_add(&x->timer, &tv) == -1) {
		buf_wipe_free(&x->out);
		free(x);
		done(&busy, arg);
		return;
	}
	nexchanges++;
	TAILQ_INSERT_TAIL(&queue, x, entry);
	dispatch();
}

void
bao_http_close(void)
{
	static const struct bao_answer closed = {
	    .outcome = BAO_BROKEN, .text = "vault ends"};
	struct exchange *x;
	struct conn *c;

	while ((c = TAILQ_FIRST(&conns)) != NULL) {
		if ((x = c->x) != NULL)
			exchange_end(x, &closed);
		conn_free(c);
	}
	while ((x = TAILQ_FIRST(&queue)) != NULL)
		exchange_end(x, &closed);
}
