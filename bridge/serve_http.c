/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCP over streamable HTTP, on loopback only: a thread a connection, JSON answers, no
 * streams of our own. Who connects is anybody on this machine, pages in a browser among
 * them, so Host and Origin have to be local and a token has to come with each request or
 * with the start.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "bridge/rpc.h"
#include "bridge/serve.h"
#include "common/hex.h"
#include "common/http1.h"
#include "common/http1_chunk.h"

#define CONNECTIONS_MAX 64
#define SESSIONS_MAX 256
#define IDLE_MS 60000
#define ID_LEN 32
#define TOKEN_MAX 256
#define TOO_LONG (-2)

struct conn {
	int fd;
	struct buf in, body, out;
	struct http1_head head;
};

static const char *own_token;
static unsigned own_port, connections;
static char sessions[SESSIONS_MAX][ID_LEN + 1]; /* the oldest goes first */
static size_t next_session;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int
send_all(int fd, const void *p, size_t len)
{
	const char *at = p;
	ssize_t n;

	while (len > 0) {
		n = send(fd, at, len, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* status is "200 OK"; fields are further lines; the body is JSON. 0 when the connection
 * can go on. */
static int
reply(
    struct conn *c, const char *status, const char *fields, const void *body, size_t len)
{
	char head[512];
	int n = snprintf(head, sizeof(head),
	    "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
	    "%s%s\r\n",
	    status, len, fields, c->head.keep_alive ? "" : "Connection: close\r\n");

	return send_all(c->fd, head, (size_t)n) == -1 ||
		(!span_eq(c->head.method, "HEAD") && send_all(c->fd, body, len) == -1)
	    ? -1
	    : 0;
}

static int
refuse(struct conn *c, const char *status, const char *fields, const char *why)
{
	char body[256];
	int n = snprintf(body, sizeof(body), "{\"error\":\"%s\"}", why);

	return reply(c, status, fields, body, (size_t)n);
}

static int
receive(struct conn *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	ssize_t n;

	if (buf_reserve(&c->in, 16384) == -1 || poll(&p, 1, IDLE_MS) <= 0)
		return -1;
	n = recv(c->fd, c->in.p + c->in.len, 16384, 0);
	if (n <= 0)
		return -1;
	c->in.len += (size_t)n;
	return 0;
}

/* The body into c->body; how far c->in was used, -1, or TOO_LONG. */
static ssize_t
read_body(struct conn *c, size_t head_len)
{
	struct http1_chunked chunked = {0};
	struct span in, data;
	size_t used = head_len;
	int r;

	buf_reset(&c->body);
	if (c->head.expect_continue &&
	    send_all(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25) == -1)
		return -1;
	if (c->head.body == HTTP1_BODY_LENGTH) {
		if (c->head.content_length > RPC_MESSAGE_MAX)
			return TOO_LONG;
		while (c->in.len - head_len < c->head.content_length)
			if (receive(c) == -1)
				return -1;
		used += (size_t)c->head.content_length;
		return buf_put(&c->body, c->in.p + head_len, used - head_len) == -1
		    ? -1
		    : (ssize_t)used;
	}
	while (c->head.body == HTTP1_BODY_CHUNKED) {
		in = span_mem(c->in.p + used, c->in.len - used);
		while ((r = http1_chunk_next(&chunked, &in, &data)) == HTTP1_CHUNK_DATA) {
			if (data.len > RPC_MESSAGE_MAX - c->body.len)
				return TOO_LONG;
			if (buf_put(&c->body, data.p, data.len) == -1)
				return -1;
		}
		used = c->in.len - in.len;
		if (r == HTTP1_CHUNK_END)
			break;
		if (r < 0 || receive(c) == -1)
			return -1;
	}
	return (ssize_t)used;
}

/* "localhost", "127.0.0.1", "[::1]", with our port or none. */
static bool
is_local(struct span s)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
	char with_port[40];

	for (size_t i = 0; i < 3; i++) {
		snprintf(with_port, sizeof(with_port), "%s:%u", names[i], own_port);
		if (span_ieq(s, names[i]) || span_ieq(s, with_port))
			return true;
	}
	return false;
}

/* The page that sends it, if a browser does: on this machine, at any port. */
static bool
origin_is_local(struct span s)
{
	static const char *const fronts[] = {"http://localhost", "https://localhost",
	    "http://127.0.0.1", "https://127.0.0.1", "http://[::1]", "https://[::1]"};

	for (size_t i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++) {
		size_t n = strlen(fronts[i]);

		if (s.len >= n && memcmp(s.p, fronts[i], n) == 0 &&
		    (s.len == n || s.p[n] == ':'))
			return true;
	}
	return false;
}

static bool
session_known(struct span id, bool forget)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < SESSIONS_MAX && id.len == ID_LEN; i++) {
		if (memcmp(sessions[i], id.p, ID_LEN) != 0)
			continue;
		found = true;
		if (forget)
			sessions[i][0] = '\0';
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static int
session_new(char id[ID_LEN + 1])
{
	unsigned char raw[ID_LEN / 2];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return -1;
	(void)hex_encode(raw, sizeof(raw), id, ID_LEN + 1);
	pthread_mutex_lock(&lock);
	memcpy(sessions[next_session++ % SESSIONS_MAX], id, ID_LEN + 1);
	pthread_mutex_unlock(&lock);
	return 0;
}

/* Whose request it is. false: nobody's. */
static bool
find_token(const struct conn *c, char out[TOKEN_MAX])
{
	const struct http1_header *h = http1_find(&c->head, "x-aegis-agent");
	struct span s;

	if (h == NULL && (h = http1_find(&c->head, "authorization")) != NULL) {
		s = h->value;
		if (s.len < 7 || strncasecmp(s.p, "bearer ", 7) != 0)
			return false;
		return span_copy(span_mem(s.p + 7, s.len - 7), out, TOKEN_MAX) == 0;
	}
	if (h != NULL)
		return span_copy(h->value, out, TOKEN_MAX) == 0;
	snprintf(out, TOKEN_MAX, "%s", own_token);
	return own_token[0] != '\0';
}

static int
post(struct conn *c, const char *token, struct span session)
{
	char fields[80] = "", id[ID_LEN + 1];
	bool began;

	if (session.p != NULL && !session_known(session, false))
		return refuse(c, "404 Not Found", "", "Session not found");
	if (rpc_answer(token, span_mem(c->body.p, c->body.len), &c->out, &began) == -1)
		return refuse(c, "503 Service Unavailable", "", "Out of memory");
	if (began) {
		if (session_new(id) == -1)
			return refuse(
			    c, "503 Service Unavailable", "", "No random numbers");
		snprintf(fields, sizeof(fields), "Mcp-Session-Id: %s\r\n", id);
	} else if (session.p == NULL) {
		return refuse(c, "400 Bad Request", "", "Missing or invalid session ID");
	}
	return c->out.len == 0 ? reply(c, "202 Accepted", fields, "", 0)
			       : reply(c, "200 OK", fields, c->out.p, c->out.len);
}

/* A page in a browser can send other types without asking first. */
static bool
is_json(const struct conn *c)
{
	const struct http1_header *h = http1_find(&c->head, "content-type");
	size_t n = 0;

	while (
	    h != NULL && n < h->value.len && h->value.p[n] != ';' && h->value.p[n] != ' ')
		n++;
	return h != NULL && span_ieq(span_mem(h->value.p, n), "application/json");
}

static int
handle(struct conn *c)
{
	const struct http1_header *origin = http1_find(&c->head, "origin"),
				  *sid = http1_find(&c->head, "mcp-session-id");
	struct span session = sid != NULL ? sid->value : (struct span){NULL, 0};
	char token[TOKEN_MAX];
	int r;

	if (!c->head.has_host || !is_local(c->head.host) ||
	    (origin != NULL && !origin_is_local(origin->value)))
		return refuse(
		    c, "403 Forbidden", "", "Only programs of this machine may ask");
	if (!span_eq(c->head.target, "/mcp"))
		return refuse(
		    c, "404 Not Found", "", "Not found. MCP endpoint is at /mcp");
	if (!find_token(c, token))
		return refuse(c, "401 Unauthorized", "WWW-Authenticate: Bearer\r\n",
		    "Send the agent's token as Authorization: Bearer, or start with it");
	if (span_eq(c->head.method, "POST") && !is_json(c))
		r = refuse(c, "415 Unsupported Media Type", "", "Send application/json");
	else if (span_eq(c->head.method, "POST"))
		r = post(c, token, session);
	else if (span_eq(c->head.method, "DELETE"))
		r = session.p != NULL && session_known(session, true)
		    ? reply(c, "200 OK", "", "{}", 2)
		    : refuse(c, "404 Not Found", "", "Session not found");
	else if (span_eq(c->head.method, "GET") &&
	    (session.p == NULL || !session_known(session, false)))
		r = refuse(c, "400 Bad Request", "", "Missing or invalid session ID");
	else
		r = refuse(c, "405 Method Not Allowed", "Allow: POST, DELETE\r\n",
		    "Method not allowed");
	explicit_bzero(token, sizeof(token));
	return r;
}

/* Ends a connection so that the other side reads our answer before it hears that we are
 * gone: what it still sends is thrown away for a moment. */
static void
farewell(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char scratch[16384];
	int left = 256;

	(void)shutdown(fd, SHUT_WR);
	while (left-- > 0 && poll(&p, 1, 1000) > 0 &&
	    recv(fd, scratch, sizeof(scratch), 0) > 0)
		;
	close(fd);
}

static void *
serve(void *arg)
{
	struct conn *c = arg;
	struct http1_parser parser;
	ssize_t used, end;

	for (;;) {
		http1_parser_init(&parser, HTTP1_REQUEST, NULL);
		while ((used = http1_head_parse(
			    &parser, (char *)c->in.p, c->in.len, &c->head)) == 0)
			if (receive(c) == -1)
				goto out;
		if (used < 0) {
			c->head = (struct http1_head){0};
			(void)refuse(c, "400 Bad Request", "", http1_strerror((int)used));
			break;
		}
		end = used;
		if (c->head.body != HTTP1_BODY_NONE) {
			end = read_body(c, (size_t)used);
			if (end == TOO_LONG) {
				c->head.keep_alive = false;
				(void)refuse(c, "413 Content Too Large", "",
				    "A message has at most 1 MiB");
			}
			if (end < 0)
				break;
			/* the head points into c->in, which may have moved */
			http1_parser_init(&parser, HTTP1_REQUEST, NULL);
			(void)http1_head_parse(
			    &parser, (char *)c->in.p, c->in.len, &c->head);
		} else {
			buf_reset(&c->body);
		}
		if (handle(c) == -1 || !c->head.keep_alive)
			break;
		memmove(c->in.p, c->in.p + end, c->in.len - (size_t)end);
		c->in.len -= (size_t)end;
	}
out:
	farewell(c->fd);
	buf_wipe_free(&c->in);
	buf_free(&c->body);
	buf_free(&c->out);
	free(c);
	pthread_mutex_lock(&lock);
	connections--;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void
take(int fd)
{
	static const struct timeval patience = {.tv_sec = 20};
	struct conn *c = NULL;
	pthread_t thread;
	bool room;

	pthread_mutex_lock(&lock);
	room = connections < CONNECTIONS_MAX;
	connections += room;
	pthread_mutex_unlock(&lock);
	if (room && (c = calloc(1, sizeof(*c))) != NULL) {
		c->fd = fd;
		/* who does not read what we say does not keep a thread */
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		if (pthread_create(&thread, NULL, serve, c) == 0) {
			pthread_detach(thread);
			return;
		}
	}
	free(c);
	close(fd);
	if (room) {
		pthread_mutex_lock(&lock);
		connections--;
		pthread_mutex_unlock(&lock);
	}
}

int
serve_http(unsigned port, const char *token)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	own_token = token;
	own_port = port;
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 64) == -1) {
		fprintf(stderr, "aegis: 127.0.0.1:%u: %s: choose another with --port\n",
		    port, strerror(errno));
		return 1;
	}
	fprintf(stderr, "aegis: MCP is ready on http://127.0.0.1:%u/mcp\n", port);
	for (;;) {
		one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (one >= 0)
			take(one);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
			poll(NULL, 0, 50);
		else if (errno != EINTR && errno != ECONNABORTED)
			return 1;
	}
}
