/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Octets of blackboards, encrypted and decrypted for those who may: administrators. Runs
 * in vault. The keys for it open nothing else of vault's.
 */
#include <stdio.h>

#include "common/admin_door.h"
#include "common/log.h"
#include "common/secret.h"
#include "keymasterd/vault/access.h"
#include "keymasterd/vault/pending.h"
#include "keymasterd/vault/serve.h"

static const struct vault_answer no_memory = {.code = VAULT_IO};

/* The row first, as for any secret. */
static const struct vault_answer *
tell(const struct pending *p, enum access_act act, const struct vault_answer *answer)
{
	return pending_tell_act(p, ACCESS_BOARD, act, answer);
}

static struct pending *
begin(struct chan *c, uint64_t reqid, struct span tenant, struct span object)
{
	struct pending *p = pending_new(c, reqid);

	if (p == NULL)
		return NULL;
	(void)span_copy(tenant, p->tenant, sizeof(p->tenant));
	(void)snprintf(p->reference, sizeof(p->reference), "blackboard %.*s",
	    (int)object.len, object.p != NULL ? object.p : "");
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
	static const struct vault_answer empty = {.code = VAULT_REFUSED,
	    .why = "a tenant, an object and some octets are needed"};
	const struct msg_board_encrypt *m = msg;
	const struct vault_object o = {.tenant = m->tenant, .object = m->object};
	struct pending *p;

	if (m->tenant.len == 0 || m->object.len == 0 || secret_len(m->plain) == 0)
		return answer_encrypted(c, reqid, &empty);
	p = begin(c, reqid, m->tenant, m->object);
	if (p == NULL)
		return answer_encrypted(c, reqid, &no_memory);
	serve_provider->encrypt(&o, m->new_key != 0, m->plain, encrypted, p);
	return 0;
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
	const struct vault_object o = {.tenant = m->tenant, .object = m->object};
	struct pending *p = begin(c, reqid, m->tenant, m->object);

	if (p == NULL)
		return answer_decrypted(c, reqid, &no_memory);
	serve_provider->decrypt(&o, m->text, decrypted, p);
	return 0;
}
