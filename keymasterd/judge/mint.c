/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions on their way to vault and into the tables; see mint.h. Judge only. */
#include "keymasterd/judge/mint.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/proc.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/seal_error.h"

#define VAULT_MS 5000
#define PENDING_MAX 256

static TAILQ_HEAD(, mint) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned nwaiting;

struct mint *
mint_new(void)
{
	struct mint *m;

	if (nwaiting >= PENDING_MAX || (m = calloc(1, sizeof *m)) == NULL)
		return NULL;
	TAILQ_INSERT_TAIL(&waiting, m, link);
	nwaiting++;
	return m;
}

void
mint_free(struct mint *m)
{
	TAILQ_REMOVE(&waiting, m, link);
	nwaiting--;
	free(m);
}

void
mint_row(struct mint *m, const char *tenant, uint64_t ttl_s)
{
	struct store_session *row = &m->row;
	char uuid[STORE_ID_MAX];

	judge_uuid(uuid);
	(void)span_copy(span_str(uuid), row->id, sizeof row->id);
	if (row->exec_id[0] == '\0') {
		judge_uuid(uuid);
		(void)span_copy(span_str(uuid), row->exec_id, sizeof row->exec_id);
	}
	(void)span_copy(span_str(tenant), row->tenant, sizeof row->tenant);
	row->state = SESSION_ACTIVE;
	row->created_ms = judge_now_ms() / 1000 * 1000;
	row->expires_ms = row->created_ms + ttl_s * 1000;
}

void
mint_row_for(struct mint *m, const char *tenant, uint64_t ttl_s)
{
	const struct agent *agent = agent_by_id(tenant, m->row.sub);

	if (agent == NULL)
		agent = agent_by_name(tenant, span_str(m->row.sub));
	if (agent != NULL)
		(void)span_copy(
		    span_str(agent->row.id), m->row.agent_id, sizeof m->row.agent_id);
	if (m->wid[0] == '\0')
		(void)span_copy(span_str(m->row.exec_id), m->wid, sizeof m->wid);
	mint_row(m, tenant, ttl_s);
}

void
mint_take(struct mint *m, const struct decide *d, struct span peer, struct span path)
{
	m->d = *d;
	(void)span_copy(peer, m->peer, sizeof m->peer);
	(void)span_copy(path, m->path, sizeof m->path);
	m->d.row = (struct ledger_row){.kind = d->row.kind,
	    .tenant = span_str(m->row.tenant),
	    .context = span_str(m->row.context),
	    .exec = span_str(m->row.exec_id),
	    .workload = span_str(m->wid),
	    .method = span_str("POST"),
	    .path = span_str(m->path),
	    .peer = span_str(m->peer)};
}

static void
finish(struct mint *m, struct span token)
{
	const struct store_session *row = &m->row;
	const struct token *shown = NULL;
	struct session *s, *old;

	/* what it rests on may have ended while vault was signing */
	if (m->attested && (shown = token_by_hash(m->shown, judge_now_ms())) == NULL) {
		m->done(m, NULL, token, SEAL_WORKLOAD, "The agent token has ended");
		return;
	}
	if ((row->agent_id[0] != '\0' &&
		agent_by_id(row->tenant, row->agent_id) == NULL) ||
	    (shown != NULL && !agent_may_context(shown->agent, row->context)) ||
	    context_find(row->tenant, span_str(row->context)) == NULL) {
		m->done(m, NULL, token, SEAL_SCOPE,
		    "This SecurityContext is not available to the workload");
		return;
	}
	/* an execution may get a new session while its old one lives; what is over stays
	 * so */
	old = session_by_exec(row->tenant, span_str(row->exec_id));
	if (old != NULL &&
	    (old->state == SESSION_REVOKED || old->expires_ms <= judge_now_ms())) {
		m->done(m, NULL, token, 409,
		    "This execution's session is over; it needs another execution_id");
		return;
	}
	if (old != NULL)
		session_revoke_row(old, "replaced");
	judge_sha256(token.p, token.len, m->row.token_hash);
	if ((s = session_create(row)) == NULL) {
		m->done(m, NULL, token, 503, "The session could not be stored");
		return;
	}
	m->d.row.session = span_str(s->id);
	m->d.row.key = s->public_key;
	m->d.row.token = token;
	m->done(m, s, token, 0, NULL);
}

static void
on_signed(struct chan *vault, enum chan_status status, void *msg, void *arg)
{
	const struct msg_token_signed *a = msg;
	struct mint *m = arg;

	(void)vault;
	if (m->d.chan != NULL &&
	    (status != CHAN_OK || a->code != 0 || a->token.len == 0)) {
		LOG_WARN("mint.vault",
		    LX("request", m->d.request_id, sizeof(m->d.request_id)),
		    LS("who", m->who), LI("status", status),
		    LU("code", status == CHAN_OK ? a->code : 0));
		m->done(
		    m, NULL, span_str(""), 503, "Tokens cannot be signed at the moment");
	} else if (m->d.chan != NULL) {
		finish(m, a->token);
	}
	mint_free(m);
}

void
mint_ask(struct mint *p)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	MSG_INIT(token_sign, m);

	m.tenant = span_str(p->row.tenant);
	m.sub = span_str(p->row.sub);
	m.scp = span_str(p->row.context);
	m.wid = span_str(p->wid);
	m.jti = span_str(p->row.id);
	m.exec_id = span_str(p->row.exec_id);
	m.issuer = span_str(judge_conf.issuer);
	m.audience = span_str(judge_conf.audience);
	m.task_summary = span_str(p->task);
	m.iat = p->row.created_ms / 1000;
	m.exp = p->row.expires_ms / 1000;
	if (vault != NULL &&
	    chan_ask(vault, MSG_token_sign, &m, VAULT_MS, on_signed, p) != 0)
		return;
	p->done(p, NULL, span_str(""), 503, "Tokens cannot be signed at the moment");
	mint_free(p);
}

void
mint_store(struct mint *m, struct span token)
{
	finish(m, token);
	mint_free(m);
}

void
seal_gate_gone(const struct chan *c)
{
	struct mint *m;

	TAILQ_FOREACH (m, &waiting, link)
		if (m->d.chan == c)
			m->d.chan = NULL;
}
