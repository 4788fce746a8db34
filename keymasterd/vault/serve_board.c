/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Octets of blackboards, encrypted and decrypted for those who may: administrators at
 * vault's own socket of whom the judge has confirmed that they have the right. Runs in
 * vault. The keys for it open nothing else of vault's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/admin_door.h"
#include "common/log.h"
#include "common/secret.h"
#include "keymasterd/vault/access.h"
#include "keymasterd/vault/board_offer.h"
#include "keymasterd/vault/pending.h"
#include "keymasterd/vault/serve.h"

static const struct vault_answer no_memory = {.code = VAULT_IO};

/* The row first, as for any secret. */
static const struct vault_answer *
tell(const struct pending *p, enum access_act act, const struct vault_answer *answer)
{
	return pending_tell_act(p, ACCESS_BOARD, act, answer);
}

int
serve_board_offer(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_board_offer *m = msg;
	const struct board_offer *o = NULL;
	MSG_INIT(secret_offered, a);

	a.code = VAULT_REFUSED;
	if (m->tenant.len == 0 || m->object.len == 0 || m->act < BOARD_ENCRYPT ||
	    m->act > BOARD_DECRYPT) {
		a.message = span_str("a tenant, an object and what to do are needed");
	} else {
		o = board_offer_keep(c, m->tenant, m->object, m->act);
		a.code = o != NULL ? VAULT_OK : VAULT_IO;
		a.message = span_str(serve_text(a.code));
	}
	if (o != NULL)
		memcpy(a.offer, o->id, sizeof(a.offer));
	return chan_answer(c, reqid, MSG_secret_offered, &a);
}

int
serve_board_confirm(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_board_confirm *m = msg;
	const char *why = board_offer_confirm(m->offer, m->tenant, m->object, m->act);
	MSG_INIT(vault_done, a);

	a.code = why == NULL ? VAULT_OK : VAULT_REFUSED;
	a.message = span_str(why);
	return chan_answer(c, reqid, MSG_vault_done, &a);
}

/* So that what was taken (NULL: nothing was offered) can be told; NULL without memory. */
static struct pending *
begin(struct chan *c, uint64_t reqid, const struct board_offer *o)
{
	struct pending *p = pending_new(c, reqid);

	if (p != NULL)
		(void)snprintf(p->reference, sizeof(p->reference), "blackboard%s%s",
		    o != NULL ? " " : "", o != NULL ? o->object : "");
	if (p != NULL && o != NULL)
		(void)snprintf(p->tenant, sizeof(p->tenant), "%s", o->tenant);
	return p;
}

static const char *
text_of(const struct vault_answer *answer)
{
	return answer->why != NULL ? answer->why : serve_text(answer->code);
}

static int
answer_encrypted(struct chan *c, uint64_t reqid, const struct vault_answer *answer)
{
	MSG_INIT(board_encrypted, a);

	a.code = answer->code;
	a.message = span_str(answer->code == VAULT_OK ? "" : text_of(answer));
	if (answer->code == VAULT_OK) {
		a.version = answer->version;
		a.text = answer->text;
	}
	return chan_answer(c, reqid, MSG_board_encrypted, &a);
}

static void
encrypted(const struct vault_answer *answer, void *arg)
{
	struct pending *p = arg;

	answer = tell(p, ACCESS_ENCRYPT, answer);
	LOG_INFO("vault.encrypt", LS("tenant", p->tenant), LU("code", answer->code),
	    LU("version", answer->version), LS("why", answer->why));
	if (p->chan != NULL)
		(void)answer_encrypted(p->chan, p->reqid, answer);
	pending_free(p);
}

int
serve_board_encrypt(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_board_encrypt *m = msg;
	struct vault_answer refused = {.code = VAULT_REFUSED};
	struct board_offer *o = board_offer_take(c, false, &refused.why);
	struct pending *p = begin(c, reqid, o);
	int r = 0;

	if (refused.why == NULL && secret_len(m->plain) == 0)
		refused.why = "there is nothing to encrypt";
	if (p == NULL)
		r = answer_encrypted(c, reqid, &no_memory);
	else if (refused.why != NULL)
		encrypted(&refused, p);
	else
		serve_provider->encrypt(
		    &(struct vault_object){span_str(o->tenant), span_str(o->object)},
		    o->act == BOARD_ENCRYPT_NEW_KEY, m->plain, encrypted, p);
	free(o);
	return r;
}

static int
answer_decrypted(struct chan *c, uint64_t reqid, const struct vault_answer *answer)
{
	MSG_INIT(board_decrypted, a);

	a.code = answer->code;
	a.message = span_str(answer->code == VAULT_OK ? "" : text_of(answer));
	if (answer->code == VAULT_OK) {
		a.version = answer->version;
		a.plain = answer->secret;
	}
	return chan_answer(c, reqid, MSG_board_decrypted, &a);
}

static void
decrypted(const struct vault_answer *answer, void *arg)
{
	struct pending *p = arg;

	answer = tell(p, ACCESS_DECRYPT, answer);
	LOG_INFO("vault.decrypt", LS("tenant", p->tenant), LU("code", answer->code),
	    LU("version", answer->version), LS("why", answer->why));
	if (p->chan != NULL)
		(void)answer_decrypted(p->chan, p->reqid, answer);
	pending_free(p);
}

int
serve_board_decrypt(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_board_decrypt *m = msg;
	struct vault_answer refused = {.code = VAULT_REFUSED};
	struct board_offer *o = board_offer_take(c, true, &refused.why);
	struct pending *p = begin(c, reqid, o);
	int r = 0;

	if (p == NULL)
		r = answer_decrypted(c, reqid, &no_memory);
	else if (refused.why != NULL)
		decrypted(&refused, p);
	else
		serve_provider->decrypt(
		    &(struct vault_object){span_str(o->tenant), span_str(o->object)},
		    m->text, decrypted, p);
	free(o);
	return r;
}
