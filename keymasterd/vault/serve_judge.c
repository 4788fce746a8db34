/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the judge may ask: seal and drop credentials, name the public keys. What it may
 * have signed is in serve_sign.c. Runs in vault. The judge reads what agents write and
 * may be captured, so it can remove secrets and confirm what an administrator brought,
 * but never see one, nor say by itself where one may go.
 */
#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/secret.h"
#include "keymasterd/vault/grace.h"
#include "keymasterd/vault/lookup.h"
#include "keymasterd/vault/offer.h"
#include "keymasterd/vault/pending.h"
#include "keymasterd/vault/quorum.h"
#include "keymasterd/vault/serve.h"
#include "keymasterd/vault/sign.h"
#include "keymasterd/vault/watch.h"

const struct vault_provider *serve_provider;

const char *
serve_text(enum vault_code code)
{
	switch (code) {
	case VAULT_OK:
		return "";
	case VAULT_EXISTS:
		return "a credential of this name exists already";
	case VAULT_MISSING:
		return "there is no credential of this name";
	case VAULT_TOO_LARGE:
		return "too large: a secret may have 32768 octets";
	case VAULT_IO:
		return "the vault could not be read or saved; the log of vault says why";
	case VAULT_LOCKED:
		return "the vault is sealed: `aegis vault unseal`";
	case VAULT_BAD_REFERENCE:
		return "a vault: reference needs vault.provider: openbao";
	case VAULT_AWAY:
		return "OpenBao cannot be reached";
	case VAULT_DENIED:
		return "OpenBao does not allow it";
	case VAULT_SHARES:
		return "the key in force was made of shares, so that nobody has it "
		       "alone: "
		       "another split needs as many of them";
	case VAULT_REFUSED:
		break;
	}
	return "the vault refuses this";
}

static uint64_t
saves(void)
{
	return serve_provider->saves != NULL ? serve_provider->saves() : 0;
}

static int
answer_done(struct chan *c, uint64_t reqid, enum vault_code code, const char *why)
{
	MSG_INIT(vault_done, a);

	a.code = code;
	a.message = span_str(why != NULL ? why : serve_text(code));
	a.saves = saves();
	return chan_answer(c, reqid, MSG_vault_done, &a);
}

/* What vault itself relies on. */
static const char *
refuse_seal(const struct msg_credential_seal *m)
{
	if (!span_eq(m->scheme, "https") && !span_eq(m->scheme, "http"))
		return "the scheme must be https or http";
	if (m->port > UINT16_MAX)
		return "the port is out of range";
	if (m->allow_private > 1 || m->replace > 1)
		return "a flag is neither 0 nor 1";
	return NULL;
}

int
serve_credential_seal(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_credential_seal *m = msg;
	const struct credential cred = CREDENTIAL_OF(m);
	struct offer *o = offer_find(m->offer);
	enum vault_code code = VAULT_REFUSED;
	const char *why = refuse_seal(m);
	struct credential old;
	int sealed = serve_provider->describe(m->tenant, m->name, &old) == 0;

	if (why == NULL)
		why = o == NULL
		    ? "no administrator has brought this to vault, or it took too long"
		    : offer_refuses(o, &cred, sealed ? &old : NULL, m->replace);
	if (why == NULL && cred.reference && offer_secret(o) != NULL &&
	    !secret_eq_mem(offer_secret(o), m->secret_ref.p, m->secret_ref.len))
		why = "the judge named another reference than what was brought";
	if (why == NULL)
		code = serve_provider->seal(&cred, offer_secret(o), m->replace);
	if (code == VAULT_REFUSED && why == NULL && m->grace_s > 0)
		why = "the secret before is longer than 16384 octets and cannot be kept: "
		      "rotate without --grace-period";
	LOG_INFO("vault.seal", LSN("tenant", m->tenant.p, m->tenant.len),
	    LSN("credential", m->name.p, m->name.len), LB("replace", m->replace),
	    LB("new_secret", o != NULL && offer_secret(o) != NULL), LU("code", code),
	    LS("why", why));
	if (code == VAULT_OK) {
		offer_end(o);
		serve_credential_changed(m->tenant, m->name, 0);
		grace_watch();
	}
	return answer_done(c, reqid, code, why);
}

int
serve_credential_drop(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_credential_drop *m = msg;
	enum vault_code code = serve_provider->drop(m->tenant, m->name);

	LOG_INFO("vault.drop", LSN("tenant", m->tenant.p, m->tenant.len),
	    LSN("credential", m->name.p, m->name.len), LU("code", code));
	if (code == VAULT_OK)
		serve_credential_changed(m->tenant, m->name, 1);
	return answer_done(c, reqid, code, NULL);
}

/* That of one credential was read again. */
static void
read_again(const struct vault_answer *answer, void *arg)
{
	static const struct vault_answer nothing = {.code = VAULT_REFUSED,
	    .why = "its secret is in the vault itself: there is nothing to read again"};
	struct pending *p = arg;

	if (answer->code == VAULT_OK && !answer->meta->reference) {
		answer = &nothing;
	} else {
		answer = pending_tell(p, ACCESS_ADMIN, answer);
		watch_seen(span_str(p->tenant), span_str(p->subject), answer);
	}
	LOG_INFO("vault.refresh", LS("credential", p->subject), LU("code", answer->code));
	if (p->chan != NULL)
		(void)answer_done(p->chan, p->reqid, answer->code, answer->why);
	pending_free(p);
}

int
serve_secrets_refresh(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_secrets_refresh *m = msg;
	struct pending *p;

	if (m->name.len == 0) {
		serve_provider->refresh();
		watch_all();
		LOG_INFO("vault.refresh", LS("provider", serve_provider->name));
		return answer_done(c, reqid, VAULT_OK, NULL);
	}
	p = pending_new(c, reqid);
	if (p == NULL)
		return answer_done(c, reqid, VAULT_IO, NULL);
	(void)span_copy(m->tenant, p->tenant, sizeof(p->tenant));
	(void)span_copy(m->name, p->subject, sizeof(p->subject));
	lookup_credential(p, 1, read_again);
	return 0;
}

/* The token keys that verify beside the newest, as in vault_key_set. How many octets. */
static size_t
pack_old(uint8_t *octets, size_t size)
{
	struct wire_w w = {.p = octets, .cap = size};
	struct vault_old_key old[VAULT_OLD_MAX];
	size_t i, n = serve_provider->old_keys(loop_unix_ms() / 1000, old);

	for (i = 0; i < n; i++) {
		wire_put_fix(&w, old[i].pub, sizeof(old[i].pub));
		wire_put_u64(&w, old[i].retires_s);
	}
	return w.len;
}

static int keys_asked;

int
serve_keys_asked(void)
{
	return keys_asked;
}

#define OLD_OCTETS (VAULT_OLD_MAX * (VAULT_PUBLIC_LEN + 8))

/* Which keys there are; the judge learns of a new one before any token signed by it. */
static int
answer_keys(struct chan *c, uint64_t reqid, enum vault_code code, const char *why)
{
	const uint8_t *token = serve_provider->public_key(VAULT_KEY_TOKEN);
	const uint8_t *ledger = serve_provider->public_key(VAULT_KEY_LEDGER);
	char token_kid[SIGN_KID_SIZE] = "", ledger_kid[SIGN_KID_SIZE] = "";
	const struct split *split = quorum_split();
	uint8_t octets[OLD_OCTETS];
	uint8_t modulus[VAULT_RSA_LEN];
	MSG_INIT(vault_key_set, a);

	if (token != NULL) {
		sign_kid(token, token_kid);
		memcpy(a.token_pub, token, sizeof(a.token_pub));
	}
	if (ledger != NULL) {
		sign_kid(ledger, ledger_kid);
		memcpy(a.ledger_pub, ledger, sizeof(a.ledger_pub));
	} else if (code == VAULT_OK) {
		code = VAULT_LOCKED;
	}
	a.code = code;
	a.message = span_str(code == VAULT_OK ? ""
		: why != NULL                 ? why
					      : serve_text(code));
	a.token_kid = span_str(token_kid);
	a.ledger_kid = span_str(ledger_kid);
	a.threshold = split != NULL ? split->threshold : 0;
	a.shares = split != NULL ? split->shares : 0;
	a.credentials = serve_provider->count();
	a.saves = saves();
	a.token_old = span_mem(octets, pack_old(octets, sizeof(octets)));
	if (serve_provider->node_key(0, modulus) == 0)
		a.node_modulus = span_mem(modulus, sizeof(modulus));
	return chan_answer(c, reqid, MSG_vault_key_set, &a);
}

static void
known(const struct vault_answer *answer, void *arg)
{
	struct pending *p = arg;

	(void)answer; /* what is not known now is told when it is */
	if (p->chan != NULL)
		(void)answer_keys(p->chan, p->reqid, VAULT_OK, NULL);
	pending_free(p);
}

int
serve_vault_keys(struct chan *c, uint64_t reqid, void *msg)
{
	struct pending *p = pending_new(c, reqid);

	(void)msg;
	keys_asked = 1;
	if (p == NULL)
		return answer_keys(c, reqid, VAULT_OK, NULL);
	serve_provider->wait(known, p);
	return 0;
}

void
serve_keys_changed(void)
{
	const uint8_t *token = serve_provider->public_key(VAULT_KEY_TOKEN);
	struct chan *judge = proc_peer(ROLE_JUDGE);
	char kid[SIGN_KID_SIZE];
	uint8_t octets[OLD_OCTETS];
	MSG_INIT(token_keys, m);

	if (judge == NULL || token == NULL)
		return; /* it asks when it comes */
	sign_kid(token, kid);
	m.token_kid = span_str(kid);
	memcpy(m.token_pub, token, sizeof(m.token_pub));
	m.token_old = span_mem(octets, pack_old(octets, sizeof(octets)));
	(void)chan_note(judge, MSG_token_keys, &m);
}

static void
rotated(const struct vault_answer *answer, void *arg)
{
	struct pending *p = arg;

	LOG_INFO("vault.rotate", LU("code", answer->code), LU("overlap_s", p->number));
	if (p->chan != NULL)
		(void)answer_keys(p->chan, p->reqid, answer->code, answer->why);
	pending_free(p);
}

int
serve_key_rotate(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_key_rotate *m = msg;
	struct pending *p = pending_new(c, reqid);
	uint64_t now = loop_unix_ms() / 1000;

	if (p == NULL)
		return answer_keys(c, reqid, VAULT_IO, "vault has no memory for it");
	p->number = m->overlap_s;
	serve_provider->rotate(now, now + m->overlap_s, rotated, p);
	return 0;
}
