/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks of the configuration; see hook.h. Runs in vault on the master's word. */
#include "keymasterd/vault/hook.h"

#include <stdlib.h>
#include <string.h>

#include "common/msg.h"
#include "common/proc.h"

#define HOOKS_MAX 16

static struct hook {
	char name[129], host[256], scheme[8];
	uint32_t port;
	uint8_t allow_private;
	struct secret *secret;
} hooks[HOOKS_MAX];
static size_t nhooks;

int
hook_configure(void *msg)
{
	struct msg_conf_webhook_secret *m = msg;
	struct hook *h;

	if (nhooks == HOOKS_MAX || m->secret == NULL)
		return -1;
	h = &hooks[nhooks++];
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

struct secret *
hook_secret(const char *tenant, const char *name, struct credential *meta)
{
	size_t i;

	for (i = 0; i < nhooks && strcmp(hooks[i].name, name) != 0; i++)
		;
	if (i == nhooks || strcmp(tenant, proc_self.tenant) != 0)
		return NULL;
	*meta = (struct credential){.tenant = span_str(tenant),
	    .name = span_str(hooks[i].name),
	    .service = span_str(hooks[i].name),
	    .domains = span_str(hooks[i].host),
	    .auth_type = span_str("webhook"),
	    .header_name = span_str(""),
	    .query_param = span_str(""),
	    .scheme = span_str(hooks[i].scheme),
	    .port = hooks[i].port,
	    .allow_private = hooks[i].allow_private};
	return hooks[i].secret;
}
