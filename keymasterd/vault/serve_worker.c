/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker asks for its credential. Runs in vault; the worker talks with upstreams and
 * may be captured, so nothing in its message chooses anything.
 */
#include "common/log.h"
#include "common/secret.h"
#include "keymasterd/vault/line.h"
#include "keymasterd/vault/serve.h"

int
serve_credential_fetch(struct chan *c, uint64_t reqid, void *msg)
{
	const struct line *l = chan_owner(c);
	struct credential cred = {0};
	struct secret *secret = NULL;
	enum vault_code code;
	int r;
	MSG_INIT(credential_secret, a);

	(void)msg;
	if (l == NULL)
		return -1;
	code =
	    serve_provider->fetch(span_str(l->tenant), span_str(l->name), &cred, &secret);
	a.code = code;
	a.message = span_str(code == VAULT_OK ? "" : serve_text(code));
	if (code == VAULT_OK) {
		a.tenant = cred.tenant;
		a.name = cred.name;
		a.service = cred.service;
		a.domains = cred.domains;
		a.auth_type = cred.auth_type;
		a.header_name = cred.header_name;
		a.query_param = cred.query_param;
		a.scheme = cred.scheme;
		a.port = cred.port;
		a.allow_private = cred.allow_private;
		a.secret = secret;
	}
	LOG_INFO("vault.fetch", LS("tenant", l->tenant), LS("credential", l->name),
	    LU("worker", l->instance), LU("code", code));
	r = chan_answer(c, reqid, MSG_credential_secret, &a);
	secret_free(secret);
	return r;
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
