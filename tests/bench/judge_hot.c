/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What deciding costs, and what of it the ledger: proxied requests through
 * proxy_authorize() and their completions through redeemer_done(), without sockets
 * (answers are encoded and thrown away). Blocks of requests in turns with their rows and
 * without: the linker puts __wrap_ledger_append() in the place of ledger_append(), here
 * and nowhere else. Usage: judge_hot [requests of each kind] [requests a turn]. Prints
 * JSON, microseconds of CPU a request. Not part of make check.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/loop.h"
#include "common/proto.h"
#include "common/secret.h"
#include "keymasterd/judge/authorize.h"
#include "keymasterd/judge/flight.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger_file.h"
#include "keymasterd/judge/ledger_sync.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/redeemer.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/turn.h"

#define TOKEN "aegis_00000000-0000-4000-8000-000000000000_0123456789abcdef"

struct judge_conf judge_conf;
struct store *judge_store;
int judge_stopping;
struct judge_keys judge_keys;

uint64_t
judge_born_ms(void)
{
	return 0;
}

#define BLOCK 4096

static int rows_on;

int __real_ledger_append(const struct ledger_row *, uint64_t *);
int __wrap_ledger_append(const struct ledger_row *, uint64_t *);

int
__wrap_ledger_append(const struct ledger_row *row, uint64_t *seq)
{
	return rows_on ? __real_ledger_append(row, seq) : 0;
}

static double
cpu(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
registry_fill(struct span token)
{
	struct store_agent a = {.id = "agent-1",
	    .tenant = "default",
	    .name = "research-bot",
	    .proc_uid = -1,
	    .rate_limit = "1000000/sec"};
	struct store_credential c = {.id = "credential-1",
	    .tenant = "default",
	    .name = "slack-bot",
	    .service = "slack",
	    .domains = "api.slack.com",
	    .scopes = "*",
	    .auth_type = "bearer"};
	struct store_token t = {.tenant = "default", .agent_id = "agent-1"};

	judge_sha256(token.p, token.len, t.hash);
	if (store_agent_put(judge_store, &a) != 0 ||
	    store_credential_put(judge_store, &c) != 0 ||
	    store_token_put(judge_store, &t) != 0 ||
	    store_grant_put(judge_store, "default", "agent-1", "credential-1", 1) != 0 ||
	    store_commit(judge_store) != 0 || registry_load() != 0)
		exit(1);
}

static struct chan *
door(enum role role, struct redeemer **r)
{
	struct chan_conf conf = {
	    .own_role = ROLE_JUDGE, .peer_role = role, .max_open = 100000000};
	struct chan *c;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1)
		exit(1);
	c = chan_new(loop_base(), sv[0], &conf);
	if (r != NULL) {
		*r = worker_peer(c, 5, "default", "slack-bot");
		chan_owner_set(c, *r);
		(*r)->key = secret_new_random(32);
	}
	return c;
}

struct hot {
	struct chan *gate;
	struct redeemer *r;
	unsigned turn;
};

/* About BLOCK requests; adds what they took. Returns how many. */
static unsigned
block(struct hot *h, double *decision, double *completion)
{
	double start;
	unsigned n, k;
	MSG_INIT(proxy_authorize, m);
	MSG_INIT(done, d);

	m.peer = span_str("127.0.0.1");
	m.token = span_str(TOKEN);
	m.method = span_str("POST");
	m.target = span_str("/slack/api/chat.postMessage?channel=C012345");
	m.headers = span_str(
	    "accept: */*\r\nuser-agent: python-httpx/0.27\r\n"
	    "content-type: application/json\r\naccept-encoding: gzip, deflate\r\n");
	m.body_len = 120;
	d.outcome = OUTCOME_OK;
	d.status = 200;
	/* the queue of answers would grow: a new gate for each block */
	h->gate = door(ROLE_GATE, NULL);
	for (n = 0; n < BLOCK; n += h->turn) {
		start = cpu(CLOCK_THREAD_CPUTIME_ID);
		for (k = 0; k < h->turn; k++)
			(void)proxy_authorize(h->gate, n + k + 1, &m);
		turn_end(NULL);
		*decision += cpu(CLOCK_THREAD_CPUTIME_ID) - start;
		if (h->r->live != h->turn) {
			fprintf(stderr, "requests are refused\n");
			exit(1);
		}
		start = cpu(CLOCK_THREAD_CPUTIME_ID);
		for (k = 0; k < h->turn && !TAILQ_EMPTY(&h->r->flights); k++) {
			memcpy(d.request_id, TAILQ_FIRST(&h->r->flights)->request_id, 16);
			memcpy(d.grant, TAILQ_FIRST(&h->r->flights)->grant, 16);
			(void)redeemer_done(h->r->chan, 0, &d);
		}
		turn_end(NULL);
		*completion += cpu(CLOCK_THREAD_CPUTIME_ID) - start;
	}
	chan_drop(h->gate, "bench");
	chans_flush();
	return n;
}

int
main(int argc, char **argv)
{
	unsigned total = argc > 1 ? (unsigned)atoi(argv[1]) : 200000, n[2] = {0, 0};
	char dir[] = "/tmp/aegis-bench-XXXXXX", path[96], err[256], command[64];
	double decision[2] = {0, 0}, completion[2] = {0, 0}, began, others;
	struct hot h = {.turn = argc > 2 ? (unsigned)atoi(argv[2]) : 16};
	MSG_INIT(redeemer_ready, ready);

	if (h.turn == 0 || mkdtemp(dir) == NULL || loop_init() == -1 ||
	    secret_init(0) == -1)
		return 1;
	snprintf(path, sizeof(path), "%s/judge.db", dir);
	judge_store = store_open(path, 0, err, sizeof(err));
	if (judge_store == NULL || store_helper_start(judge_store) == -1 ||
	    ledger_dir_open(dir, err, sizeof(err)) == -1 || ledger_sync_start() == -1 ||
	    ledger_open(judge_store, "default", 0, err, sizeof(err)) == -1)
		return 1;
	judge_conf.require_agent_auth = 1;
	judge_conf.max_connections_per_agent = 1000000;
	judge_conf.max_body_bytes = 1 << 20;
	judge_conf.request_timeout_ms = 30000;
	snprintf(judge_conf.tenant, sizeof(judge_conf.tenant), "default");
	registry_fill(span_str(TOKEN));
	(void)redeemer_ready(door(ROLE_WORKER, &h.r), 0, &ready);
	rows_on = 1;
	(void)block(&h, &decision[0], &completion[0]); /* warm */
	decision[0] = completion[0] = 0;
	began = cpu(CLOCK_PROCESS_CPUTIME_ID) - cpu(CLOCK_THREAD_CPUTIME_ID);
	while (n[1] < total) {
		rows_on = !rows_on;
		n[rows_on] += block(&h, &decision[rows_on], &completion[rows_on]);
	}
	/* what the thread that calls fdatasync() took */
	others = cpu(CLOCK_PROCESS_CPUTIME_ID) - cpu(CLOCK_THREAD_CPUTIME_ID) - began;
	printf("{\"requests\":%u,\"turn\":%u,\"decision\":%.2f,\"completion\":%.2f,"
	       "\"decision_off\":%.2f,\"completion_off\":%.2f,\"sync\":%.2f,"
	       "\"row\":%.2f}\n",
	    n[1], h.turn, decision[1] / n[1] * 1e6, completion[1] / n[1] * 1e6,
	    decision[0] / n[0] * 1e6, completion[0] / n[0] * 1e6, others / n[1] * 1e6,
	    ((decision[1] + completion[1] + others) / n[1] -
		(decision[0] + completion[0]) / n[0]) /
		2 * 1e6);
	ledger_close();
	store_close(judge_store);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}
