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

static struct span
keep_text(char **at, struct span s)
{
	char *here = *at;

	if (s.len > 0)
		memcpy(here, s.p, s.len);
	*at += s.len;
	return span_mem(here, s.len);
}

static struct held *
hold(const struct credential *m)
{
	size_t n = m->tenant.len + m->name.len + m->service.len + m->domains.len +
	    m->auth_type.len + m->header_name.len + m->query_param.len + m->scheme.len +
	    m->methods.len + m->allow_paths.len + m->deny_paths.len;
	struct held *h = malloc(sizeof(*h) + n);
	char *at;

	if (h == NULL)
		return NULL;
	at = h->text;
	h->meta = *m;
	h->meta.tenant = keep_text(&at, m->tenant);
	h->meta.name = keep_text(&at, m->name);
	h->meta.service = keep_text(&at, m->service);
	h->meta.domains = keep_text(&at, m->domains);
	h->meta.auth_type = keep_text(&at, m->auth_type);
	h->meta.header_name = keep_text(&at, m->header_name);
	h->meta.query_param = keep_text(&at, m->query_param);
	h->meta.scheme = keep_text(&at, m->scheme);
	h->meta.methods = keep_text(&at, m->methods);
	h->meta.allow_paths = keep_text(&at, m->allow_paths);
	h->meta.deny_paths = keep_text(&at, m->deny_paths);
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
