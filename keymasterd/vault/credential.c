/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of credentials; see credential.h. Runs in vault only. */
#include "keymasterd/vault/credential.h"

#define TEXTS 11

/* All there are; whoever adds one adds it here. */
static void
texts_of(struct credential *c, struct span *texts[TEXTS])
{
	struct span *all[TEXTS] = {&c->tenant, &c->name, &c->service, &c->domains,
	    &c->auth_type, &c->header_name, &c->query_param, &c->scheme, &c->methods,
	    &c->allow_paths, &c->deny_paths};

	memcpy(texts, all, sizeof(all));
}

size_t
credential_octets(const struct credential *c)
{
	struct credential copy = *c;
	struct span *texts[TEXTS];
	size_t octets = 0, i;

	texts_of(&copy, texts);
	for (i = 0; i < TEXTS; i++)
		octets += texts[i]->len;
	return octets;
}

void
credential_move(struct credential *c, char *at)
{
	struct span *texts[TEXTS];
	size_t i;

	texts_of(c, texts);
	for (i = 0; i < TEXTS; i++)
		span_move(texts[i], &at);
}
