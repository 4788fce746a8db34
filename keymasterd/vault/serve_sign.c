/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the judge may have signed: tokens and checkpoints, from typed values. Runs in
 * vault. The provider signs, at once or when another machine has answered; by then the
 * judge may be gone.
 */
#include "common/log.h"
#include "common/loop.h"
#include "keymasterd/vault/pending.h"
#include "keymasterd/vault/serve.h"
#include "keymasterd/vault/sign.h"

static const char no_memory[] = "vault has no memory for it";

static int
refuse_token(struct chan *c, uint64_t reqid, enum vault_code code, const char *why,
    struct span tenant, struct span sub)
{
	MSG_INIT(token_signed, a);

	a.code = code;
	a.message = span_str(why);
	LOG_WARN("vault.token.refused", LSN("tenant", tenant.p, tenant.len),
	    LSN("sub", sub.p, sub.len), LS("reason", why));
	return chan_answer(c, reqid, MSG_token_signed, &a);
}

static void
token_signed(const struct vault_answer *answer, void *arg)
{
	struct pending *p = arg;
	enum vault_code code = answer->code;
	const char *why = answer->why != NULL ? answer->why : serve_text(code);
	MSG_INIT(token_signed, a);

	if (code == VAULT_OK &&
	    sign_token_end(&p->text, answer->signature, VAULT_SIGNATURE_LEN) == -1) {
		code = VAULT_IO;
		why = no_memory;
	}
	if (code == VAULT_OK) {
		a.token = span_mem(p->text.p, p->text.len);
		LOG_DEBUG("vault.token", LS("tenant", p->tenant), LS("sub", p->subject));
		if (p->chan != NULL)
			(void)chan_answer(p->chan, p->reqid, MSG_token_signed, &a);
	} else if (p->chan != NULL) {
		(void)refuse_token(p->chan, p->reqid, code, why, span_str(p->tenant),
		    span_str(p->subject));
	}
	pending_free(p);
}

/* Gives away p: what is to be signed is in its text, or `why` says why it is not. */
static int
token_start(struct chan *c, uint64_t reqid, struct pending *p, const char *why,
    struct span tenant, struct span sub)
{
	int r;

	if (p == NULL || why != NULL) {
		r = refuse_token(c, reqid, p == NULL ? VAULT_IO : VAULT_REFUSED,
		    p == NULL ? no_memory : why, tenant, sub);
		if (p != NULL)
			pending_free(p);
		return r;
	}
	(void)span_copy(tenant, p->tenant, sizeof(p->tenant));
	(void)span_copy(sub, p->subject, sizeof(p->subject));
	serve_provider->sign(VAULT_KEY_TOKEN, p->text.p, p->text.len, token_signed, p);
	return 0;
}

int
serve_token_sign(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_token_sign *m = msg;
	struct pending *p = pending_new(c, reqid);
	const char *why = p == NULL
	    ? NULL
	    : sign_token(serve_provider, m, loop_unix_ms() / 1000, &p->text);

	return token_start(c, reqid, p, why, m->tenant, m->sub);
}

int
serve_operator_sign(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_operator_sign *m = msg;
	struct pending *p = pending_new(c, reqid);
	const char *why = p == NULL
	    ? NULL
	    : sign_operator(serve_provider, m, loop_unix_ms() / 1000, &p->text);

	LOG_INFO("vault.operator", LSN("sub", m->sub.p, m->sub.len), LU("role", m->role),
	    LS("refused", why));
	return token_start(c, reqid, p, why, m->tenant, m->sub);
}

static void
node_signed(const struct vault_answer *answer, void *arg)
{
	struct pending *p = arg;
	uint8_t modulus[VAULT_RSA_LEN];
	MSG_INIT(node_signed, a);

	a.code = answer->code;
	if (a.code == VAULT_OK &&
	    (serve_provider->node_key(0, modulus) == -1 ||
		sign_token_end(&p->text, answer->signature, VAULT_RSA_LEN) == -1))
		a.code = VAULT_IO;
	if (a.code == VAULT_OK) {
		a.token = span_mem(p->text.p, p->text.len);
		a.modulus = span_mem(modulus, sizeof(modulus));
	} else {
		a.message =
		    span_str(answer->why != NULL ? answer->why : serve_text(a.code));
	}
	LOG_INFO("vault.node", LS("node", p->subject), LU("code", a.code));
	if (p->chan != NULL)
		(void)chan_answer(p->chan, p->reqid, MSG_node_signed, &a);
	pending_free(p);
}

int
serve_node_sign(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_node_sign *m = msg;
	struct pending *p = pending_new(c, reqid);
	uint8_t modulus[VAULT_RSA_LEN];
	const char *why = no_memory;
	MSG_INIT(node_signed, a);

	if (p != NULL)
		why = serve_provider->node_key(1, modulus) == -1
		    ? "the node key could not be made"
		    : sign_node(m, modulus, loop_unix_ms() / 1000, &p->text);
	if (why != NULL) {
		if (p != NULL)
			pending_free(p);
		a.code = VAULT_REFUSED;
		a.message = span_str(why);
		return chan_answer(c, reqid, MSG_node_signed, &a);
	}
	(void)span_copy(m->node, p->subject, sizeof(p->subject));
	serve_provider->node_sign(p->text.p, p->text.len, node_signed, p);
	return 0;
}

static int
refuse_checkpoint(
    struct chan *c, uint64_t reqid, enum vault_code code, const char *why, uint64_t seq)
{
	MSG_INIT(checkpoint_signed, a);

	a.code = code;
	a.message = span_str(why);
	LOG_ERROR("vault.checkpoint.refused", LU("seq", seq), LS("reason", why));
	return chan_answer(c, reqid, MSG_checkpoint_signed, &a);
}

static void
checkpoint_signed(const struct vault_answer *answer, void *arg)
{
	struct pending *p = arg;
	char kid[SIGN_KID_SIZE];
	MSG_INIT(checkpoint_signed, a);

	if (answer->code == VAULT_OK) {
		sign_kid(serve_provider->public_key(VAULT_KEY_LEDGER), kid);
		a.kid = span_str(kid);
		memcpy(a.signature, answer->signature, sizeof(a.signature));
		LOG_DEBUG("vault.checkpoint", LU("seq", p->number));
		if (p->chan != NULL)
			(void)chan_answer(p->chan, p->reqid, MSG_checkpoint_signed, &a);
	} else if (p->chan != NULL) {
		(void)refuse_checkpoint(p->chan, p->reqid, answer->code,
		    answer->why != NULL ? answer->why : serve_text(answer->code),
		    p->number);
	}
	pending_free(p);
}

int
serve_checkpoint_sign(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_checkpoint_sign *m = msg;
	struct pending *p = pending_new(c, reqid);
	const char *why;
	int r;

	if (p == NULL)
		return refuse_checkpoint(c, reqid, VAULT_IO, no_memory, m->seq);
	why = sign_checkpoint(m, &p->text);
	if (why != NULL) {
		r = refuse_checkpoint(c, reqid, VAULT_REFUSED, why, m->seq);
		pending_free(p);
		return r;
	}
	p->number = m->seq;
	serve_provider->sign(
	    VAULT_KEY_LEDGER, p->text.p, p->text.len, checkpoint_signed, p);
	return 0;
}
