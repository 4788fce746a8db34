/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people do with shares of the master key: have them made, and bring them back. Runs
 * in vault, which alone sees them. A split takes two, as sealing does: the administrator
 * who asks on this connection and the judge that has recorded it. Shares are brought
 * without asking the judge: who has enough of them needs no other right.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/admin_door.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/secret.h"
#include "keymasterd/vault/conf.h"
#include "keymasterd/vault/kdf.h"
#include "keymasterd/vault/pending.h"
#include "keymasterd/vault/quorum.h"
#include "keymasterd/vault/serve.h"

#define KEY_TEXT_MAX 4096
#define MASTER_MS 5000
#define OFFER_MS 60000 /* the command line waits as long for the judge */

static struct wish {       /* one at a time */
	struct chan *chan; /* NULL: nobody wants one */
	uint8_t id[16];
	uint32_t threshold, shares;
	uint64_t until_ms;
	int allowed, asked, made;
	struct split split;
} wish;

static int
is_sealed(void)
{
	return serve_provider == &provider_locked;
}

/* A row about it. -1: there is nobody to write one, so it does not happen. */
static int
tell(const struct chan *c, enum share_event event, unsigned number, unsigned have,
    const char *reason)
{
	const struct split *s = quorum_split();
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(share_event, m);

	LOG_INFO("vault.share", LU("event", event), LU("number", number),
	    LU("have", have), LS("reason", reason));
	if (judge == NULL)
		return -1;
	m.event = (uint8_t)event;
	m.threshold = s != NULL ? s->threshold : 0;
	m.shares = s != NULL ? s->shares : 0;
	m.number = (uint8_t)number;
	m.have = (uint8_t)have;
	m.reason = span_str(reason != NULL ? reason : "");
	m.peer = c != NULL ? admin_door_peer(c) : span_str("");
	return chan_note(judge, MSG_share_event, &m);
}

void
serve_split_forget(const struct chan *c)
{
	if (wish.chan == c)
		sodium_memzero(&wish, sizeof(wish));
}

/* ---- splitting ---- */

/* Nobody who could not make the key alone may have it by a split. */
static const char *
refuse_split(const struct msg_split_offer *m, const struct chan *c, enum vault_code *code)
{
	*code = VAULT_REFUSED;
	if (serve_provider == &provider_openbao)
		return "vault.provider is openbao: the secrets are in OpenBao, whose own "
		       "key is split and sealed with its own commands";
	if (is_sealed()) {
		*code = VAULT_LOCKED;
		return serve_text(VAULT_LOCKED);
	}
	if (split_refuses_numbers(m->threshold, m->shares) != NULL)
		return split_refuses_numbers(m->threshold, m->shares);
	if (wish.chan != NULL && wish.chan != c && loop_now_ms() < wish.until_ms)
		return "somebody else is splitting the key right now";
	if (vault_conf.joined && !quorum_there()) {
		*code = VAULT_SHARES;
		return serve_text(VAULT_SHARES);
	}
	return NULL;
}

int
serve_split_offer(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_split_offer *m = msg;
	enum vault_code code;
	const char *why = refuse_split(m, c, &code);
	MSG_INIT(split_offered, a);

	a.code = why == NULL ? VAULT_OK : code;
	a.message = span_str(why != NULL ? why : "");
	if (why == NULL) {
		sodium_memzero(&wish, sizeof(wish));
		wish.chan = c;
		wish.threshold = m->threshold;
		wish.shares = m->shares;
		wish.until_ms = loop_now_ms() + OFFER_MS;
		randombytes_buf(wish.id, sizeof(wish.id));
		memcpy(a.offer, wish.id, sizeof(a.offer));
	}
	return chan_answer(c, reqid, MSG_split_offered, &a);
}

int
serve_split_allow(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_split_allow *m = msg;
	MSG_INIT(vault_done, a);

	if (wish.chan == NULL || loop_now_ms() >= wish.until_ms ||
	    sodium_memcmp(wish.id, m->offer, sizeof(wish.id)) != 0 ||
	    wish.threshold != m->threshold || wish.shares != m->shares) {
		a.code = VAULT_REFUSED;
		a.message =
		    span_str("no administrator has asked vault for this, or it took too "
			     "long");
	} else {
		wish.allowed = 1;
	}
	return chan_answer(c, reqid, MSG_vault_done, &a);
}

static int
answer_made(struct chan *c, uint64_t reqid, enum vault_code code, const char *why,
    struct secret *s)
{
	MSG_INIT(split_made, a);

	a.code = code;
	a.message = span_str(why);
	a.shares = s;
	return chan_answer(c, reqid, MSG_split_made, &a);
}

/* The master has lent the key, for as long as this takes. */
static void
on_key(struct chan *master, enum chan_status status, void *msg, void *arg)
{
	struct msg_key_lent *m = msg;
	struct pending *p = arg;
	struct secret *text = NULL, *key = NULL, *shares = NULL;

	(void)master;
	if (status == CHAN_OK && m->key >= 0) {
		text = secret_new_take_fd(m->key, KEY_TEXT_MAX);
		m->key = -1;
	}
	if (text != NULL && p->chan != NULL && wish.chan == p->chan) {
		key = kdf_master(text);
		shares = key == NULL ? NULL
				     : split_make(key, wish.threshold, wish.shares,
					   loop_unix_ms() / 1000, &wish.split);
		wish.made = shares != NULL;
	}
	secret_free(text);
	secret_free(key);
	if (p->chan != NULL && shares != NULL)
		(void)answer_made(p->chan, p->reqid, VAULT_OK, "", shares);
	else if (p->chan != NULL)
		(void)answer_made(
		    p->chan, p->reqid, VAULT_IO, "vault was not lent the key", NULL);
	secret_free(shares);
	pending_free(p);
}

int
serve_split_make(struct chan *c, uint64_t reqid, void *msg)
{
	struct pending *p;
	MSG_INIT(key_want, ask);

	(void)msg;
	if (wish.chan != c || !wish.allowed || wish.asked ||
	    loop_now_ms() >= wish.until_ms)
		return answer_made(c, reqid, VAULT_REFUSED,
		    "the judge has not allowed this, or it took too long", NULL);
	p = pending_new(c, reqid);
	if (p == NULL)
		return answer_made(
		    c, reqid, VAULT_IO, "vault has no memory for it", NULL);
	wish.asked = 1;
	if (proc_master() == NULL ||
	    chan_ask(proc_master(), MSG_key_want, &ask, MASTER_MS, on_key, p) == 0) {
		pending_free(p);
		return answer_made(
		    c, reqid, VAULT_IO, "the master cannot be asked", NULL);
	}
	return 0;
}

int
serve_split_keep(struct chan *c, uint64_t reqid, void *msg)
{
	MSG_INIT(vault_done, a);

	(void)msg;
	a.code = VAULT_REFUSED;
	a.message = span_str("there are no shares to be kept");
	if (wish.chan == c && wish.made) {
		a.code = VAULT_OK;
		a.message = span_str("");
		if (proc_peer(ROLE_JUDGE) == NULL || quorum_replace(&wish.split) == -1) {
			LOG_ERROR("vault.split", LE("error", errno));
			a.code = VAULT_IO;
			a.message = span_str(serve_text(VAULT_IO));
		} else {
			(void)tell(c, SHARE_GIVEN, 0, 0, NULL);
		}
		serve_split_forget(c);
	}
	return chan_answer(c, reqid, MSG_vault_done, &a);
}

/* ---- bringing them back ---- */

static void
tell_old(void)
{
	(void)tell(NULL, SHARE_FORGOTTEN, 0, quorum_have(),
	    "nobody brought the rest within ten minutes");
}

void
serve_split_open(int dirfd)
{
	quorum_on_old(tell_old);
	quorum_open(dirfd, vault_conf.name, vault_conf.sealed);
}

/* The key is there: the master starts another vault with it. */
static const char *
unseal(const struct chan *c)
{
	MSG_INIT(key_joined, m);
	const char *why;

	m.key = quorum_join(&why);
	if (m.key == NULL)
		return why;
	(void)tell(c, SHARE_JOINED, 0, 0, NULL);
	(void)chan_note(proc_master(), MSG_key_joined, &m);
	secret_free(m.key);
	return NULL;
}

/* NULL, or why not. */
static const char *
take(const struct chan *c, const struct msg_share_bring *m, int *open)
{
	struct share s;
	const char *why;

	if (proc_peer(ROLE_JUDGE) == NULL)
		return "the judge is not running, so there would be no row: try again";
	if (!is_sealed() && !m->split)
		return "the vault is not sealed";
	why = share_read(m->share, &s);
	if (why == NULL)
		why = quorum_bring(&s);
	(void)tell(
	    c, why == NULL ? SHARE_TAKEN : SHARE_REFUSED, s.number, quorum_have(), why);
	share_end(&s);
	if (why != NULL || !quorum_there())
		return why;
	if (is_sealed())
		why = unseal(c);
	*open = why == NULL;
	if (why != NULL)
		(void)tell(c, SHARE_REFUSED, 0, 0, why);
	return why;
}

int
serve_share_bring(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_share_bring *m = msg;
	const struct split *s = quorum_split();
	const char *why = NULL;
	int open = 0;
	MSG_INIT(share_taken, a);

	if (secret_len(m->share) > 0)
		why = take(c, m, &open);
	else
		open = m->split ? quorum_there() : !is_sealed() && serve_keys_asked();
	a.code = why == NULL ? VAULT_OK : VAULT_REFUSED;
	a.message = span_str(why != NULL ? why : "");
	a.need = s != NULL ? s->threshold : 0;
	a.have = open && secret_len(m->share) > 0 ? a.need : quorum_have();
	a.open = open != 0;
	return chan_answer(c, reqid, MSG_share_taken, &a);
}
