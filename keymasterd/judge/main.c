/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keymasterd-judge: decides what agents may do and writes it to the ledger first. It
 * parses what agents wrote, so it holds no credential and no signing key, and opens no
 * socket; its files are the database, the ledger's and nothing else.
 */
#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/proto.h"
#include "common/sandbox.h"
#include "common/secret.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/admin_credential.h"
#include "keymasterd/judge/data_api.h"
#include "keymasterd/judge/flight.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/hook_test.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/mcp.h"
#include "keymasterd/judge/ledger_file.h"
#include "keymasterd/judge/ledger_sync.h"
#include "keymasterd/judge/peers.h"
#include "keymasterd/judge/permit.h"
#include "keymasterd/judge/policies.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/sealed.h"
#include "keymasterd/judge/socket.h"
#include "keymasterd/judge/trust.h"
#include "keymasterd/judge/turn.h"
#include "keymasterd/judge/user.h"
#include "keymasterd/judge/waiting.h"

#define TICK_MS 100
#define TICKS_SECOND (1000 / TICK_MS)
#define SAVE_SECONDS 5
#define PURGE_SECONDS 60
#define STOP_MS 3000
#define VAULT_WAIT_MS 1000 /* of that, when it is stopped before it has met vault */

struct judge_conf judge_conf;
struct store *judge_store;
int judge_stopping;

static uint64_t stop_at_ms, born_ms;
static bool unsigned_end; /* the last checkpoint waits for vault */

static struct { /* the person at the terminal, when it is one */
	int asked, shown;
	uint8_t hash[STORE_HASH_LEN];
} starter;

static int
text_copy(struct span s, char *out, size_t size)
{
	return span_copy(s, out, size);
}

static uint32_t
or_default(uint32_t v, uint32_t d)
{
	return v != 0 ? v : d;
}

int
judge_conf_read(const struct msg_conf_judge *m, struct judge_conf *c)
{
	c->admin_uid = m->admin_uid;
	c->require_agent_auth = m->require_agent_auth;
	c->ledger_sync = m->ledger_sync;
	c->max_connections_per_agent = or_default(m->max_connections_per_agent, 50);
	c->max_body_bytes = m->max_body_bytes;
	c->request_timeout_ms = or_default(m->request_timeout_ms, 30000);
	c->websocket_idle_ms = or_default(m->websocket_idle_ms, 300000);
	c->checkpoint_rows = or_default(m->checkpoint_rows, 1000);
	c->checkpoint_seconds = or_default(m->checkpoint_seconds, 60);
	c->seal_window_s = or_default(m->seal_window_s, 30);
	c->seal_calls_per_second = m->seal_calls_per_second;
	c->seal_token_ttl_s = or_default(m->seal_token_ttl_s, 3600);
	c->seal_compat_spaced = m->seal_compat_spaced;
	c->seal_jti_once = m->seal_jti_once;
	c->seal_leeway_s = m->seal_leeway_s;
	c->cluster = m->cluster;
	c->cluster_per_minute = or_default(m->cluster_per_minute, 30);
	c->hook_attempts = or_default(m->hook_attempts, 12);
	c->metrics = m->metrics;
	c->metrics_auth = m->metrics_auth;
	c->attest_per_minute = or_default(m->attest_per_minute, 10);
	return text_copy(m->issuer, c->issuer, sizeof(c->issuer)) == -1 ||
		text_copy(m->audience, c->audience, sizeof(c->audience)) == -1 ||
		text_copy(m->gate_url, c->gate_url, sizeof(c->gate_url)) == -1
	    ? -1
	    : 0;
}

static int
on_conf(void *msg)
{
	const struct msg_conf_judge *m = msg;

	vault_sealed = m->sealed != 0;
	return judge_conf_read(msg, &judge_conf);
}

static int
keep_hash(const void *p, size_t len, void *arg)
{
	(void)arg;
	starter.shown = len > 0;
	judge_sha256(p, len, starter.hash);
	return 0;
}

static int
on_starter(void *msg)
{
	const struct msg_conf_starter *m = msg;

	starter.asked = 1;
	return secret_use(m->token, keep_hash, NULL);
}

/* May whoever starts the gate do that? */
static void
check_starter(void)
{
	struct ledger_row row = {
	    .kind = LEDGER_SYSTEM, .event = span_str("start.denied")};
	const char *denied;
	char text[160];
	struct user *who;

	if (!starter.asked)
		return;
	denied = user_denied(judge_conf.tenant, starter.shown ? starter.hash : NULL,
	    PERM_GATE_START, &who, text, sizeof(text));
	if (denied == NULL)
		return;
	row.reason = span_str(denied);
	(void)ledger_append(&row, NULL);
	turn_end(NULL);
	fatalx("%s", denied);
}

/* In the box, as the judge's own user, before system calls are fewer. */
static void
open_files(void)
{
	char path[1100], err[512];

	/* first the ledger: it has the lock that keeps a second judge out */
	if (ledger_dir_open(proc_self.dir, err, sizeof(err)) == -1)
		fatalx("%s", err);
	snprintf(path, sizeof(path), "%s/judge.db", proc_self.dir);
	judge_store = store_open(path, judge_conf.ledger_sync, err, sizeof(err));
	if (judge_store == NULL)
		fatalx("%s", err);
	if (store_helper_start(judge_store) == -1 || ledger_sync_start() == -1)
		fatal("the helper threads could not be started");
}

uint64_t
judge_born_ms(void)
{
	return born_ms;
}

static void
reload(void *arg)
{
	(void)arg;
	if (registry_load() == 0 && users_load() == 0)
		return;
	/* memory and database differ: better no judge than one that decides by that */
	LOG_ERROR("registry.load", LS("error", store_error(judge_store)));
	loop_stop();
}

static void
begin(void)
{
	char err[512];

	if (ledger_open(judge_store, judge_conf.tenant, judge_conf.ledger_sync, err,
		sizeof(err)) == -1)
		fatalx("%s", err);
	if (registry_load() == -1 || users_load() == -1 || windows_load() == -1)
		fatalx("the database cannot be read: %s", store_error(judge_store));
	if (hook_load() == -1)
		fatalx("the webhooks cannot be read: %s", store_error(judge_store));
	if (seal_init() == -1)
		fatalx("sessions and SecurityContexts could not be loaded");
	born_ms = loop_now_ms();
	turn_on_rollback(reload, NULL);
	loop_on_turn(turn_end, NULL);
	chan_news_hook(turn_catch_up);
	check_starter();
	ledger_start_row(NULL);
	policies_started();
	if (seal_started() == -1)
		fatalx("the database cannot be written: %s", store_error(judge_store));
}

static void
on_last_checkpoint(int status, const char *message, void *arg)
{
	(void)arg;
	unsigned_end = status != 0 && proc_peer(ROLE_VAULT) == NULL &&
	    loop_now_ms() + STOP_MS < stop_at_ms + VAULT_WAIT_MS;
	if (unsigned_end)
		return; /* the next tick tries again */
	if (status != 0)
		LOG_WARN("stop.checkpoint", LS("error", message));
	loop_stop();
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	static unsigned ticks;

	(void)fd;
	(void)what;
	(void)arg;
	waiting_tick();
	hook_tick();
	hook_test_tick();
	if (judge_stopping && loop_now_ms() >= stop_at_ms)
		loop_stop();
	if (unsigned_end) {
		unsigned_end = false;
		ledger_checkpoint(on_last_checkpoint, NULL);
	}
	if (++ticks % TICKS_SECOND != 0)
		return;
	ledger_tick(loop_now_ms());
	flight_tick();
	socket_tick();
	seal_tick(judge_now_ms());
	mcp_session_tick();
	credential_grace_tick();
	data_feeds_tick();
	if (ticks % (TICKS_SECOND * SAVE_SECONDS) == 0)
		windows_save();
	if (ticks % (TICKS_SECOND * PURGE_SECONDS) == 0) {
		tokens_purge(judge_now_ms());
		policy_windows_sweep();
	}
}

static void
on_stop(uint32_t drain_ms)
{
	(void)drain_ms; /* the gates have drained already, or are about to be refused */
	if (judge_stopping)
		return;
	judge_stopping = 1;
	stop_at_ms = loop_now_ms() + STOP_MS;
	windows_save();
	ledger_stop_row(flight_count() == 0 ? NULL : "with requests still under way");
	ledger_checkpoint(on_last_checkpoint, NULL);
}

int
main(int argc, char **argv)
{
	static const struct proc_conf_row rows[] = {
	    {MSG_conf_judge, on_conf},
	    {MSG_conf_starter, on_starter},
	    {MSG_conf_context, seal_conf_context},
	    {MSG_conf_tool, seal_conf_tool},
	    {MSG_conf_issuer, trust_conf_issuer},
	    {MSG_conf_issuer_key, trust_conf_key},
	    {MSG_conf_mcp, mcp_configure},
	    {MSG_conf_webhook, hook_configure},
	    {MSG_policy_begin, policies_conf_begin},
	    {MSG_policy_zone, policies_conf_zone},
	    {MSG_policy_add, policies_conf_add},
	    {MSG_policy_commit, policies_conf_commit},
	    {0, NULL},
	};
	static const struct proc_serve serve = {
	    judge_peers, admin_listen, on_stop, permit_judge_master};
	struct sandbox_path dir = {proc_self.dir, SANDBOX_READ | SANDBOX_WRITE};
	struct sandbox_paths paths = {.list = &dir, .n = 1, .start_threads = open_files};
	struct timeval tv = {.tv_usec = TICK_MS * 1000};
	struct event *tick;

	proc_begin(ROLE_JUDGE, argc, argv);
	/* tables that grew go back to the system when they are replaced; libc would raise
	 * this by itself and keep them */
	(void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of the write */
	proc_configure(rows);
	snprintf(judge_conf.tenant, sizeof(judge_conf.tenant), "%s",
	    proc_self.tenant[0] != '\0' ? proc_self.tenant : "default");
	if (secret_init(0) == -1)
		fatal("no memory for grant keys");
	if (chans_patient_init() == -1)
		fatal("epoll");
	proc_enter(&paths);
	begin();
	tick = event_new(loop_base(), -1, EV_PERSIST, on_tick, NULL);
	if (tick == NULL || event_add(tick, &tv) == -1)
		fatalx("no timer");
	proc_on_violation(peer_violation);
	proc_serve(&serve);
	ledger_close();
	store_close(judge_store);
	return 0;
}
