/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks of the configuration; see hook.h. Runs in vault on the master's word. */
#include "keymasterd/vault/hook.h"

#include <stdlib.h>
#include <string.h>

#include "common/msg.h"
#include "common/proc.h"
#include "keymasterd/vault/serve.h"

#define HOOKS_MAX 16

struct hook {
	char name[129], host[256], scheme[8];
	uint32_t port;
	uint8_t allow_private;
	struct secret *secret;
};

static struct hooks {
	struct hook list[HOOKS_MAX];
	size_t n;
} hooks, staged;

static int
add(struct hooks *to, struct msg_conf_webhook_secret *m)
{
	struct hook *h;

	if (to->n == HOOKS_MAX || m->secret == NULL)
		return -1;
	h = &to->list[to->n++];
	h->secret = m->secret;
	m->secret = NULL;
	h->port = m->port;
	h->allow_private = m->allow_private;
	return span_copy(m->name, h->name, sizeof(h->name)) == -1 ||
		span_copy(m->host, h->host, sizeof(h->host)) == -1 ||
		span_copy(m->scheme, h->scheme, sizeof(h->scheme)) == -1
	    ? -1
	    : 0;
}

int
hook_configure(void *msg)
{
	return add(&hooks, msg);
}

int
hook_stage(void *msg)
{
	return add(&staged, msg);
}

static const struct hook *
find(const struct hooks *in, const char *name)
{
	size_t i;

	for (i = 0; i < in->n; i++)
		if (strcmp(in->list[i].name, name) == 0)
			return &in->list[i];
	return NULL;
}

static void
forget(struct hooks *all)
{
	size_t i;

	for (i = 0; i < all->n; i++)
		secret_free(all->list[i].secret);
	all->n = 0;
}

void
hook_stage_end(int commit)
{
	const struct hook *h, *now;
	struct hooks old = hooks;
	size_t i;

	if (!commit) {
		forget(&staged);
		return;
	}
	hooks = staged;
	staged.n = 0;
	for (i = 0; i < old.n; i++) {
		h = &old.list[i];
		now = find(&hooks, h->name);
		if (now == NULL || !secret_eq(now->secret, h->secret) ||
		    now->allow_private != h->allow_private)
			serve_credential_changed(
			    span_str(proc_self.tenant), span_str(h->name), now == NULL);
	}
	forget(&old);
}

struct secret *
hook_secret(const char *tenant, const char *name, struct credential *meta)
{
	const struct hook *h = find(&hooks, name);

	if (h == NULL || strcmp(tenant, proc_self.tenant) != 0)
		return NULL;
	*meta = (struct credential){.tenant = span_str(tenant),
	    .name = span_str(h->name),
	    .service = span_str(h->name),
	    .domains = span_str(h->host),
	    .auth_type = span_str("webhook"),
	    .header_name = span_str(""),
	    .query_param = span_str(""),
	    .scheme = span_str(h->scheme),
	    .port = h->port,
	    .allow_private = h->allow_private};
	return h->secret;
}
