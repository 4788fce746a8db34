/* SPDX-License-Identifier: Apache-2.0 */
/* See gate.h. Every connection carries one request: a call of a model is no place to save
 * a handshake over loopback, and nothing is ever sent twice. */
#include "bridge/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/http1_chunk.h"
#include "common/stream.h"

#define PIECE 16384

static char host[256], port[8], authority[300];
static SSL_CTX *tls;

static const struct http1_limits limits = {GATE_HEAD_MAX, 8192, HTTP1_MAX_HEADERS};

__attribute__((format(printf, 2, 3))) static int
say(char err[GATE_ERROR_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err, GATE_ERROR_MAX, fmt, ap);
	va_end(ap);
	return -1;
}

static int
tls_init(const char *ca, char err[GATE_ERROR_MAX])
{
	tls = SSL_CTX_new(TLS_client_method());
	if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1)
		return say(err, "TLS is not available");
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	if (ca[0] != '\0' ? SSL_CTX_load_verify_locations(tls, ca, NULL) != 1
			  : SSL_CTX_set_default_verify_paths(tls) != 1)
		return say(err, "%s: no certificate authority can be read from it", ca);
	return 0;
}

int
gate_init(const char *url, const char *ca, char err[GATE_ERROR_MAX])
{
	const char *p, *end, *colon;
	size_t n;

	if (strncmp(url, "http://", 7) == 0)
		p = url + 7;
	else if (strncmp(url, "https://", 8) == 0)
		p = url + 8;
	else
		return say(
		    err, "%s: the gate's address begins with http:// or https://", url);
	n = strcspn(p, "/");
	end = p + n;
	if (n == 0 || n >= sizeof(authority) || (*end == '/' && end[1] != '\0'))
		return say(err, "%s: expected scheme, host and port", url);
	memcpy(authority, p, n);
	authority[n] = '\0';
	colon = strrchr(authority, ':');
	if (colon == NULL || strchr(colon, ']') != NULL)
		return say(err, "%s: the port is missing", url);
	p = authority;
	n = (size_t)(colon - authority);
	if (n > 2 && p[0] == '[' && p[n - 1] == ']') {
		p++;
		n -= 2;
	}
	if (n == 0 || n >= sizeof(host) || strlen(colon + 1) >= sizeof(port))
		return say(err, "%s: expected scheme, host and port", url);
	memcpy(host, p, n);
	host[n] = '\0';
	snprintf(port, sizeof(port), "%s", colon + 1);
	return url[4] == 's' ? tls_init(ca, err) : 0;
}

static int
left_ms(const struct timespec *end)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
	return ms < 0 ? 0 : (int)ms;
}

/* Until the stream can go on. 0, or -1 with a text. */
static int
wait_for(const struct stream *s, short wanted, const struct timespec *end, char *err)
{
	/* EV_READ and EV_WRITE of libevent are 2 and 4 */
	short events = stream_events(s, wanted);
	struct pollfd p = {.fd = s->fd,
	    .events = (short)((events & 2 ? POLLIN : 0) | (events & 4 ? POLLOUT : 0))};
	int n;

	do
		n = poll(&p, 1, left_ms(end));
	while (n == -1 && errno == EINTR);
	return n > 0 ? 0 : say(err, "the gate did not answer in time");
}

static int
connect_gate(struct stream *s, const struct timespec *end, char *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;
	int r, fd = -1, saved = 0;

	if ((r = getaddrinfo(host, port, &hints, &list)) != 0)
		return say(err, "the gate's address %s: %s", authority, gai_strerror(r));
	for (a = list; a != NULL && fd == -1; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == -1) {
			saved = errno;
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	if (fd == -1)
		return say(err, "no gate answers at %s: %s. Start it with \"aegis gate\"",
		    authority, strerror(saved));
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1) { /* waiting is wait_for()'s */
		close(fd);
		return say(err, "fcntl: %s", strerror(errno));
	}
	if (tls == NULL) {
		stream_plain(s, fd);
	} else if (stream_tls(s, fd, tls, 0, host) == -1) {
		close(fd);
		return say(err, "out of memory");
	}
	while ((r = stream_handshake(s)) == STREAM_AGAIN)
		if (wait_for(s, 2, end, err) == -1)
			return -1;
	return r == STREAM_ERROR ? say(err, "TLS with the gate: %s", stream_error(s)) : 0;
}

static int
send_all(struct stream *s, const struct buf *b, const struct timespec *end, char *err)
{
	size_t done = 0;
	ssize_t n;

	while (done < b->len) {
		n = stream_write(s, b->p + done, b->len - done);
		if (n == STREAM_AGAIN) {
			if (wait_for(s, 4, end, err) == -1)
				return -1;
		} else if (n < 0) {
			return 0; /* it may have answered already: read that */
		} else {
			done += (size_t)n;
		}
	}
	return 0;
}

/* Some more octets at the end of b: their number, 0 at the end, -1 with a text. */
static ssize_t
receive(struct stream *s, struct buf *b, const struct timespec *end, char *err)
{
	ssize_t n;

	if (buf_reserve(b, PIECE) == -1)
		return say(err, "out of memory");
	while ((n = stream_read(s, b->p + b->len, PIECE)) == STREAM_AGAIN)
		if (wait_for(s, 2, end, err) == -1)
			return -1;
	if (n < 0)
		return say(err, "the gate's answer broke off");
	b->len += (size_t)n;
	return n;
}

static int
too_long(char *err)
{
	return say(err, "the answer is longer than %u MiB", GATE_BODY_MAX >> 20);
}

/* What has come of the body, without its framing. 1 at its end, 0 when more is missing.
 */
static int
take_body(struct gate_answer *a, struct http1_chunked *ch, struct span in, char *err)
{
	struct span data;
	int r;

	if (a->head.body != HTTP1_BODY_CHUNKED) {
		if (a->head.body == HTTP1_BODY_LENGTH &&
		    in.len > a->head.content_length - a->body.len)
			in.len = (size_t)(a->head.content_length - a->body.len);
		if (in.len > GATE_BODY_MAX - a->body.len)
			return too_long(err);
		if (buf_put(&a->body, in.p, in.len) == -1)
			return say(err, "out of memory");
		return a->head.body == HTTP1_BODY_LENGTH &&
		    a->body.len == a->head.content_length;
	}
	while ((r = http1_chunk_next(ch, &in, &data)) == HTTP1_CHUNK_DATA) {
		if (data.len > GATE_BODY_MAX - a->body.len)
			return too_long(err);
		if (buf_put(&a->body, data.p, data.len) == -1)
			return say(err, "out of memory");
	}
	if (r < 0)
		return say(err, "the gate's answer: %s", http1_strerror(r));
	return r == HTTP1_CHUNK_END;
}

static int
read_answer(struct stream *s, bool head_only, const struct timespec *end,
    struct gate_answer *a, char *err)
{
	struct http1_parser parser;
	struct http1_chunked chunked = {0};
	struct buf more;
	ssize_t n = 0, used;
	int r;

	do {
		http1_parser_init(
		    &parser, head_only ? HTTP1_RESPONSE_HEAD : HTTP1_RESPONSE, &limits);
		while ((used = http1_head_parse(&parser, (const char *)a->raw.p,
			    a->raw.len, &a->head)) == 0) {
			n = receive(s, &a->raw, end, err);
			if (n <= 0)
				return n == 0 ? say(err, "the gate closed the connection")
					      : -1;
		}
		if (used < 0)
			return say(
			    err, "the gate's answer: %s", http1_strerror((int)used));
		if (a->head.status < 200) { /* an interim answer */
			memmove(a->raw.p, a->raw.p + used, a->raw.len - (size_t)used);
			a->raw.len -= (size_t)used;
		}
	} while (a->head.status < 200);
	if (a->head.body == HTTP1_BODY_NONE)
		return 0;
	if (a->head.body == HTTP1_BODY_LENGTH && a->head.content_length > GATE_BODY_MAX)
		return too_long(err);
	buf_init(&more);
	r = take_body(
	    a, &chunked, span_mem(a->raw.p + used, a->raw.len - (size_t)used), err);
	while (r == 0) {
		more.len = 0;
		n = receive(s, &more, end, err);
		if (n <= 0) {
			r = n == 0 && a->head.body == HTTP1_BODY_UNTIL_CLOSE ? 1 : -1;
			if (n == 0 && r == -1)
				(void)say(err, "the gate's answer broke off");
		} else {
			r = take_body(a, &chunked, span_mem(more.p, more.len), err);
		}
	}
	buf_free(&more);
	return r == 1 ? 0 : -1;
}

int
gate_request(struct span method, struct span target, struct span fields, struct span body,
    struct gate_answer *a, char err[GATE_ERROR_MAX])
{
	struct stream s = {.fd = -1};
	struct timespec end;
	struct buf out;
	int r = -1;

	buf_init(&a->raw);
	buf_init(&a->body);
	buf_init(&out);
	err[0] = '\0';
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += GATE_TIME_MS / 1000;
	if (buf_put(&out, method.p, method.len) == -1 || buf_put(&out, " ", 1) == -1 ||
	    buf_put(&out, target.p, target.len) == -1 ||
	    buf_printf(&out, " HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n",
		authority) == -1 ||
	    buf_put(&out, fields.p, fields.len) == -1 ||
	    (body.p != NULL &&
		buf_printf(&out, "Content-Length: %zu\r\n", body.len) == -1) ||
	    buf_put(&out, "\r\n", 2) == -1 || buf_put(&out, body.p, body.len) == -1) {
		(void)say(err, "out of memory");
		goto out;
	}
	if (connect_gate(&s, &end, err) == -1 || send_all(&s, &out, &end, err) == -1)
		goto out;
	r = read_answer(&s, span_eq(method, "HEAD"), &end, a, err);
out:
	if (s.fd >= 0)
		stream_close(&s);
	buf_wipe_free(&out); /* the token is in it */
	return r;
}

void
gate_answer_free(struct gate_answer *a)
{
	buf_free(&a->raw);
	buf_free(&a->body);
}
