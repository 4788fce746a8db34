/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upstream's half of a WebSocket's handshake, looked at, and what follows from it.
 * Egress worker; heads are hostile.
 */
#include "egressd/worker/socket_int.h"

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#include "common/chan.h"
#include "common/loop.h"
#include "common/proc.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/exchange.h"
#include "egressd/worker/worker.h"

static void
on_gate(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	socket_go(arg);
}

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
		return socket_finish(ex, OUTCOME_AGENT_GONE);
	}
	ex->reqid = 0;
	ex->state = EX_SOCKET;
	socket_touch(ex);
	tell_judge(ex);
	if (socket_from_upstream(ex, rest, len) == -1)
		return -1;
	if (s->shut) /* it may be the secret that ended it */
		explicit_bzero(rest, len);
	buf_wipe_free(&ex->in);
	return socket_go(ex);
}
