/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, counts and the list of leases; see lease_report.h. Runs in vault. */
#include "keymasterd/vault/lease_report.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/sha256.h"
#include "keymasterd/vault/access.h"
#include "keymasterd/vault/serve.h"

#define COUNTS_MS 100

static struct event timer;
static bool planned;

void
lease_name(const struct lease *l, char name[LEASE_NAME_SIZE])
{
	uint8_t hash[32];

	name[0] = '\0';
	if (l->id[0] == '\0')
		return;
	sha256_two(l->id, strlen(l->id), NULL, 0, hash);
	(void)hex_encode(hash, (LEASE_NAME_SIZE - 1) / 2, name, LEASE_NAME_SIZE);
}

void
lease_report(
    const struct lease *l, enum access_act act, enum vault_code code, const char *why)
{
	char name[LEASE_NAME_SIZE], reference[340];
	struct access a = {.use = ACCESS_TOOL,
	    .act = act,
	    .tenant = span_str(l->tenant),
	    .subject = span_str(l->server),
	    .execution = span_str(l->execution),
	    .code = code,
	    .lease_s = l->ttl_s};

	lease_name(l, name);
	snprintf(reference, sizeof(reference), "vault:%s", l->path);
	a.reference = span_str(reference);
	a.lease = span_str(name);
	if (code != VAULT_OK)
		a.reason = span_str(why != NULL ? why : serve_text(code));
	(void)access_tell(&a);
}

static void
on_counts(evutil_socket_t fd, short what, void *arg)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(lease_counts, m);

	(void)fd;
	(void)what;
	(void)arg;
	planned = false;
	m.ending = lease_count(LEASE_ENDING);
	m.open = lease_count(LEASE_ASKED) + lease_count(LEASE_HELD);
	m.obtained = lease_totals.obtained;
	m.renewed = lease_totals.renewed;
	m.replaced = lease_totals.replaced;
	m.revoked = lease_totals.revoked;
	m.failed = lease_totals.failed;
	if (judge != NULL)
		(void)chan_note(judge, MSG_lease_counts, &m);
}

void
lease_report_changed(void)
{
	static const struct timeval tv = {.tv_usec = COUNTS_MS * 1000};

	if (planned)
		return;
	(void)evtimer_assign(&timer, loop_base(), on_counts, NULL);
	planned = evtimer_add(&timer, &tv) == 0;
}

void
lease_report_close(void)
{
	if (planned)
		event_del(&timer);
	planned = false;
}

int
serve_lease_next(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_lease_next *m = msg;
	char name[LEASE_NAME_SIZE], reference[340];
	uint64_t now = loop_now_ms();
	const struct lease *l;
	MSG_INIT(lease_item, a);

	TAILQ_FOREACH (l, &leases, entry)
		if (l->number > m->after)
			break;
	if (l == NULL)
		return chan_answer(c, reqid, MSG_lease_item, &a);
	lease_name(l, name);
	snprintf(reference, sizeof(reference), "vault:%s", l->path);
	a.number = l->number;
	a.state = (uint8_t)l->state;
	a.server = span_str(l->server);
	a.execution = span_str(l->execution);
	a.reference = span_str(reference);
	a.lease = span_str(name);
	a.instance = l->instance;
	a.born_s = l->born_s;
	if (l->state == LEASE_HELD && l->ends_ms > now)
		a.ends_s = (loop_unix_ms() + l->ends_ms - now) / 1000;
	a.renewals = l->renewals;
	a.tries = l->tries;
	a.trouble = span_str(l->trouble);
	return chan_answer(c, reqid, MSG_lease_item, &a);
}
