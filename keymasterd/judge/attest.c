/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestation (section 5 of the protocol notes). The workload's proof is its agent token;
 * the key in the request becomes the session's, vault signs the session's token from
 * typed claims. Judge only; the body is anybody's.
 */
#include "keymasterd/judge/attest.h"

#include <stdlib.h>
#include <string.h>

#include "common/jsonw.h"
#include "common/loop.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/attest_body.h"
#include "keymasterd/judge/attest_method.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/mint.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/session.h"

/* How often an agent has attested. */
struct attempts {
	char agent_id[STORE_ID_MAX];
	struct limiter *limiter;
};

static struct map attempts_by_agent;
static struct buf body;

/* ---- who asks ---- */

struct token *
attest_token(const struct msg_api_request *m, const char **why)
{
	struct attest_ask ask = {
	    .process = m->process, .token = judge_token_of(m->token, m->authorization)};

	return attest_check(&ask, why) == 0 ? ask.found : NULL;
}

struct agent *
attest_agent(const struct msg_api_request *m, const char **why)
{
	struct token *t = attest_token(m, why);

	return t != NULL ? t->agent : NULL;
}

void
attest_agent_gone(const char *agent_id)
{
	struct attempts *a = map_get(&attempts_by_agent, agent_id, strlen(agent_id));

	if (a == NULL)
		return;
	map_del(&attempts_by_agent, a->agent_id, strlen(a->agent_id));
	limiter_free(a->limiter);
	free(a);
}

/* 0, or in how many seconds the agent may try again. */
static uint32_t
count_attempt(const struct agent *agent)
{
	struct limit_rate rate = {judge_conf.attest_per_minute, 60000};
	struct attempts *a =
	    map_get(&attempts_by_agent, agent->row.id, strlen(agent->row.id));
	uint32_t wait;

	if (a == NULL) {
		if ((a = calloc(1, sizeof *a)) == NULL)
			return 1;
		memcpy(a->agent_id, agent->row.id, sizeof a->agent_id);
		if ((a->limiter = limiter_new(rate)) == NULL ||
		    map_put(&attempts_by_agent, a->agent_id, strlen(a->agent_id), a) !=
			0) {
			if (a->limiter != NULL)
				limiter_free(a->limiter);
			free(a);
			return 1;
		}
	}
	if ((wait = limiter_check(a->limiter, loop_now_ms())) == 0)
		limiter_take(a->limiter, loop_now_ms());
	return wait;
}

/* ---- the request ---- */

static void
refuse(struct decide *d, unsigned code, const char *message, const char *detail)
{
	struct seal_refusal r = {.code = code, .message = message, .flat = true};

	if (detail != NULL)
		d->row.detail = span_str(detail);
	seal_refuse(d, &r);
}

/* What the body asks for, and whether the agent may have it. 0, or -1: refused. */
static int
read_request(struct decide *d, const struct msg_api_request *m, const struct agent *agent,
    struct mint *p)
{
	const char *why = NULL, *context = p->row.context;
	unsigned code = attest_body_read(m->body, p, &why);

	if (p->wid[0] == '\0')
		(void)span_copy(span_str(agent->row.name), p->wid, sizeof p->wid);
	d->row.workload = span_str(p->wid);
	if (context[0] != '\0')
		d->row.context = span_str(context);
	if (code != 0) {
		refuse(d, code, why, NULL);
		return -1;
	}
	if (context_find(agent->row.tenant, span_str(context)) == NULL)
		why = "there is no such context";
	else if (!agent_may_context(agent, context))
		why = "the agent may not use this context";
	if (why == NULL)
		return 0;
	refuse(
	    d, SEAL_SCOPE, "This SecurityContext is not available to the workload", why);
	return -1;
}

/* ---- the session ---- */

static void
answer_session(struct mint *p, struct session *s, struct span token, unsigned code,
    const char *message)
{
	char expires[RFC3339_SIZE];
	struct jsonw w;

	if (s == NULL) {
		refuse(&p->d, code, message, NULL);
		return;
	}
	(void)rfc3339_format(
	    (int64_t)(s->expires_ms / 1000), 0, 3, expires, sizeof(expires));
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "protocol", "seal/v1");
	jsonw_key_str(&w, "status", "success");
	jsonw_key(&w, "security_token");
	jsonw_strn(&w, token.p, token.len);
	jsonw_key_str(&w, "expires_at", expires);
	jsonw_key_str(&w, "session_id", s->id);
	jsonw_key_str(&w, "execution_id", s->exec_id);
	jsonw_key_str(&w, "security_context", s->context);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0) {
		refuse(&p->d, 503, "The answer could not be written", NULL);
		return;
	}
	p->d.row.event = span_str("AttestationSucceeded");
	p->d.row.decision = LEDGER_ALLOWED;
	decide_answer(&p->d, 200, body.p, body.len);
}

void
attest_handle(struct api_call *c)
{
	struct seal_refusal busy = {.code = SEAL_RATE,
	    .message = "Too many attestations of this workload",
	    .flat = true};
	const struct msg_api_request *m = c->m;
	struct decide *d = c->d;
	const struct agent *agent;
	const struct token *token;
	const char *why = NULL;
	struct mint *p;

	d->row.event = span_str("AttestationFailed");
	if ((token = attest_token(m, &why)) == NULL) {
		d->budget = LEDGER_CAUSE_ATTEST;
		refuse(d, SEAL_WORKLOAD, why, NULL);
		return;
	}
	agent = token->agent;
	d->row.agent = span_str(agent->row.name);
	d->row.tenant = span_str(agent->row.tenant);
	if ((busy.retry_after = count_attempt(agent)) != 0) {
		d->budget = LEDGER_CAUSE_ATTEST;
		seal_refuse(d, &busy);
		return;
	}
	if ((p = mint_new()) == NULL) {
		refuse(d, 503, "Too many attestations at once", NULL);
		return;
	}
	if (read_request(d, m, agent, p) != 0) {
		mint_free(p);
		return;
	}
	(void)span_copy(span_str(agent->row.id), p->row.agent_id, sizeof p->row.agent_id);
	(void)span_copy(span_str(agent->row.id), p->row.sub, sizeof p->row.sub);
	(void)span_copy(span_str(agent->row.name), p->who, sizeof p->who);
	mint_row(p, agent->row.tenant, judge_conf.seal_token_ttl_s);
	/* a session does not outlive what it was attested with; tokens tell seconds */
	if (token->row.expires_ms != 0 && token->row.expires_ms < p->row.expires_ms)
		p->row.expires_ms = token->row.expires_ms / 1000 * 1000;
	if (p->row.expires_ms <= p->row.created_ms) {
		refuse(d, SEAL_WORKLOAD, "The agent token has expired", NULL);
		mint_free(p);
		return;
	}
	(void)span_copy(span_str(token->row.run), p->row.run, sizeof p->row.run);
	memcpy(p->shown, token->row.hash, sizeof p->shown);
	p->attested = true;
	mint_take(p, d, m->peer, d->row.path);
	p->d.row.event = span_str("AttestationFailed");
	p->d.row.agent = span_str(p->who);
	p->done = answer_session;
	mint_ask(p);
}
