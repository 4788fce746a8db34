/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Towards the upstream: the head with the secret, then the body as the gate delivers it.
 * The gate's octets are passed on unread; their number is checked.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/loop.h"
#include "egressd/worker/exchange.h"
#include "egressd/worker/grace.h"

#define UPLOAD_SIZE (64 * 1024)
#define UPLOAD_HEAD 16 /* room for a chunk's size in front */
#define UPLOAD_TAIL 8  /* CRLF and the last chunk behind */
#define ROUNDS 16      /* buffers per turn of the loop */

struct write_job {
	struct stream *stream;
	size_t wanted;
};

static ssize_t
write_head(const void *p, size_t len, void *arg)
{
	struct write_job *j = arg;

	j->wanted = len;
	return stream_write(j->stream, p, len);
}

/* The upstream takes no more; what it has to say may still come. */
static int
sending_failed(struct exchange *ex)
{
	ex->sending_failed = true;
	upload_close(&ex->up_body);
	return ex->sent == 0 && ex->up->reused ? exchange_lost(ex) : 0;
}

/* 1: head and inline body are out. 0: later, or never. -1. */
static int
send_head(struct exchange *ex)
{
	struct write_job job = {&ex->up->stream, 0};
	ssize_t n;

	while (!ex->head_sent) {
		n = inject_send(
		    &ex->request, grace_secret(ex), ex->sent, write_head, &job);
		if (n == STREAM_AGAIN) {
			upstream_want_write(ex->up);
			return 0;
		}
		if (n == INJECT_FAILED)
			return exchange_fail(ex, OUTCOME_UPSTREAM_UNREACHABLE, 503,
			    "Out of locked memory", NULL, "Try again.");
		if (n <= 0)
			return sending_failed(ex);
		ex->sent += (size_t)n;
		ex->head_sent = (size_t)n == job.wanted;
		if (ex->head_sent)
			ex->bytes_in = ex->request.body.len;
		exchange_touch(ex);
	}
	return 1;
}

void
upload_close(struct upload *u)
{
	if (u->fd >= 0) {
		event_del(&u->readable);
		close(u->fd);
		u->fd = -1;
	}
	if (u->buf != NULL) {
		explicit_bzero(u->buf, UPLOAD_SIZE);
		free(u->buf);
		u->buf = NULL;
	}
	u->len = 0;
	u->waiting = false;
}

static void
on_upload(evutil_socket_t fd, short what, void *arg)
{
	struct exchange *ex = arg;

	(void)fd;
	(void)what;
	ex->up_body.waiting = false;
	exchange_send(ex);
}

/* Puts the size line in front of n octets and CRLF behind. */
static void
frame_chunk(struct upload *u, size_t n)
{
	char line[UPLOAD_HEAD + 1];
	int len = snprintf(line, sizeof(line), "%zx\r\n", n);

	u->off = UPLOAD_HEAD - (size_t)len;
	memcpy(u->buf + u->off, line, (size_t)len);
	memcpy(u->buf + UPLOAD_HEAD + n, "\r\n", 2);
	u->len = (size_t)len + n + 2;
}

/*
 * The stream ended. 1: as it should. Of a body without a length only the gate knows: it
 * shuts one direction at the end, while at its death both are shut.
 */
static int
upload_end(struct exchange *ex)
{
	struct upload *u = &ex->up_body;

	if (u->chunked && send(u->fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
		return exchange_fail(ex, OUTCOME_AGENT_GONE, 400,
		    "The request's body broke off", NULL, NULL);
	event_del(&u->readable);
	close(u->fd);
	u->fd = -1;
	if (u->chunked) {
		memcpy(u->buf, "0\r\n\r\n", 5);
		u->off = 0;
		u->len = 5;
		return 1;
	}
	if (u->left > 0)
		return exchange_fail(ex, OUTCOME_AGENT_GONE, 400,
		    "The request's body broke off", NULL, NULL);
	return 1;
}

int
exchange_too_large(struct exchange *ex)
{
	return exchange_fail(ex, OUTCOME_TOO_LARGE, 413, "Request body too large",
	    "the body is longer than was judged",
	    "Send less at once, or raise gate.max_body_size.");
}

/* Reads the next piece. 1: there is something, or the end; 0: wait; -1. */
static int
upload_read(struct exchange *ex)
{
	struct upload *u = &ex->up_body;
	size_t room = UPLOAD_SIZE - UPLOAD_HEAD - UPLOAD_TAIL;
	ssize_t n;

	if (!u->chunked && u->left == 0)
		return upload_end(ex);
	if (room > u->left) /* of a body that may not go on, one octet more */
		room = (size_t)u->left + (u->chunked ? 1 : 0);
	n = read(u->fd, u->buf + UPLOAD_HEAD, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (!u->waiting)
			event_add(&u->readable, NULL);
		u->waiting = true;
		return 0;
	}
	if (n < 0)
		return exchange_fail(ex, OUTCOME_AGENT_GONE, 400,
		    "The request's body broke off", NULL, NULL);
	if (n == 0)
		return upload_end(ex);
	if ((uint64_t)n > u->left)
		return exchange_too_large(ex);
	exchange_touch(ex);
	u->taken = true;
	u->left -= (uint64_t)n;
	ex->bytes_in += (size_t)n;
	if (u->chunked) {
		frame_chunk(u, (size_t)n);
	} else {
		u->off = UPLOAD_HEAD;
		u->len = (size_t)n;
	}
	return 1;
}

static int
upload_begin(struct exchange *ex)
{
	struct upload *u = &ex->up_body;

	if (u->buf != NULL)
		return 0;
	u->buf = malloc(UPLOAD_SIZE);
	if (u->buf == NULL)
		return exchange_fail(ex, OUTCOME_UPSTREAM_UNREACHABLE, 503,
		    "Out of memory", NULL, "Try again.");
	event_assign(&u->readable, loop_base(), u->fd, EV_READ, on_upload, ex);
	return 0;
}

static int
upload_pump(struct exchange *ex)
{
	struct upload *u = &ex->up_body;
	ssize_t n;
	int r;

	if (upload_begin(ex) == -1)
		return -1;
	for (int round = 0; round < ROUNDS; round++) {
		while (u->len > 0) {
			n = stream_write(&ex->up->stream, u->buf + u->off, u->len);
			if (n == STREAM_AGAIN) {
				upstream_want_write(ex->up);
				return 0;
			}
			if (n <= 0)
				return sending_failed(ex);
			exchange_touch(ex);
			u->off += (size_t)n;
			u->len -= (size_t)n;
		}
		if (u->fd < 0) {
			upload_close(u);
			ex->sent_all = true;
			return 0;
		}
		r = upload_read(ex);
		if (r != 1)
			return r;
	}
	upstream_want_write(ex->up); /* others first, then on */
	return 0;
}

int
exchange_send(struct exchange *ex)
{
	int r;

	if (ex->sent_all || ex->sending_failed || ex->up == NULL ||
	    ex->state == EX_OPENING)
		return 0;
	r = send_head(ex);
	if (r != 1)
		return r;
	if (ex->up_body.streamed)
		return upload_pump(ex);
	ex->sent_all = true;
	return 0;
}
