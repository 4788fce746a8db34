/* SPDX-License-Identifier: Apache-2.0 */
/* The table of leases; see lease_table.h. Runs in vault. */
#include "keymasterd/vault/lease_table.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/loop.h"
#include "common/secret.h"

struct lease_list leases = TAILQ_HEAD_INITIALIZER(leases);
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
	secret_free(l->token);
	secret_free(l->username);
	secret_free(l->password);
	l->token = l->username = l->password = NULL;
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
	TAILQ_REMOVE(&leases, l, entry);
	nleases--;
	free(l);
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
