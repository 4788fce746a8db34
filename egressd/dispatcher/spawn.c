/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers on demand: the judge says which credential is wanted, the master starts the
 * process. One attempt at a time for each credential, none for a while after crashes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "egressd/dispatcher/dispatcher.h"

#define SPAWN_TIMEOUT_MS 10000
#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 30000
#define FORGIVE_MS 60000 /* lived this long: earlier crashes do not count */
#define STARTING_MS 5000
#define FREE_CRASHES 2 /* started again at once after so many */

enum worker_state { WORKER_NONE, WORKER_STARTING, WORKER_RUNNING };

struct worker {
	TAILQ_ENTRY(worker) entry;
	char tenant[65], credential[129];
	enum worker_state state;
	uint32_t instance;
	unsigned crashes; /* in a row */
	uint64_t started_ms;
	uint64_t not_before_ms; /* after crashes */
	int wanted;             /* asked for while the old one was still there */
	int adopted; /* of an earlier dispatcher: only its door tells the end */
};

static TAILQ_HEAD(, worker) workers = TAILQ_HEAD_INITIALIZER(workers);
static unsigned nalive; /* starting and running */
static uint32_t limit;

static void start(struct worker *);

void
spawn_limit(uint32_t max_workers)
{
	limit = max_workers;
}

static void
tell_failed(const struct worker *w, const char *reason)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(worker_failed, m);

	LOG_WARN("worker.failed", LS("credential", w->credential), LS("reason", reason));
	m.tenant = span_str(w->tenant);
	m.credential = span_str(w->credential);
	m.reason = span_str(reason);
	if (judge != NULL)
		chan_note(judge, MSG_worker_failed, &m);
}

static void
worker_free(struct worker *w)
{
	TAILQ_REMOVE(&workers, w, entry);
	free(w);
}

/* It is not there any more, or never came to be. */
static void
gone(struct worker *w)
{
	if (w->state != WORKER_NONE)
		nalive--;
	w->state = WORKER_NONE;
	w->instance = 0;
	w->adopted = 0;
}

static void
crashed(struct worker *w)
{
	uint64_t now = loop_now_ms(), wait;
	unsigned n;

	if (now - w->started_ms > FORGIVE_MS)
		w->crashes = 0;
	n = ++w->crashes;
	if (n <= FREE_CRASHES) {
		w->not_before_ms = now;
		return;
	}
	n -= FREE_CRASHES + 1;
	wait = n > 6 ? BACKOFF_MAX_MS : (uint64_t)BACKOFF_MIN_MS << n;
	w->not_before_ms = now + (wait > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait);
}

static void
on_spawned(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	const struct msg_spawned *m = msg;
	struct worker *w = arg;
	char text[300];

	(void)c;
	if (status == CHAN_OK && m->code == 0) {
		w->state = WORKER_RUNNING;
		w->instance = m->instance;
		return;
	}
	gone(w);
	crashed(w);
	if (status == CHAN_OK)
		snprintf(text, sizeof(text), "cannot be started: %.*s",
		    (int)m->message.len, m->message.len > 0 ? m->message.p : "");
	else
		snprintf(
		    text, sizeof(text), "cannot be started: no answer of the master");
	tell_failed(w, text);
}

static void
start(struct worker *w)
{
	struct chan *master = proc_master();
	uint64_t now = loop_now_ms();
	char text[96];
	MSG_INIT(worker_spawn, m);

	w->wanted = 0;
	if (now < w->not_before_ms) {
		snprintf(text, sizeof(text),
		    "ended %u times in a row; next try in %llu s", w->crashes,
		    (unsigned long long)((w->not_before_ms - now + 999) / 1000));
		tell_failed(w, text);
		return;
	}
	if (limit != 0 && nalive >= limit) {
		tell_failed(w, "too many workers; raise egress.max_workers");
		return;
	}
	m.tenant = span_str(w->tenant);
	m.credential = span_str(w->credential);
	if (master == NULL ||
	    chan_ask(master, MSG_worker_spawn, &m, SPAWN_TIMEOUT_MS, on_spawned, w) ==
		0) {
		tell_failed(w, "the master cannot be asked");
		return;
	}
	w->state = WORKER_STARTING;
	w->started_ms = now;
	nalive++;
}

static struct worker *
worker_find(struct span tenant, struct span credential)
{
	struct worker *w;

	TAILQ_FOREACH (w, &workers, entry)
		if (span_eq(tenant, w->tenant) && span_eq(credential, w->credential))
			return w;
	return NULL;
}

static struct worker *
worker_add(struct span tenant, struct span credential)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL || span_copy(tenant, w->tenant, sizeof(w->tenant)) == -1 ||
	    span_copy(credential, w->credential, sizeof(w->credential)) == -1) {
		free(w);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&workers, w, entry);
	return w;
}

int
spawn_want(struct chan *judge, uint64_t reqid, void *msg)
{
	const struct msg_worker_want *m = msg;
	struct worker *w = worker_find(m->tenant, m->credential);

	(void)judge;
	(void)reqid;
	if (w == NULL && (w = worker_add(m->tenant, m->credential)) == NULL)
		return 0;
	/* one that runs and is wanted all the same is about to end */
	if (w->state == WORKER_NONE)
		start(w);
	else if (w->state == WORKER_RUNNING)
		w->wanted = 1;
	return 0;
}

void
spawn_door(uint32_t instance, const char *tenant, const char *credential)
{
	struct worker *w = worker_find(span_str(tenant), span_str(credential));

	if (w == NULL)
		w = worker_add(span_str(tenant), span_str(credential));
	if (w == NULL || w->state != WORKER_NONE)
		return;
	w->state = WORKER_RUNNING;
	w->instance = instance;
	w->started_ms = loop_now_ms();
	w->adopted = 1;
	nalive++;
}

void
spawn_door_gone(uint32_t instance)
{
	struct worker *w;

	TAILQ_FOREACH (w, &workers, entry)
		if (w->state == WORKER_RUNNING && w->instance == instance && w->adopted)
			break;
	if (w == NULL)
		return;
	gone(w);
	if (w->wanted)
		start(w);
	else
		worker_free(w);
}

int
spawn_exited(struct chan *master, uint64_t reqid, void *msg)
{
	const struct msg_child_exited *m = msg;
	struct worker *w;

	(void)master;
	(void)reqid;
	TAILQ_FOREACH (w, &workers, entry)
		if (w->state == WORKER_RUNNING && w->instance == m->instance)
			break;
	if (w == NULL)
		return 0;
	gone(w);
	if (m->status != 0)
		crashed(w);
	else
		w->crashes = 0;
	/* one that ended while it came up is still waited for */
	if (w->wanted || (m->status != 0 && loop_now_ms() - w->started_ms < STARTING_MS))
		start(w);
	else if (m->status == 0)
		worker_free(w);
	return 0;
}
