/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egressd-worker: the process that holds one credential of one tenant and speaks with its
 * upstreams. Asked by gates, with grants of the judge; trusts vault for the credential,
 * the judge for grants, and nobody else.
 */
#include <stdlib.h>
#include <string.h>

#include "common/grant.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/msg.h"
#include "common/proc.h"
#include "common/sandbox.h"
#include "common/secret.h"
#include "common/stats.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/exchange.h"
#include "egressd/worker/permit.h"
#include "egressd/worker/socket.h"
#include "egressd/worker/worker.h"

/* Two credentials (a rotation) of the longest kind, their automata and a request. */
#define ARENA_SIZE (3u * 1024 * 1024)
#define SWEEP_MS 100
#define LEAVE_MS 5000 /* how long we wait for the judge's word */

struct worker_conf worker_conf = {.ca_bundle = -1};
bool worker_leaving;

static uint64_t busy_ms;     /* when there was last something to do */
static uint64_t stop_due_ms; /* not 0: leave then, whatever is under way */
static bool asked_leave;

static int
take_conf(void *msg)
{
	struct msg_conf_egress *m = msg;

	worker_conf.connect_timeout_ms = m->connect_timeout_ms;
	worker_conf.idle_exit_ms = m->idle_exit_ms;
	worker_conf.keepalive_ms = m->keepalive_ms;
	worker_conf.max_idle = m->max_idle_upstream;
	worker_conf.ca_bundle = m->ca_bundle;
	m->ca_bundle = -1;
	return span_copy(m->ca_dir, worker_conf.ca_dir, sizeof(worker_conf.ca_dir));
}

static void
on_may_leave(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	const struct msg_worker_may_leave *m = msg;

	(void)c;
	(void)arg;
	asked_leave = false;
	if (status == CHAN_OK && m->yes)
		worker_leaving = true;
	else
		busy_ms = loop_now_ms();
}

/* Nothing to do for long: the judge knows whether that stays so. */
static void
ask_to_leave(uint64_t now)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(worker_leave, m);

	if (asked_leave || judge == NULL || worker_conf.idle_exit_ms == 0 ||
	    now - busy_ms < worker_conf.idle_exit_ms)
		return;
	asked_leave =
	    chan_ask(judge, MSG_worker_leave, &m, LEAVE_MS, on_may_leave, NULL) != 0;
}

/* After every turn: deadlines, every now and then, and the way out. */
static void
on_turn(void *arg)
{
	static uint64_t swept_ms;
	uint64_t now = loop_now_ms();

	(void)arg;
	if (exchange_count() > 0)
		busy_ms = now;
	if (now - swept_ms >= SWEEP_MS) {
		swept_ms = now;
		exchange_sweep(now);
		sockets_sweep();
		upstream_sweep(now);
		secret_fetch_sweep(now);
		if (!worker_leaving && stop_due_ms == 0)
			ask_to_leave(now);
	}
	if ((worker_leaving && exchange_count() == 0) ||
	    (stop_due_ms != 0 && now >= stop_due_ms))
		loop_stop();
}

static void
on_stop(uint32_t drain_ms)
{
	worker_leaving = true;
	stop_due_ms = loop_now_ms() + drain_ms + 1;
}

static void
vault_ready(struct chan *c, void *owner)
{
	(void)owner;
	/* at first the judge's key is the signal: what was fetched before may be old by
	 * then */
	if (grant_book_has_key(worker_grants))
		secret_fetch_start(c);
}

static void
judge_ready(struct chan *c, void *owner)
{
	(void)c;
	(void)owner;
	report_flush();
	worker_tell_ready(); /* why not, if that is known; else once its key is here */
}

static void
dispatcher_ready(struct chan *c, void *owner)
{
	(void)c;
	(void)owner;
	worker_tell_ready();
}

static void
judge_gone(struct chan *c, void *owner)
{
	(void)owner;
	exchange_gate_gone(c); /* webhooks that it wanted sent */
	worker_tell_ready();   /* there is nobody to tell: the next door is told again */
}

static void
gate_gone(struct chan *c, void *owner)
{
	(void)owner;
	exchange_gate_gone(c);
}

static void
enter(void)
{
	struct sandbox_path list[] = {
	    {worker_conf.ca_dir[0] != '\0' ? worker_conf.ca_dir : "/etc/ssl/certs",
		SANDBOX_READ | SANDBOX_MAYBE},
	    /* where hashed directories keep what their links lead to */
	    {"/usr/share/ca-certificates", SANDBOX_READ | SANDBOX_MAYBE},
	    {"/usr/local/share/ca-certificates", SANDBOX_READ | SANDBOX_MAYBE},
	};
	const struct sandbox_paths paths = {
	    .list = list, .n = sizeof(list) / sizeof(list[0])};

	proc_enter(&paths);
}

static void
numbers(struct buf *b)
{
	(void)metrics_put(b, METRIC_exchanges, NULL, exchange_count());
	(void)metrics_put(b, METRIC_upstream_opened, NULL, upstream_opened());
}

int
main(int argc, char **argv)
{
	static const struct proc_conf_row conf[] = {
	    {MSG_conf_egress, take_conf}, {0, NULL}};
	static const struct proc_peer_row peers[] = {
	    {ROLE_GATE, permit_worker_gate, NULL, NULL, gate_gone},
	    {ROLE_JUDGE, permit_worker_judge, NULL, judge_ready, judge_gone},
	    {ROLE_VAULT, permit_worker_vault, NULL, vault_ready, NULL},
	    {ROLE_DISPATCH, permit_worker_dispatch, NULL, dispatcher_ready, NULL},
	    {ROLE_NONE, NULL, NULL, NULL, NULL},
	};
	static const struct proc_serve serve = {.peers = peers, .on_stop = on_stop};
	const char *why;

	if (secret_zero_heap_install() == -1)
		fatalx("OpenSSL does not let its memory be wiped");
	proc_begin(ROLE_WORKER, argc, argv);
	proc_configure(conf);
	if (secret_init(ARENA_SIZE) == -1)
		fatal("no memory for secrets");
	if (exchange_init(&why) == -1)
		fatalx("%s", why);
	worker_grants = grant_book_new();
	if (worker_grants == NULL)
		fatalx("out of memory");
	enter();
	stats_source(numbers);
	loop_on_turn(on_turn, NULL);
	busy_ms = loop_now_ms();
	proc_serve(&serve);
	return 0;
}
