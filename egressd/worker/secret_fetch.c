/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The credential's way here: vault knows from the line which one is meant, so the
 * question names none. A rotated credential is fetched again; requests under way keep the
 * old one.
 */
#include <stdio.h>
#include <string.h>

#include "common/grant.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/proto.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/upstream.h"
#include "egressd/worker/worker.h"

#define FETCH_TIMEOUT_MS 10000
#define AGAIN_MS 5000 /* while the secret's home is away */

struct credential *worker_credential;
struct grant_book *worker_grants;

static bool fetching;
static bool again;              /* what is being fetched may be old already */
static bool fresh_enough;       /* was fetched after the judge's last order */
static uint64_t again_ms;       /* not 0: ask again then */
static uint32_t ordered;        /* its number */
static const struct chan *told; /* once a door and order; compared, never followed */

/* Why there is nothing to serve with; "" as long as there is. */
static char given_up[256];

void
worker_tell_ready(void)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(redeemer_ready, m);

	if (judge == NULL)
		told = NULL;
	if (judge == NULL || judge == told)
		return;
	if (given_up[0] != '\0') {
		m.code = 1;
		m.message = span_str(given_up);
		worker_leaving = true;
	} else if (!fresh_enough || !grant_book_has_key(worker_grants) ||
	    (ordered == 0 && proc_peer(ROLE_DISPATCH) == NULL)) {
		/* the first time also when names cannot be resolved yet: its door comes
		 */
		return;
	}
	told = judge;
	m.version = ordered;
	chan_note(judge, MSG_redeemer_ready, &m);
}

void
worker_give_up(const char *why)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(redeemer_ready, m);

	LOG_ERROR("credential.unusable", LS("why", why));
	snprintf(given_up, sizeof(given_up), "%s", why);
	if (judge == NULL)
		return; /* it is told when it comes */
	m.code = 1;
	m.message = span_str(given_up);
	chan_note(judge, MSG_redeemer_ready, &m);
	worker_leaving = true;
}

static void
on_fetched(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	struct msg_credential_secret *m = msg;
	struct credential *fresh;
	const char *why;
	char text[300];

	(void)arg;
	fetching = false;
	if (status == CHAN_GONE)
		return; /* vault is started again and we ask it again */
	if (status == CHAN_TIMEOUT || again) {
		secret_fetch_start(c);
		return;
	}
	if (status == CHAN_ERROR) {
		worker_give_up("vault refuses to give the credential");
		return;
	}
	/* the home of the secret is away: what is held is as vault knows it to be, and
	 * its secret is good until that home says otherwise */
	if (m->code == VAULT_AWAY && worker_credential != NULL &&
	    worker_credential->sealed == m->sealed) {
		LOG_WARN("credential.kept", LSN("why", m->message.p, m->message.len));
		again_ms = loop_now_ms() + AGAIN_MS;
		fresh_enough = true;
		worker_tell_ready();
		return;
	}
	if (m->code != VAULT_OK) {
		snprintf(text, sizeof(text), "vault: %.*s", (int)m->message.len,
		    m->message.len > 0 ? m->message.p : "");
		worker_give_up(text);
		return;
	}
	/* the line is bound to one credential: any other is a mistake of ours or vault's
	 */
	if (!span_eq(m->name, proc_self.name) || !span_eq(m->tenant, proc_self.tenant)) {
		worker_give_up("vault gave another credential");
		return;
	}
	fresh = credential_new_take(m, &why);
	if (fresh == NULL) {
		worker_give_up(why);
		return;
	}
	/* an address or a domain may be forbidden now */
	if (worker_credential != NULL)
		upstream_forget();
	credential_unref(worker_credential);
	worker_credential = fresh;
	fresh_enough = true;
	worker_tell_ready();
}

void
secret_fetch_start(struct chan *vault)
{
	MSG_INIT(credential_fetch, m);

	again = fetching;
	if (fetching)
		return;
	fetching = chan_ask(vault, MSG_credential_fetch, &m, FETCH_TIMEOUT_MS, on_fetched,
		       NULL) != 0;
}

void
secret_fetch_sweep(uint64_t now_ms)
{
	struct chan *vault = proc_peer(ROLE_VAULT);

	if (again_ms == 0 || now_ms < again_ms || vault == NULL)
		return;
	again_ms = 0;
	secret_fetch_start(vault);
}

void
secret_renew(uint32_t version)
{
	struct chan *vault = proc_peer(ROLE_VAULT);

	ordered = version;
	fresh_enough = false;
	told = NULL;
	if (given_up[0] != '\0')
		worker_tell_ready();
	else if (vault != NULL)
		secret_fetch_start(vault); /* else when its door comes */
}
