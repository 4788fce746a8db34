/* SPDX-License-Identifier: Apache-2.0 */
/* WebSockets under way; see socket.h. Judge only; workers' reports are checked. */
#include "keymasterd/judge/socket.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/proto.h"
#include "keymasterd/judge/attest_method.h"
#include "keymasterd/judge/authorize.h"
#include "keymasterd/judge/flight.h"
#include "keymasterd/judge/registry.h"

struct socket {
	uint8_t token[STORE_HASH_LEN];
	uint64_t process;
	bool told; /* to end */
	size_t path_len;
	char path[];
};

struct socket *
socket_new(const struct decide *d, const struct decide_proxy *p)
{
	struct socket *s = calloc(1, sizeof(*s) + d->row.path.len);

	if (s == NULL)
		return NULL;
	memcpy(s->token, p->token, sizeof(s->token));
	s->process = p->process;
	s->path_len = d->row.path.len;
	memcpy(s->path, d->row.path.p, s->path_len);
	return s;
}

void
socket_free(struct socket *s)
{
	free(s);
}

/* Why it may not go on, or NULL. */
static const char *
ended(const struct flight *f)
{
	struct credential *c = credential_by_name(f->tenant, span_str(f->credential));
	struct attest_ask ask = {.agent = f->agent, .process = f->socket->process};
	const struct ledger_row row = {.service = span_str(f->service),
	    .method = span_str(WEBSOCKET_METHOD),
	    .path = span_mem(f->socket->path, f->socket->path_len)};
	const char *why;

	if (c == NULL || (c->row.expires_ms != 0 && c->row.expires_ms <= judge_now_ms()))
		return "the credential is gone or has expired";
	if (f->agent == NULL)
		return judge_conf.require_agent_auth ? "agents have to say who they are"
						     : NULL;
	if (f->agent->gone || token_by_hash(f->socket->token, judge_now_ms()) == NULL)
		return "the agent or its token is gone";
	if (judge_conf.require_agent_auth && !grant_has(f->agent, c))
		return "the grant was revoked";
	if (!credential_allows(c, row.method))
		return "the credential's scopes";
	if (attest_by_process.check(&ask, &why) == -1)
		return "the agent's process";
	return authorize_policy_still(f->agent, &row) ? NULL : "the policy";
}

static void
tell_end(struct redeemer *r, const uint8_t request_id[REQUEST_ID_LEN])
{
	MSG_INIT(socket_end, m);

	memcpy(m.request_id, request_id, sizeof(m.request_id));
	m.why = SOCKET_REVOKED;
	(void)chan_note(r->chan, MSG_socket_end, &m);
}

static void
look(struct flight *f, void *arg)
{
	const char *why = f->socket->told ? NULL : ended(f);

	(void)arg;
	if (why == NULL)
		return;
	LOG_INFO("socket.revoked", LS("agent", f->agent_name), LS("why", why),
	    LX("request", f->request_id, sizeof(f->request_id)));
	f->socket->told = true;
	tell_end(f->redeemer, f->request_id);
}

void
socket_tick(void)
{
	flight_sockets(look, NULL);
}

int
socket_open(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_socket_open *m = msg;
	struct redeemer *r = chan_owner(c);

	(void)reqid;
	/* nobody could end what is not known here */
	if (flight_socket_open(r, m->request_id, m->grant) == -1)
		tell_end(r, m->request_id);
	return 0;
}
