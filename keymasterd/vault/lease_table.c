/* SPDX-License-Identifier: Apache-2.0 */
/* The table of leases; see lease_table.h. Runs in vault. */
#include "keymasterd/vault/lease_table.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "common/secret.h"

struct lease_list leases = TAILQ_HEAD_INITIALIZER(leases);
struct lease_token_list lease_tokens = TAILQ_HEAD_INITIALIZER(lease_tokens);
struct lease_totals lease_totals;
static uint64_t last_number;
static unsigned nleases;

struct lease *
lease_new(void)
{
	struct lease *l = nleases < LEASES_MAX ? calloc(1, sizeof(*l)) : NULL;

	if (l == NULL)
		return NULL;
	l->number = ++last_number;
	l->state = LEASE_WAITS;
	l->born_s = loop_unix_ms() / 1000;
	TAILQ_INIT(&l->waiters);
	TAILQ_INSERT_TAIL(&leases, l, entry);
	nleases++;
	return l;
}

void
lease_wipe(struct lease *l)
{
	secret_free(l->username);
	secret_free(l->password);
	l->username = l->password = NULL;
}

void
lease_free(struct lease *l)
{
	struct lease_waiter *w;

	while ((w = TAILQ_FIRST(&l->waiters)) != NULL) {
		TAILQ_REMOVE(&l->waiters, w, entry);
		free(w);
	}
	if (event_initialized(&l->timer))
		event_del(&l->timer);
	lease_wipe(l);
	if (l->token != NULL)
		l->token->users--;
	TAILQ_REMOVE(&leases, l, entry);
	nleases--;
	free(l);
}

struct lease_token *
lease_token_get(const char *ns, const char *accessor)
{
	struct lease_token *t;

	TAILQ_FOREACH (t, &lease_tokens, entry)
		if (accessor[0] != '\0' && strcmp(t->accessor, accessor) == 0 &&
		    strcmp(t->ns, ns) == 0)
			return t;
	t = calloc(1, sizeof(*t));
	if (t == NULL || span_copy(span_str(ns), t->ns, sizeof(t->ns)) == -1 ||
	    span_copy(span_str(accessor), t->accessor, sizeof(t->accessor)) == -1) {
		free(t);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&lease_tokens, t, entry);
	return t;
}

void
lease_token_use(struct lease *l, struct lease_token *t)
{
	l->token = t;
	t->users++;
	t->made++;
}

bool
lease_token_is_open(const struct lease_token *t)
{
	return !t->closed && t->secret != NULL && t->made < LEASES_A_TOKEN &&
	    loop_now_ms() < t->closes_ms;
}

void
lease_token_free(struct lease_token *t)
{
	secret_free(t->secret);
	TAILQ_REMOVE(&lease_tokens, t, entry);
	free(t);
}

unsigned
lease_count(enum lease_state state)
{
	const struct lease *l;
	unsigned n = 0;

	TAILQ_FOREACH (l, &leases, entry)
		n += l->state == state;
	return n;
}
