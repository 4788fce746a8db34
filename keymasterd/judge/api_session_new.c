/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/seal/sessions: an operator, often an orchestrator, makes the session for a key
 * that it knows. Both spellings of the members; the token is vault's unless the caller
 * brings one of an issuer that we trust. Judge only; operators are let in, their bodies
 * are checked all the same.
 */
#include "keymasterd/judge/api_session.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/mint.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/seal_verify.h"
#include "keymasterd/judge/session.h"
#include "keymasterd/judge/session_body.h"
#include "keymasterd/judge/trust.h"

static struct buf body, given; /* given: the caller's token, empty when there is none */
static struct jwt token;

static bool
claim_is(const char *name, const char *value)
{
	return json_str_eq(&token.claims,
	    json_get(&token.claims, json_root(&token.claims), name), value);
}

/* The caller's own token must be what calls will be checked for. */
static int
check_given(struct decide *d, struct mint *m, uint64_t *expires_s)
{
	const struct jwt_keyset *own = trust_own();
	struct seal_world world = {.unix_ms = judge_now_ms(),
	    .issuer = judge_conf.issuer,
	    .audience = judge_conf.audience,
	    .leeway_s = judge_conf.seal_leeway_s,
	    .keys = own->n > 0 ? own : NULL};
	struct seal_refusal r = {.code = 0};
	struct seal_token seen;

	if (seal_token_check(
		(const char *)given.p, given.len, &world, &token, &seen, &r) != 0) {
		if (r.status == 0)
			r.status = 400;
		seal_refuse(d, &r);
		return -1;
	}
	if (!claim_is("exec_id", m->row.exec_id) || !claim_is("sub", m->row.sub) ||
	    !claim_is("scp", m->row.context) ||
	    (json_get(&token.claims, json_root(&token.claims), "tenant_id") !=
		    JSON_NONE &&
		!claim_is("tenant_id", m->row.tenant))) {
		seal_refuse(d,
		    &(struct seal_refusal){.code = SEAL_TOKEN,
			.status = 400,
			.message =
			    "The security token's exec_id, sub, scp or tenant_id is "
			    "not the session's"});
		return -1;
	}
	(void)json_str_copy(&token.claims,
	    json_get(&token.claims, json_root(&token.claims), "wid"), m->wid,
	    sizeof m->wid, NULL);
	if (*expires_s == 0)
		*expires_s = (uint64_t)seen.exp;
	return 0;
}

static void
answer_created(struct mint *m, struct session *s, struct span tok, unsigned code,
    const char *message)
{
	struct jsonw w;

	if (s == NULL) {
		api_refuse(&m->d, code, message);
		return;
	}
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "status", "success");
	jsonw_key_bool(&w, "saved", true);
	api_session_members(&w, s);
	jsonw_key(&w, "security_token");
	jsonw_strn(&w, tok.p, tok.len);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0)
		api_refuse(&m->d, 503, "The answer could not be written");
	else
		api_answer(&m->d, 200, body.p, body.len);
}

void
api_session_create(struct api_call *c)
{
	uint64_t now = judge_now_ms() / 1000, expires_s;
	struct seal_refusal bad = {.code = 400};
	struct mint *m;

	c->d->row.event = span_str("session.create");
	if ((m = mint_new()) == NULL) {
		api_refuse(c->d, 503, "Too many sessions at once");
		return;
	}
	bad.message =
	    session_body_read(c->m->body, c->tenant, now, m, &expires_s, &given);
	if (bad.message != NULL) {
		seal_refuse(c->d, &bad);
		goto out;
	}
	c->d->row.exec = span_str(m->row.exec_id);
	c->d->row.context = span_str(m->row.context);
	if (context_find(c->tenant, span_str(m->row.context)) == NULL) {
		seal_refuse(c->d,
		    &(struct seal_refusal){.code = SEAL_SCOPE,
			.status = 400,
			.message = "There is no such SecurityContext"});
		goto out;
	}
	(void)span_copy(span_str(c->tenant), m->row.tenant, sizeof m->row.tenant);
	if (given.len > 0 && check_given(c->d, m, &expires_s) != 0)
		goto out;
	mint_row_for(m, c->tenant,
	    expires_s > now ? expires_s - now : judge_conf.seal_token_ttl_s);
	(void)span_copy(span_str(c->op->name), m->who, sizeof m->who);
	c->d->row.kind = LEDGER_ADMIN;
	mint_take(m, c->d, c->m->peer, c->d->row.path);
	m->d.row.event = span_str("session.create");
	m->d.row.oper = span_str(m->who);
	m->d.row.agent = span_str(m->row.sub);
	m->done = answer_created;
	if (given.len > 0)
		mint_store(m, span_mem(given.p, given.len));
	else
		mint_ask(m);
	return;
out:
	mint_free(m);
}
