/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a WebSocket and its ends; see socket.h. Egress worker. */
#include "egressd/worker/socket_int.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/exchange.h"
#include "egressd/worker/worker.h"

#define SHUT_MS 1000 /* for both sides to take our Close */

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

bool
socket_close(struct exchange *ex)
{
	struct socket *s = ex->socket;
	bool whole = way_unsent(&s->down) == 0;

	fd_close(s);
	return whole;
}

/* -- the ends -- */

int
socket_finish(struct exchange *ex, enum outcome outcome)
{
	ex->keep = false;
	return exchange_finish(ex, outcome);
}

void
socket_set_due(struct exchange *ex, uint32_t ms)
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

int
socket_shut(struct exchange *ex, enum outcome outcome, unsigned to_agent,
    unsigned to_upstream, const char *why)
{
	struct socket *s = ex->socket;
	size_t len = strlen(ex->detail);

	if (s->shut)
		return 0;
	s->shut = true;
	s->outcome = outcome;
	snprintf(ex->detail + len, sizeof(ex->detail) - len, ": %s", why);
	buf_wipe_free(&s->held);
	socket_set_due(ex, SHUT_MS);
	if ((to_agent != 0 && say_close(&s->down, to_agent, why) == -1) ||
	    (to_upstream != 0 &&
		say_close(&s->up, to_upstream,
		    to_upstream == WS_PROTOCOL_ERROR ? why : "") == -1))
		return socket_finish(ex, outcome);
	if (to_upstream == 0)
		s->upstream_over = true;
	return 0;
}

/* The same to an agent that may know why. */
static int
shut_now(struct exchange *ex, enum outcome outcome, enum ws_code code, const char *why)
{
	if (socket_shut(ex, outcome, code, WS_GOING_AWAY, why) == -1)
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
		socket_finish(ex, s->outcome);
	else if (s->up.closed || s->down.closed) /* one said goodbye, the other did not */
		socket_finish(ex, OUTCOME_OK);
	else
		shut_now(ex, OUTCOME_CLOSED, WS_GOING_AWAY, "idle");
}

void
socket_agent_gone(struct exchange *ex)
{
	struct socket *s = ex->socket;
	bool done = s->shut || (s->up.closed && s->down.closed);

	/* the upstream may take it, but is not waited for */
	if (!done && !s->upstream_over && say_close(&s->up, WS_GOING_AWAY, "") == 0)
		(void)stream_write(
		    &ex->up->stream, s->up.out.p + s->up.off, way_unsent(&s->up));

	socket_finish(ex, done ? s->outcome : OUTCOME_AGENT_GONE);
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

int
socket_upstream_gone(struct exchange *ex)
{
	struct socket *s = ex->socket;

	s->upstream_over = true;
	if (s->shut || s->down.closed) /* after its Close it may */
		return 0;
	return socket_shut(ex, s->up.closed ? OUTCOME_OK : OUTCOME_UPSTREAM_BROKEN,
	    WS_INTERNAL, 0, "the upstream broke off the connection");
}
