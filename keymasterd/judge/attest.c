/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestation (section 5 of the protocol notes). The workload's proof is its agent token;
 * the key in the request becomes the session's, vault signs the session's token from
 * typed claims. Judge only; the body is anybody's.
 */
#include "keymasterd/judge/attest.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/attest_key.h"
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
	struct attest_ask ask = {.process = m->process};
	struct span token = m->token;

	if (token.len == 0 && m->authorization.len > 7 &&
	    span_ieq(span_mem(m->authorization.p, 7), "bearer "))
		token = span_mem(m->authorization.p + 7, m->authorization.len - 7);
	while (token.len > 0 && token.p[0] == ' ')
		token = span_mem(token.p + 1, token.len - 1);
	while (token.len > 0 && token.p[token.len - 1] == ' ')
		token.len--;
	ask.token = token;
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

/* The first of these members that is there as a text, decoded. 0; 1 absent; -1 malformed.
 */
static int
text_of(const struct json_doc *d, const char *const *names, char *out, size_t size,
    size_t *len)
{
	uint32_t root = json_root(d), node;

	out[0] = '\0';
	*len = 0;
	for (; *names != NULL; names++) {
		node = json_get(d, root, *names);
		if (node == JSON_NONE || json_type(d, node) == JT_NULL)
			continue;
		if (json_str_copy(d, node, out, size, len) != 0)
			return -1;
		for (size_t i = 0; i < *len; i++)
			if ((unsigned char)out[i] < 0x20 && out[i] != '\n' &&
			    out[i] != '\r' && out[i] != '\t')
				return -1;
		return 0;
	}
	return 1;
}

static void
refuse(struct decide *d, unsigned code, const char *message, const char *detail)
{
	struct seal_refusal r = {.code = code, .message = message, .flat = true};

	if (detail != NULL)
		d->row.detail = span_str(detail);
	seal_refuse(d, &r);
}

/* Reads the body into the session's row and the workload's name. 0, or -1: refused. */
static int
read_request(struct decide *d, const struct msg_api_request *m, const struct agent *agent,
    struct mint *p)
{
	static const char *const key_names[] = {
	    "public_key", "public_key_pem", "agent_public_key", NULL};
	static const char *const context_names[] = {
	    "security_context", "requested_scope", NULL};
	static const char *const wid_names[] = {"workload_id", "container_id", NULL};
	static const char *const task_names[] = {"task_summary", NULL};
	char key[ATTEST_KEY_TEXT_MAX + 1];
	struct json_doc doc;
	size_t len;
	int ret = -1, absent;

	json_init(&doc);
	if (json_parse(&doc, m->body.p, m->body.len, NULL) != JSON_OK ||
	    json_type(&doc, json_root(&doc)) != JT_OBJECT) {
		refuse(d, SEAL_ATTEST, "The body must be a JSON object", NULL);
		goto out;
	}
	if (text_of(&doc, wid_names, p->wid, sizeof p->wid, &len) < 0 ||
	    text_of(&doc, task_names, p->task, sizeof p->task, &len) < 0) {
		refuse(d, SEAL_ATTEST,
		    "workload_id and task_summary must be texts of at most 256 octets",
		    NULL);
		goto out;
	}
	if (p->wid[0] == '\0')
		(void)span_copy(span_str(agent->row.name), p->wid, sizeof p->wid);
	d->row.workload = span_str(p->wid);
	absent =
	    text_of(&doc, context_names, p->row.context, sizeof p->row.context, &len);
	if (absent != 0 || !context_name_ok(span_mem(p->row.context, len))) {
		refuse(d, SEAL_SCOPE, "Name a SecurityContext as security_context", NULL);
		goto out;
	}
	d->row.context = span_str(p->row.context);
	if (context_find(agent->row.tenant, span_str(p->row.context)) == NULL) {
		refuse(d, SEAL_SCOPE,
		    "This SecurityContext is not available to the workload",
		    "there is no such context");
		goto out;
	}
	if (!agent_may_context(agent, p->row.context)) {
		refuse(d, SEAL_SCOPE,
		    "This SecurityContext is not available to the workload",
		    "the agent may not use this context");
		goto out;
	}
	if (text_of(&doc, key_names, key, sizeof key, &len) != 0 ||
	    attest_key_read(span_mem(key, len), p->row.public_key) != 0) {
		refuse(d, SEAL_ATTEST,
		    "public_key must be an Ed25519 public key: Base64 of 32 octets, or "
		    "PEM",
		    NULL);
		goto out;
	}
	ret = 0;
out:
	json_free(&doc);
	return ret;
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
