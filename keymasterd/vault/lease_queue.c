/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases that are to be revoked, until they are: OpenBao or its database may be away for
 * long. Runs in vault. What waits here is in the journal.
 */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <string.h>

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
on_nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static uint64_t
next_try(unsigned tries)
{
	uint32_t wait = bao_jitter(AGAIN_MIN_MS << (tries < 5 ? tries : 5));

	return loop_now_ms() + (wait < AGAIN_MAX_MS ? wait : AGAIN_MAX_MS);
}

/* Is one of this role being obtained? Then not all that there is is known. */
static bool
is_asked_for(const struct lease *l)
{
	const struct lease *other;

	TAILQ_FOREACH (other, &leases, entry)
		if (other->state == LEASE_ASKED && strcmp(other->path, l->path) == 0 &&
		    strcmp(other->ns, l->ns) == 0)
			return true;
	return false;
}

/* One that nobody knows of: OpenBao made it while we, or our connection, went. */
static void
on_id(struct lease *lost, const char *id)
{
	struct lease *l;

	if (is_asked_for(lost))
		return; /* looked at again */
	TAILQ_FOREACH (l, &leases, entry)
		if (strcmp(l->id, id) == 0)
			return;
	if ((l = lease_new()) == NULL)
		return;
	memcpy(l->run, lost->run, sizeof(l->run));
	memcpy(l->tenant, lost->tenant, sizeof(l->tenant));
	memcpy(l->ns, lost->ns, sizeof(l->ns));
	memcpy(l->path, lost->path, sizeof(l->path));
	(void)span_copy(span_str(id), l->id, sizeof(l->id));
	lease_token_use(l, lost->token);
	LOG_WARN("lease.unknown", LS("path", l->path), LU("lease", l->number));
	(void)evtimer_assign(&l->timer, loop_base(), on_nothing, NULL);
	lease_queue_put(l, 0);
}

static void
on_revoked(void *who, const struct lease_reply *r)
{
	struct lease *l = who;

	l->busy = false;
	if (r->result == LEASE_DONE && l->id[0] == '\0' && lease_bao_sweeps() &&
	    !l->swept) {
		if (is_asked_for(l)) {
			l->due_ms = loop_now_ms() + AGAIN_MIN_MS;
			lease_queue_run();
			return;
		}
		l->busy = true;
		l->swept = true;
		lease_bao_list(l, on_id, on_revoked);
		return;
	}
	if (r->result != LEASE_DONE || (l->swept && is_asked_for(l))) {
		l->swept = false;
		l->tries++;
		if ((l->tries & (l->tries - 1)) == 0) /* less and less often */
			LOG_WARN("lease.revoke", LU("lease", l->number),
			    LS("server", l->server), LS("why", r->why),
			    LU("tries", l->tries));
		snprintf(
		    l->trouble, sizeof(l->trouble), "%s", r->why != NULL ? r->why : "");
		lease_totals.failed++;
		l->due_ms = next_try(l->tries);
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
on_token_ended(void *who, const struct lease_reply *r)
{
	struct lease_token *t = who;

	t->busy = false;
	if (r->result == LEASE_DONE) {
		lease_journal_token(t, 1);
		lease_token_free(t);
	} else {
		t->due_ms = next_try(++t->tries);
	}
	lease_queue_run();
}

/* One whose id is not known goes with its token, when nothing else hangs on that. */
static bool
may_go(const struct lease *l)
{
	const struct lease *other;

	if (l->id[0] != '\0')
		return true;
	TAILQ_FOREACH (other, &leases, entry)
		if (other->token == l->token &&
		    (other->state != LEASE_ENDING || other->id[0] != '\0'))
			return false;
	return true;
}

/* The next step. False: none now; *next is when there may be one. */
static bool
step(uint64_t now, uint64_t *next)
{
	struct lease *l, *due = NULL;
	struct lease_token *t;
	unsigned n = 0;

	*next = UINT64_MAX;
	TAILQ_FOREACH (l, &leases, entry) {
		if (l->state != LEASE_ENDING)
			continue;
		n += l->busy;
		if (!l->busy && (due == NULL || l->due_ms < due->due_ms) && may_go(l))
			due = l;
	}
	if (n >= AT_ONCE)
		return false;
	if (due != NULL && due->due_ms <= now) {
		due->busy = true;
		if (due->id[0] != '\0')
			lease_bao_revoke(due, on_revoked);
		else
			lease_bao_end(due->token, due, on_revoked);
		return true;
	}
	if (due != NULL)
		*next = due->due_ms;
	TAILQ_FOREACH (t, &lease_tokens, entry) {
		uint64_t at = t->due_ms;

		if (t->users > 0 || t->asking || t->busy || t->accessor[0] == '\0')
			continue;
		if (lease_token_is_open(t) && drained == NULL)
			at = t->closes_ms;
		if (at <= now) {
			t->busy = t->closed = true;
			lease_bao_end(t, t, on_token_ended);
			return true;
		}
		*next = at < *next ? at : *next;
	}
	return false;
}

static bool
is_empty(void)
{
	const struct lease_token *t;

	TAILQ_FOREACH (t, &lease_tokens, entry)
		if (t->users == 0)
			return false;
	return lease_count(LEASE_ENDING) == 0;
}

void
lease_queue_run(void)
{
	static bool inside;
	uint64_t now = loop_now_ms(), next;

	if (inside) /* the loop below goes on */
		return;
	inside = true;
	while (step(now, &next))
		;
	inside = false;
	if (next != UINT64_MAX)
		set(next > now ? next - now : 0);
	if (drained != NULL && is_empty())
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
