/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases that are to be revoked, until they are: OpenBao or its database may be away for
 * long. Runs in vault. What waits here is in the journal.
 */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>

#include "common/log.h"
#include "common/loop.h"
#include "keymasterd/vault/bao_login.h"
#include "keymasterd/vault/lease.h"
#include "keymasterd/vault/lease_bao.h"
#include "keymasterd/vault/lease_journal.h"
#include "keymasterd/vault/lease_report.h"
#include "keymasterd/vault/lease_table.h"

#define AT_ONCE 3 /* of four connections: others have work, too */
#define AGAIN_MIN_MS 250
#define AGAIN_MAX_MS 5000

static struct event timer, drain_timer;
static void (*drained)(void);

static void
on_drained(evutil_socket_t fd, short what, void *arg)
{
	void (*done)(void) = drained;

	(void)fd;
	(void)what;
	(void)arg;
	drained = NULL;
	if (done != NULL)
		done();
}

static void
set(uint64_t ms)
{
	const struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

	event_del(&timer);
	if (evtimer_add(&timer, &tv) == -1)
		LOG_ERROR("lease.timer", LS("error", "no memory"));
}

static void
again(struct lease *l, const struct lease_reply *r)
{
	uint32_t wait = bao_jitter(AGAIN_MIN_MS << (l->tries < 5 ? l->tries : 5));

	l->tries++;
	if ((l->tries & (l->tries - 1)) == 0) /* less and less often */
		LOG_WARN("lease.revoke", LU("lease", l->number), LS("server", l->server),
		    LS("why", r->why), LU("tries", l->tries));
	snprintf(l->trouble, sizeof(l->trouble), "%s", r->why != NULL ? r->why : "");
	lease_totals.failed++;
	l->due_ms = loop_now_ms() + (wait < AGAIN_MAX_MS ? wait : AGAIN_MAX_MS);
}

static void step(struct lease *);

static void
on_ended(struct lease *l, const struct lease_reply *r)
{
	l->busy = false;
	if (r->result != LEASE_DONE) {
		again(l, r);
	} else if (!l->revoked && l->id[0] != '\0') {
		l->revoked = true; /* its token is left */
		step(l);
		return;
	} else {
		LOG_INFO("lease.revoke", LU("lease", l->number), LS("server", l->server),
		    LS("execution", l->execution), LS("path", l->path));
		lease_report(l, ACCESS_REVOKE, VAULT_OK, NULL);
		lease_totals.revoked++;
		lease_journal_drop(l);
		lease_free(l);
	}
	lease_report_changed();
	lease_queue_run();
}

static void
step(struct lease *l)
{
	l->busy = true;
	if (l->id[0] != '\0' && !l->revoked)
		lease_bao_revoke(l, on_ended);
	else
		lease_bao_end(l, on_ended);
}

void
lease_queue_run(void)
{
	static bool inside;
	uint64_t now = loop_now_ms(), next;
	struct lease *l, *due;
	unsigned n, left;

	if (inside)
		return;
	inside = true;
	do {
		n = left = 0;
		next = UINT64_MAX;
		due = NULL;
		TAILQ_FOREACH (l, &leases, entry) {
			if (l->state != LEASE_ENDING)
				continue;
			left++;
			n += l->busy;
			if (!l->busy && (due == NULL || l->due_ms < due->due_ms))
				due = l;
		}
		if (due == NULL || n >= AT_ONCE)
			break;
		if (due->due_ms > now) {
			next = due->due_ms - now;
			break;
		}
		step(due);
	} while (1);
	inside = false;
	if (next != UINT64_MAX)
		set(next);
	if (left == 0 && drained != NULL)
		on_drained(-1, 0, NULL);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	lease_queue_run();
}

void
lease_queue_put(struct lease *l, uint32_t wait_ms)
{
	event_del(&l->timer);
	lease_wipe(l);
	l->state = LEASE_ENDING;
	l->tries = 0;
	l->due_ms = loop_now_ms() + wait_ms;
	(void)lease_journal_put(l, 0);
	lease_report_changed();
	set(wait_ms);
}

void
lease_again(void)
{
	struct lease *l;

	TAILQ_FOREACH (l, &leases, entry)
		if (l->state == LEASE_ENDING && l->tries > 0)
			l->due_ms = loop_now_ms();
	lease_queue_run();
}

void
lease_drain(uint32_t ms, void (*done)(void))
{
	const struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

	drained = done;
	(void)evtimer_assign(&drain_timer, loop_base(), on_drained, NULL);
	(void)evtimer_add(&drain_timer, &tv);
	lease_queue_run();
}

void
lease_queue_start(void)
{
	(void)evtimer_assign(&timer, loop_base(), on_timer, NULL);
}

void
lease_queue_close(void)
{
	event_del(&timer);
}
