/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines to and from a tool server (MCP over stdio: one JSON-RPC message a line).
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "toolhostd/call.h"
#include "toolhostd/server.h"
#include "toolhostd/trial.h"

#define READ_STEP 65536
#define TO_SEND_MAX (32u * 1024 * 1024)
#define USELESS_MAX 10000 /* lines a second that nobody waited for */
#define USELESS_OCTETS (64u << 20)
#define USELESS_LOGGED 5
#define KEEP_RECEIVED 262144 /* memory kept between lines */

static void on_readable(evutil_socket_t, short, void *);
static void on_writable(evutil_socket_t, short, void *);

static int
watch(struct server *s)
{
	s->readable =
	    event_new(loop_base(), s->out, EV_READ | EV_PERSIST, on_readable, s);
	s->writable = event_new(loop_base(), s->in, EV_WRITE, on_writable, s);
	if (s->readable == NULL || s->writable == NULL)
		return -1;
	if (s->writing && event_add(s->writable, NULL) == -1)
		return -1;
	return event_add(s->readable, NULL);
}

int
mcp_open(struct server *s, int in, int out)
{
	s->in = in;
	s->out = out;
	if (fcntl(in, F_SETFL, O_NONBLOCK) == -1 || fcntl(out, F_SETFL, O_NONBLOCK) == -1)
		return -1;
	return watch(s);
}

int
mcp_adopt(struct server *s)
{
	if (s->out < 0)
		return 0; /* it has none */
	event_free(s->readable);
	event_free(s->writable);
	return watch(s);
}

void
mcp_close(struct server *s)
{
	if (s->readable != NULL)
		event_free(s->readable);
	if (s->writable != NULL)
		event_free(s->writable);
	s->readable = s->writable = NULL;
	if (s->in >= 0)
		close(s->in);
	if (s->out >= 0)
		close(s->out);
	s->in = s->out = -1;
	s->writing = false;
	s->scanned = 0;
	s->skim = (struct mcp_skim){0};
	buf_free(&s->to_send);
	buf_free(&s->received);
}

static void
flush(struct server *s)
{
	ssize_t n;

	while (s->to_send.len > 0) {
		n = write(s->in, s->to_send.p, s->to_send.len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			s->writing = true;
			event_add(s->writable, NULL);
			return;
		}
		if (n <= 0) {
			buf_reset(&s->to_send); /* its end shows when we read */
			return;
		}
		memmove(s->to_send.p, s->to_send.p + n, s->to_send.len - (size_t)n);
		s->to_send.len -= (size_t)n;
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;

	(void)fd;
	(void)what;
	s->writing = false;
	flush(s);
}

int
mcp_send(struct server *s, const void *line, size_t len)
{
	if (s->in < 0 || s->to_send.len + len > TO_SEND_MAX ||
	    buf_put(&s->to_send, line, len) == -1 || buf_putc(&s->to_send, '\n') == -1)
		return -1;
	if (!s->writing)
		flush(s);
	return 0;
}

void
mcp_one_line(struct buf *b)
{
	size_t i;

	for (i = 0; i < b->len; i++)
		if (b->p[i] == '\n' || b->p[i] == '\r')
			b->p[i] = ' ';
}

bool
mcp_useless(struct server *s, const char *what, size_t len)
{
	uint64_t now_s = loop_now_ms() / 1000;

	if (s->useless_s != now_s) {
		if (s->useless > USELESS_LOGGED)
			LOG_WARN("tool.useless", LS("server", s->name),
			    LU("lines", s->useless));
		s->useless_s = now_s;
		s->useless = 0;
		s->useless_octets = 0;
	}
	s->useless_octets += len;
	if (s->useless++ < USELESS_LOGGED && what != NULL)
		LOG_WARN(what, LS("server", s->name), LU("bytes", len));
	if (s->useless <= USELESS_MAX && s->useless_octets <= USELESS_OCTETS)
		return true;
	server_fail(s, TOOL_UNHEALTHY, "it floods its output");
	return false;
}

/* How long a line may be for somebody to have it. */
static uint64_t
most_wanted(const struct server *s)
{
	uint64_t most = call_most_wanted(s);

	if (s->control_id != 0 || s->trial != NULL || most > s->max_output)
		return s->max_output;
	return most;
}

/* The rest of a line that is not kept. False: it ended the server. */
static bool
skip(struct server *s)
{
	const uint8_t *nl = memchr(s->received.p, '\n', s->received.len);
	size_t len = nl == NULL ? s->received.len : (size_t)(nl - s->received.p);
	uint32_t instance = s->instance;
	struct mcp_skim line;

	mcp_skim(&s->skim, s->received.p, len);
	if (s->skim.len > s->max_output) {
		server_fail(s, TOOL_UNHEALTHY, "a line is longer than max_output");
		return false;
	}
	if (nl != NULL)
		len++;
	memmove(s->received.p, s->received.p + len, s->received.len - len);
	s->received.len -= len;
	line = s->skim;
	if (nl != NULL)
		s->skim = (struct mcp_skim){0};
	mcp_line_skipped(s, &line); /* as early as it is known */
	return s->instance == instance && s->out >= 0;
}

/* Hands on every whole line; what is left moves to the front. */
static void
lines(struct server *s)
{
	const uint8_t *nl;
	size_t start = 0, end;
	uint32_t instance = s->instance;

	while ((nl = memchr(s->received.p + s->scanned, '\n',
		    s->received.len - s->scanned)) != NULL) {
		end = (size_t)(nl - s->received.p);
		if (s->trial != NULL && trial_probes(s->trial))
			trial_line(s, s->received.p + start, end - start);
		else
			mcp_line(s, s->received.p + start, end - start);
		if (s->instance != instance || s->out < 0)
			return; /* the line ended it, and its buffers */
		start = s->scanned = end + 1;
	}
	memmove(s->received.p, s->received.p + start, s->received.len - start);
	s->received.len -= start;
	s->scanned = s->received.len;
	if (s->received.len == 0 && s->received.cap > KEEP_RECEIVED)
		buf_free(&s->received);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	ssize_t n;

	(void)what;
	if (buf_reserve(&s->received, READ_STEP) == -1) {
		server_fail(s, TOOL_UNHEALTHY, "out of memory");
		return;
	}
	n = read(fd, s->received.p + s->received.len, READ_STEP);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		server_fail(s, TOOL_UNHEALTHY, "it closed its output");
		return;
	}
	s->received.len += (size_t)n;
	if (s->skim.on && !skip(s))
		return;
	if (s->skim.on)
		return;
	lines(s);
	if (s->out >= 0 && s->received.len > most_wanted(s)) {
		s->skim.on = true;
		s->scanned = 0;
		(void)skip(s);
	}
}
