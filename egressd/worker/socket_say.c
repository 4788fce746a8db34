/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two sides of a WebSocket say, out of their frames and into ours; the
 * upstream's words are searched for the secret. Egress worker; both sides are hostile.
 */
#include "egressd/worker/socket_int.h"

#include <string.h>

#include "common/log.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/exchange.h"

#define GOODBYE_MS 5000 /* between the Close of one side and that of the other */

static int
echoed(struct exchange *ex)
{
	LOG_WARN("secret.echoed", LS("service", ex->credential->service),
	    LS("host", ex->to.host), LS("in", "message"),
	    LX("request", ex->request_id, sizeof(ex->request_id)));
	return socket_shut(ex, OUTCOME_SECRET_ECHOED, WS_POLICY, WS_POLICY,
	    "the message contained the credential and was withheld");
}

static int
no_memory(struct exchange *ex)
{
	return socket_shut(
	    ex, OUTCOME_CLOSED, WS_INTERNAL, WS_GOING_AWAY, "out of memory");
}

/* -- the upstream -- */

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
		socket_set_due(ex, GOODBYE_MS);
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

int
socket_from_upstream(struct exchange *ex, uint8_t *p, size_t len)
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
		return socket_shut(ex, OUTCOME_UPSTREAM_BROKEN, WS_INTERNAL,
		    WS_PROTOCOL_ERROR, ws_strerror(r));
	return pass_held(ex, credential_hold(ex->credential, s->at), false);
}

/* -- the agent -- */

int
socket_from_agent(struct exchange *ex, uint8_t *p, size_t len)
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
			socket_set_due(ex, GOODBYE_MS);
		}
	}
	if (r < 0 && !s->shut)
		return socket_shut(ex,
		    r == WS_ERR_TOO_BIG ? OUTCOME_TOO_LARGE : OUTCOME_CLOSED,
		    ws_code_of(r), WS_GOING_AWAY, ws_strerror(r));
	return 0;
}
