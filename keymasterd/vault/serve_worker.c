/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker asks for its credential. Runs in vault; the worker talks with upstreams and
 * may be captured, so nothing in its message chooses anything.
 */
#include "common/log.h"
#include "keymasterd/vault/hook.h"
#include "keymasterd/vault/line.h"
#include "keymasterd/vault/lookup.h"
#include "keymasterd/vault/pending.h"
#include "keymasterd/vault/serve.h"
#include "keymasterd/vault/watch.h"

static int
answer_fetch(struct chan *c, uint64_t reqid, const struct vault_answer *answer)
{
	const struct credential *cred = answer->meta;
	MSG_INIT(credential_secret, a);

	a.code = answer->code;
	a.sealed = cred != NULL ? cred->sealed : 0;
	if (answer->code != VAULT_OK) {
		a.message = span_str(
		    answer->why != NULL ? answer->why : serve_text(answer->code));
		return chan_answer(c, reqid, MSG_credential_secret, &a);
	}
	a.tenant = cred->tenant;
	a.name = cred->name;
	a.service = cred->service;
	a.domains = cred->domains;
	a.auth_type = cred->auth_type;
	a.header_name = cred->header_name;
	a.query_param = cred->query_param;
	a.scheme = cred->scheme;
	a.port = cred->port;
	a.allow_private = cred->allow_private;
	a.methods = cred->methods;
	a.allow_paths = cred->allow_paths;
	a.deny_paths = cred->deny_paths;
	a.secret = answer->secret;
	a.old = answer->old;
	a.old_ms = answer->old_ms;
	return chan_answer(c, reqid, MSG_credential_secret, &a);
}

static void
fetched(const struct vault_answer *answer, void *arg)
{
	struct pending *p = arg;

	answer = pending_tell(p, ACCESS_PROXY, answer);
	if (p->chan != NULL && answer->code == VAULT_OK)
		watch_given(chan_owner(p->chan), answer);
	LOG_INFO("vault.fetch", LS("tenant", p->tenant), LS("credential", p->subject),
	    LU("worker", p->number), LU("code", answer->code), LS("why", answer->why));
	if (p->chan != NULL)
		(void)answer_fetch(p->chan, p->reqid, answer);
	pending_free(p);
}

int
serve_credential_fetch(struct chan *c, uint64_t reqid, void *msg)
{
	static const struct vault_answer no_memory = {.code = VAULT_IO};
	const struct line *l = chan_owner(c);
	struct credential meta;
	struct vault_answer hook = {.code = VAULT_OK, .meta = &meta};
	struct pending *p;

	(void)msg;
	if (l == NULL)
		return -1;
	if ((hook.secret = hook_secret(l->tenant, l->name, &meta)) != NULL)
		return answer_fetch(c, reqid, &hook);
	p = pending_new(c, reqid);
	if (p == NULL)
		return answer_fetch(c, reqid, &no_memory);
	(void)span_copy(span_str(l->tenant), p->tenant, sizeof(p->tenant));
	(void)span_copy(span_str(l->name), p->subject, sizeof(p->subject));
	p->number = l->instance;
	lookup_credential(p, 0, fetched);
	return 0;
}

void
serve_credential_changed(struct span tenant, struct span name, int gone)
{
	struct line *l;

	LIST_FOREACH (l, &lines, entry) {
		MSG_INIT(credential_changed, note);

		if (chan_peer_role(l->chan) != ROLE_WORKER ||
		    !span_eq(tenant, l->tenant) || !span_eq(name, l->name))
			continue;
		note.gone = gone != 0;
		(void)chan_note(l->chan, MSG_credential_changed, &note);
	}
}
