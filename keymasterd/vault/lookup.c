/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials by name, and what they refer to; see lookup.h. Runs in vault. */
#include "keymasterd/vault/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "keymasterd/vault/serve.h"

/* The description, while somebody else is asked for the secret. One block. */
struct held {
	struct pending *p;
	vault_done_fn done;
	struct credential meta;
	char text[];
};

struct lookup {
	struct pending *p;
	vault_done_fn done;
	int fresh;
};

static void
on_resolved(const struct vault_answer *answer, void *arg)
{
	struct held *h = arg;
	struct vault_answer a = *answer;

	a.meta = &h->meta;
	h->done(&a, h->p);
	free(h);
}

static struct held *
hold(const struct credential *m)
{
	struct held *h = malloc(sizeof(*h) + credential_octets(m));

	if (h == NULL)
		return NULL;
	h->meta = *m;
	credential_move(&h->meta, h->text);
	return h;
}

/* secret_use() callback: what is sealed in place of a secret is no secret. */
static int
copy_reference(const void *p, size_t len, void *arg)
{
	struct pending *q = arg;

	return span_copy(span_mem(p, len), q->reference, sizeof(q->reference));
}

static void
on_fetched(const struct vault_answer *answer, void *arg)
{
	static const struct vault_answer failed = {.code = VAULT_IO};
	struct lookup *l = arg;
	struct pending *p = l->p;
	struct vault_question q = {.fresh = l->fresh};
	vault_done_fn done = l->done;
	struct held *h;

	free(l);
	if (answer->code != VAULT_OK || !answer->meta->reference) {
		done(answer, p);
		return;
	}
	h = hold(answer->meta);
	if (h == NULL || secret_use(answer->secret, copy_reference, p) != 0) {
		free(h);
		done(&failed, p);
		return;
	}
	h->p = p;
	h->done = done;
	q.tenant = span_str(p->tenant);
	q.reference = span_str(p->reference);
	serve_provider->resolve(&q, on_resolved, h);
}

void
lookup_credential(struct pending *p, int fresh, vault_done_fn done)
{
	static const struct vault_answer failed = {.code = VAULT_IO};
	struct lookup *l = malloc(sizeof(*l));

	(void)snprintf(p->reference, sizeof(p->reference), "secret:%s", p->subject);
	if (l == NULL) {
		done(&failed, p);
		return;
	}
	*l = (struct lookup){p, done, fresh};
	serve_provider->fetch(span_str(p->tenant), span_str(p->subject), on_fetched, l);
}
