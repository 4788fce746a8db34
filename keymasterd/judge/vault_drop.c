/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials that are no longer wanted; see vault_drop.h. Judge only. */
#include "keymasterd/judge/vault_drop.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/proc.h"
#include "common/proto.h"
#include "keymasterd/judge/store.h"
#include "keymasterd/judge/turn.h"
#include "keymasterd/judge/vault_mark.h"

#define VAULT_MS 30000 /* its key derivation may be slow when it starts */

struct drop {
	char tenant[STORE_TENANT_MAX], name[129];
};

static void
on_dropped(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	const struct msg_vault_done *m = msg;
	struct drop *d = arg;

	(void)c;
	if (status != CHAN_OK || (m->code != VAULT_OK && m->code != VAULT_MISSING))
		LOG_WARN("vault.leftover", LS("credential", d->name),
		    LS("effect",
			"unusable; the next vault add of this name replaces it"));
	else if (m->code == VAULT_OK)
		vault_mark_saved(m->saves);
	free(d);
}

static void
go(int committed, void *arg)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	struct drop *d = arg;
	MSG_INIT(credential_drop, m);

	m.tenant = span_str(d->tenant);
	m.name = span_str(d->name);
	if (!committed || vault == NULL ||
	    chan_ask(vault, MSG_credential_drop, &m, VAULT_MS, on_dropped, d) == 0) {
		if (committed)
			LOG_WARN("vault.leftover", LS("credential", d->name));
		free(d);
	}
}

int
vault_drop_later(const char *tenant, const char *name)
{
	struct drop *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -1;
	snprintf(d->tenant, sizeof(d->tenant), "%s", tenant);
	snprintf(d->name, sizeof(d->name), "%s", name);
	turn_then(go, d);
	return 0;
}
