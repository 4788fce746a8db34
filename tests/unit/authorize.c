/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real keymasterd-judge, boxed, under a test that plays master, gate, vault,
 * dispatcher, worker and administrator. The program is ./keymasterd-judge, or what
 * JUDGE_PROGRAM names.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <signal.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/grant.h"
#include "common/loop.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/secret.h"
#include "common/sync.h"

#define WAIT_MS 10000
#define UID 61998

static char dir[64];
static pid_t pid;
static int err_fd = -1;
static struct grant_book *book; /* of the worker that was there last */
static struct sync master, gate, vault, dispatch, worker, admin;
static char text[65536];
static char token[128];

/* -- the parts of a master that are needed -- */

static void
launch(int require_auth)
{
	const char *program = getenv("JUDGE_PROGRAM");
	int sv[2], err[2];
	MSG_INIT(conf_common, c);
	MSG_INIT(conf_judge, j);
	MSG_INIT(conf_done, d);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
	ck_assert_int_gt(fcntl(err[0], F_SETPIPE_SZ, 1 << 20), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int end = fcntl(sv[1], F_DUPFD, 10);

		/* in its box a sanitizer cannot look for leaks */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 0);
		dup2(err[1], 2);
		if (dup2(end, 3) == 3)
			execl(program != NULL ? program : "./keymasterd-judge",
			    "keymasterd: judge", (char *)NULL);
		_exit(127);
	}
	close(sv[1]);
	close(err[1]);
	err_fd = err[0];
	ck_assert_int_eq(sync_hello(&master, sv[0], ROLE_MASTER, ROLE_JUDGE, WAIT_MS), 0);
	c.instance = 2;
	c.name = span_str("judge");
	c.tenant = span_str("default");
	c.uid = c.gid = UID;
	c.dir = span_str(dir);
	ck_assert_int_eq(sync_send(&master, MSG_conf_common, &c, 0), 0);
	j.admin_uid = (uint32_t)geteuid();
	j.require_agent_auth = (uint8_t)require_auth;
	j.max_connections_per_agent = 4;
	j.max_body_bytes = 1000;
	j.request_timeout_ms = 30000;
	j.checkpoint_rows = 100000;
	j.checkpoint_seconds = 3600;
	j.issuer = span_str("aegis");
	j.audience = span_str("aegis-agents");
	ck_assert_int_eq(sync_send(&master, MSG_conf_judge, &j, 0), 0);
	ck_assert_int_eq(sync_send(&master, MSG_conf_done, &d, 0), 0);
}

static void
door(struct sync *s, enum role role, uint32_t instance, const char *name)
{
	int sv[2];
	MSG_INIT(peer, m);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	m.role = (uint8_t)role;
	m.instance = instance;
	m.tenant = span_str("default");
	m.name = span_str(name);
	m.fd = sv[1];
	ck_assert_int_eq(sync_send(&master, MSG_peer, &m, 0), 0);
	ck_assert_int_eq(sync_hello(s, sv[0], role, ROLE_JUDGE, WAIT_MS), 0);
}

static void
admin_door(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	socklen_t len;
	int fd, conn;
	MSG_INIT(listen, m);

	/* an abstract name that the kernel chooses */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun.sun_family)), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	len = sizeof(sun);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sun, &len), 0);
	m.kind = LISTEN_ADMIN;
	m.fd = fd;
	ck_assert_int_eq(sync_send(&master, MSG_listen, &m, 0), 0);
	conn = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(conn, (struct sockaddr *)&sun, len), 0);
	ck_assert_int_eq(sync_hello(&admin, conn, ROLE_ADMIN, ROLE_JUDGE, WAIT_MS), 0);
}

static void
expect(struct sync *s, unsigned type)
{
	ck_assert_int_eq(sync_recv(s, WAIT_MS), 0);
	ck_assert_msg(s->desc->type == type, "got %s", s->desc->name);
}

static void
up(int require_auth)
{
	MSG_INIT(vault_key_set, k);

	launch(require_auth);
	expect(&master, MSG_ready);
	door(&gate, ROLE_GATE, 10, "");
	door(&dispatch, ROLE_DISPATCH, 4, "");
	door(&vault, ROLE_VAULT, 3, "");
	expect(&vault, MSG_vault_keys);
	k.token_kid = span_str("t1");
	k.ledger_kid = span_str("l1");
	ck_assert_int_eq(sync_send(&vault, MSG_vault_key_set, &k, vault.head.reqid), 0);
	admin_door();
	expect(&master, MSG_serving);
}

static void
hang_up(struct sync *s)
{
	sync_done(s);
	if (s->fd > 0)
		close(s->fd);
	memset(s, 0, sizeof(*s));
}

static int
down(void)
{
	int status;
	size_t n = 0;
	ssize_t got;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	while (n + 1 < sizeof(text) &&
	    (got = read(err_fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(err_fd);
	hang_up(&master);
	hang_up(&gate);
	hang_up(&vault);
	hang_up(&dispatch);
	hang_up(&worker);
	hang_up(&admin);
	return status;
}

/* The judge asks vault to sign the head before it goes. */
static void
stop(void)
{
	int status;
	MSG_INIT(stop, m);
	MSG_INIT(checkpoint_signed, a);

	ck_assert_int_eq(sync_send(&master, MSG_stop, &m, 0), 0);
	expect(&vault, MSG_checkpoint_sign);
	a.kid = span_str("l1");
	ck_assert_int_eq(
	    sync_send(&vault, MSG_checkpoint_signed, &a, vault.head.reqid), 0);
	status = down();
	ck_assert_msg(
	    WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d\n%s", status, text);
	ck_assert_ptr_null(strstr(text, "level=error"));
	ck_assert_ptr_null(strstr(text, token));
}

static void
die(void)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	(void)down();
}

static void
setup(void)
{
	ck_assert_int_ne(sodium_init(), -1);
	snprintf(dir, sizeof(dir), "/tmp/aegis-judged-XXXXXX");
	snprintf(token, sizeof(token), "unset");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	if (geteuid() == 0)
		ck_assert_int_eq(chown(dir, UID, UID), 0);
}

static void
teardown(void)
{
	char command[128];

	grant_book_free(book);
	book = NULL;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* The ledger's only file. */
static int
ledger_file(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/ledger/00000000000000000001.jsonl", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static sqlite3 *
database(void)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/judge.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

/* -- administration -- */

static char result[8192]; /* of the last admin question */
static char complaint[1200];
static unsigned rows;
static char last_row[8192];

static void
on_row(const struct msg_desc *d, void *msg, void *arg)
{
	const struct msg_admin_row *m = msg;

	(void)arg;
	ck_assert_int_eq(d->type, MSG_admin_row);
	ck_assert_int_eq(span_copy(m->json, last_row, sizeof(last_row)), 0);
	rows++;
}

static uint32_t
admin_read_answer(void)
{
	const struct msg_admin_done *a = (const void *)&admin.msg;

	ck_assert_int_eq(admin.desc->type, MSG_admin_done);
	ck_assert_int_eq(span_copy(a->json, result, sizeof(result)), 0);
	ck_assert_int_eq(span_copy(a->message, complaint, sizeof(complaint)), 0);
	return a->code;
}

static uint32_t
admin_ask(enum msg_type type, void *msg)
{
	rows = 0;
	ck_assert_int_eq(sync_ask(&admin, type, msg, WAIT_MS, on_row, NULL), 0);
	return admin_read_answer();
}

static struct span sealed_domains_expected;

/* Plays vault for one seal; answers code. */
#define OFFER 0x5a /* each octet of what the administrator has from vault */

static void
vault_seals(uint32_t code, int replace)
{
	const struct msg_credential_seal *m = (const void *)&vault.msg;
	uint8_t offer[16];
	MSG_INIT(vault_done, a);

	expect(&vault, MSG_credential_seal);
	ck_assert_int_eq(m->replace, replace);
	if (sealed_domains_expected.p != NULL)
		ck_assert(m->domains.len == sealed_domains_expected.len &&
		    memcmp(m->domains.p, sealed_domains_expected.p, m->domains.len) == 0);
	memset(offer, OFFER, sizeof(offer));
	ck_assert_mem_eq(m->offer, offer, sizeof(offer));
	a.code = code;
	if (code != 0)
		a.message = span_str("vault says no");
	ck_assert_int_eq(sync_send(&vault, MSG_vault_done, &a, vault.head.reqid), 0);
}

struct cred_args {
	const char *name, *service, *domains, *scopes, *rate, *upstream, *header_name,
	    *auth;
};

static uint64_t
credential_send(struct cred_args a)
{
	MSG_INIT(credential_add, m);

	m.name = span_str(a.name);
	m.service = span_str(a.service);
	m.domains = span_str(a.domains);
	m.scopes = span_str(a.scopes);
	m.rate_limit = span_str(a.rate);
	m.upstream = span_str(a.upstream);
	m.header_name = span_str(a.header_name);
	m.auth_type = span_str(a.auth);
	memset(m.offer, OFFER, sizeof(m.offer));
	ck_assert_int_eq(sync_send(&admin, MSG_credential_add, &m, ++admin.reqid), 0);
	return admin.reqid;
}

static void
credential_make(struct cred_args a)
{
	(void)credential_send(a);
	vault_seals(0, 0);
	expect(&admin, MSG_admin_done);
	ck_assert_msg(admin_read_answer() == 0, "%s", complaint);
}

/* An add that is refused before vault is asked. */
static void
credential_bad(struct cred_args a, const char *says)
{
	(void)credential_send(a);
	expect(&admin, MSG_admin_done);
	ck_assert_int_eq(admin_read_answer(), ADMIN_REFUSED);
	ck_assert_msg(strstr(complaint, says) != NULL, "%s", complaint);
}

static void
token_from_result(void)
{
	char *p = strstr(result, "\"token\":\"");

	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(sscanf(p + 9, "%127[^\"]", token), 1);
	ck_assert_int_eq(strncmp(token, "aegis_", 6), 0);
	ck_assert_uint_eq(strlen(token), 6 + 36 + 1 + 16);
}

static void
agent_make(const char *name, const char *rate)
{
	MSG_INIT(agent_add, m);

	m.name = span_str(name);
	m.rate_limit = span_str(rate);
	ck_assert_msg(admin_ask(MSG_agent_add, &m) == 0, "%s", complaint);
	token_from_result();
}

static void
agent_may(const char *name, const char *credential, int revoke)
{
	MSG_INIT(agent_grant, m);

	m.agent = span_str(name);
	m.credential = span_str(credential);
	m.revoke = (uint8_t)revoke;
	ck_assert_msg(admin_ask(MSG_agent_grant, &m) == 0, "%s", complaint);
}

/* -- asking as the gate -- */

struct asking {
	const char *token, *method, *target, *host;
	uint64_t body_len;
};

static const struct msg_decision *answer = (const void *)&gate.msg;
static char body[49153];

static void
gate_send(struct asking a)
{
	MSG_INIT(proxy_authorize, m);

	m.peer = span_str("127.0.0.1");
	m.token = span_str(a.token);
	m.method = span_str(a.method != NULL ? a.method : "GET");
	m.target = span_str(a.target);
	m.has_target_host = a.host != NULL;
	m.target_host = span_str(a.host);
	m.headers = span_str("accept: */*\r\n");
	m.body_len = a.body_len;
	ck_assert_int_eq(sync_send(&gate, MSG_proxy_authorize, &m, ++gate.reqid), 0);
}

static void
gate_read(void)
{
	expect(&gate, MSG_decision);
	ck_assert_int_eq(span_copy(answer->body, body, sizeof(body)), 0);
}

static void
refused(struct asking a, unsigned status, const char *error)
{
	struct json_doc j;
	char got[256];

	gate_send(a);
	gate_read();
	ck_assert_int_eq(answer->verdict, VERDICT_ANSWER);
	ck_assert_msg(answer->status == status, "%u %s", answer->status, body);
	json_init(&j);
	ck_assert_int_eq(json_parse(&j, body, strlen(body), NULL), JSON_OK);
	ck_assert_int_eq(
	    json_str_copy(&j, json_get(&j, 0, "error"), got, sizeof(got), NULL), 0);
	ck_assert_str_eq(got, error);
	json_free(&j);
}

static void
worker_up(const char *name)
{
	MSG_INIT(redeemer_ready, m);
	struct msg_grant_key *k = (void *)&worker.msg;

	door(&worker, ROLE_WORKER, 77, name);
	expect(&worker, MSG_grant_key);
	grant_book_free(book);
	book = grant_book_new();
	grant_book_key_take(book, k->key, loop_boot_ms());
	k->key = NULL;
	ck_assert_int_eq(sync_send(&worker, MSG_redeemer_ready, &m, 0), 0);
}

/* The decision in `answer` is a grant that the worker would honour. */
static void
granted(const char *method, const char *authority, const char *target, uint64_t body_len)
{
	uint8_t digest[32];
	struct grant g;

	ck_assert_msg(answer->verdict == VERDICT_PROXY, "%u %s", answer->status, body);
	ck_assert_int_eq(answer->redeemer, 77);
	ck_assert(span_eq(answer->authority, authority));
	ck_assert(span_eq(answer->target, target));
	ck_assert_uint_eq(answer->max_body, 1000);
	memcpy(g.request_id, answer->request_id, 16);
	memcpy(g.id, answer->grant, 16);
	memcpy(g.mac, answer->mac, 32);
	g.not_after_ms = answer->not_after;
	grant_digest_proxy(span_str(method), answer->authority, answer->target,
	    span_str("accept: */*\r\n"), body_len, 1000, false, digest);
	ck_assert_int_eq(grant_redeem(book, &g, loop_boot_ms(), digest), GRANT_GOOD);
	ck_assert_int_eq(grant_redeem(book, &g, loop_boot_ms(), digest), GRANT_REUSED);
}

static void
report(uint8_t outcome, uint32_t status)
{
	MSG_INIT(done, m);

	memcpy(m.request_id, answer->request_id, 16);
	memcpy(m.grant, answer->grant, 16);
	m.outcome = outcome;
	m.status = status;
	m.bytes_in = 5;
	m.bytes_out = 7;
	m.duration_us = 1234;
	ck_assert_int_eq(sync_send(&worker, MSG_done, &m, 0), 0);
}

/* Rows of the ledger that match; the last one is in last_row. */
static unsigned
ledger_rows(const char *kind, const char *service)
{
	MSG_INIT(ledger_read, m);

	m.limit = 1000;
	m.kind = span_str(kind);
	m.service = span_str(service);
	ck_assert_msg(admin_ask(MSG_ledger_read, &m) == 0, "%s", complaint);
	return rows;
}

/* What was sent to the worker's door before must have been seen: rows come in order. */
static void
settle(void)
{
	MSG_INIT(status, m);
	int i;

	/* two turns: the door's message and this one may be read in either order */
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(admin_ask(MSG_status, &m), 0);
		usleep(20000);
	}
}

static const struct cred_args slack = {"slack-bot", "slack",
    "API.slack.com, *.files.slack.com", "read", "", "", "", "bearer"};

static void
world(void)
{
	sealed_domains_expected = span_str("api.slack.com,*.files.slack.com");
	credential_make(slack);
	sealed_domains_expected.p = NULL;
	agent_make("bot", "");
	agent_may("bot", "slack-bot", 0);
}

START_TEST(grant_end_to_end)
{
	char want_name[64];
	const struct msg_worker_want *want = (const void *)&dispatch.msg;

	up(1);
	world();
	/* no worker yet: the dispatcher is asked, the answer waits */
	gate_send((struct asking){token, "GET", "/slack/api/auth.test?a=1", NULL, 0});
	expect(&dispatch, MSG_worker_want);
	ck_assert_int_eq(span_copy(want->credential, want_name, sizeof(want_name)), 0);
	ck_assert_str_eq(want_name, "slack-bot");
	worker_up("slack-bot");
	gate_read();
	granted("GET", "api.slack.com", "/api/auth.test?a=1", 0);
	report(OUTCOME_OK, 200);
	/* with a worker: at once; a host of the list in any spelling */
	gate_send((struct asking){token, "GET", "/slack/x/", "EU.files.Slack.com.", 0});
	gate_read();
	granted("GET", "eu.files.slack.com", "/x/", 0);
	report(OUTCOME_UPSTREAM_TIMEOUT, 504);
	settle();
	ck_assert_uint_eq(ledger_rows("completion", "slack"), 2);
	ck_assert_ptr_nonnull(strstr(last_row, "\"reason\":\"upstream_timeout\""));
	ck_assert_ptr_nonnull(
	    strstr(last_row, "\"bytes_in\":5,\"bytes_out\":7,\"duration_us\":1234"));
	ck_assert_uint_eq(ledger_rows("allowed", "slack"), 2);
	ck_assert_ptr_nonnull(strstr(last_row,
	    "\"agent\":\"bot\",\"service\":\"slack\","
	    "\"credential\":\"slack-bot\",\"method\":\"GET\","
	    "\"domain\":\"eu.files.slack.com\",\"path\":\"/x/\""));
	ck_assert_ptr_nonnull(strstr(last_row, "\"judged\":\""));
	stop();
}
END_TEST

START_TEST(refusals)
{
	char long_host[64] = "user@api.slack.com";
	MSG_INIT(credential_update, u);

	up(1);
	world();
	refused((struct asking){token, "GET", "/slack/../x", NULL, 0}, 400,
	    "Path traversal detected");
	refused((struct asking){token, "GET", "/slack/%2e%2e/x", NULL, 0}, 400,
	    "Path traversal detected");
	refused((struct asking){token, "GET", "/slack/a%00b", NULL, 0}, 400,
	    "Null byte in path");
	refused((struct asking){token, "GET", "/slack/a%252fb", NULL, 0}, 400,
	    "Ambiguous encoding in path");
	refused((struct asking){"", "GET", "/slack/x", NULL, 0}, 401,
	    "Agent authentication required");
	ck_assert(answer->headers.len > 0);
	refused((struct asking){"aegis_nonsense", "GET", "/slack/x", NULL, 0}, 401,
	    "Invalid agent token");
	refused((struct asking){token, "GET", "/", NULL, 0}, 400, "Missing service name");
	refused((struct asking){token, "GET", "/github/x", NULL, 0}, 404,
	    "No credential registered for service: github");
	refused((struct asking){token, "POST", "/slack/x", NULL, 0}, 403,
	    "Method not permitted by credential scopes");
	ck_assert_ptr_nonnull(strstr(body, "\"method\":\"POST\",\"scopes\":[\"read\"]"));
	refused((struct asking){token, "GET", "/slack/x", "evil.com", 0}, 403,
	    "Domain not in credential allowlist");
	ck_assert_ptr_nonnull(strstr(body,
	    "\"requested\":\"evil.com\",\"allowed\":[\"api.slack.com\","
	    "\"*.files.slack.com\"]"));
	refused((struct asking){token, "GET", "/slack/x", long_host, 0}, 403,
	    "Domain not in credential allowlist");
	refused((struct asking){token, "GET", "/slack/x", "", 0}, 403,
	    "Domain not in credential allowlist");
	refused((struct asking){token, "GET", "/slack/x", "api.slack.com:8443", 0}, 403,
	    "Domain not in credential allowlist");
	refused((struct asking){token, "GET", "/slack/x", "files.slack.com", 0}, 403,
	    "Domain not in credential allowlist");
	refused((struct asking){token, "GET", "/slack/x", NULL, 1001}, 413,
	    "Request body too large");
	ck_assert_ptr_nonnull(strstr(body, "\"received\":1001,\"limit\":1000"));
	agent_may("bot", "slack-bot", 1);
	refused((struct asking){token, "GET", "/slack/x", NULL, 0}, 403,
	    "Agent not granted access to this credential");
	agent_may("bot", "slack-bot", 0);
	/* no worker can be had */
	{
		MSG_INIT(worker_failed, f);

		gate_send((struct asking){token, "GET", "/slack/x", NULL, 0});
		expect(&dispatch, MSG_worker_want);
		f.tenant = span_str("default");
		f.credential = span_str("slack-bot");
		f.reason = span_str("too many workers");
		ck_assert_int_eq(sync_send(&dispatch, MSG_worker_failed, &f, 0), 0);
		gate_read();
		ck_assert_int_eq(answer->status, 503);
		ck_assert_ptr_nonnull(strstr(body, "too many workers"));
	}
	/* its time is over */
	u.name = span_str("slack-bot");
	u.set = CREDENTIAL_SCOPES | CREDENTIAL_RATE_LIMIT;
	u.scopes = span_str("read,write");
	u.rate_limit = span_str("2/min");
	ck_assert_msg(admin_ask(MSG_credential_update, &u) == 0, "%s", complaint);
	worker_up("slack-bot");
	settle();
	gate_send((struct asking){token, "POST", "/slack/x", NULL, BODY_LEN_UNKNOWN});
	gate_read();
	granted("POST", "api.slack.com", "/x", BODY_LEN_UNKNOWN);
	gate_send((struct asking){token, "POST", "/slack/x", NULL, 1000});
	gate_read();
	granted("POST", "api.slack.com", "/x", 1000);
	refused((struct asking){token, "GET", "/slack/x", NULL, 0}, 429,
	    "Rate limit exceeded");
	ck_assert_ptr_nonnull(strstr(body, "\"limit\":\"2/min\",\"retryAfter\":"));
	ck_assert_int_eq(strncmp(answer->headers.p, "Retry-After: ", 13), 0);
	/* every one of them is in the ledger */
	ck_assert_uint_eq(ledger_rows("blocked", ""), 18);
	stop();
}
END_TEST

START_TEST(no_agent_auth)
{
	up(0);
	world();
	worker_up("slack-bot");
	settle();
	gate_send((struct asking){"", "GET", "/slack/x", NULL, 0});
	gate_read();
	granted("GET", "api.slack.com", "/x", 0);
	gate_send((struct asking){"not a token", "GET", "/slack/x", NULL, 0});
	gate_read();
	granted("GET", "api.slack.com", "/x", 0);
	/* a good one still names the agent, whatever it was granted */
	agent_may("bot", "slack-bot", 1);
	gate_send((struct asking){token, "GET", "/slack/x", NULL, 0});
	gate_read();
	granted("GET", "api.slack.com", "/x", 0);
	ck_assert_uint_eq(ledger_rows("allowed", ""), 3);
	ck_assert_ptr_nonnull(strstr(last_row, "\"agent\":\"bot\""));
	stop();
}
END_TEST

START_TEST(slots_and_loss)
{
	int i;

	up(1);
	world();
	worker_up("slack-bot");
	settle();
	for (i = 0; i < 4; i++) {
		gate_send((struct asking){token, "GET", "/slack/x", NULL, 0});
		gate_read();
		ck_assert_int_eq(answer->verdict, VERDICT_PROXY);
	}
	refused((struct asking){token, "GET", "/slack/x", NULL, 0}, 429,
	    "Too many concurrent requests for this agent");
	/* a worker must not leave while grants are out */
	{
		const struct msg_worker_may_leave *l = (const void *)&worker.msg;
		MSG_INIT(worker_leave, m);

		ck_assert_int_eq(
		    sync_ask(&worker, MSG_worker_leave, &m, WAIT_MS, NULL, NULL), 0);
		ck_assert_int_eq(l->yes, 0);
	}
	/* it dies: all four are lost, the slots are free, and a new one is wanted */
	hang_up(&worker);
	settle();
	ck_assert_uint_eq(ledger_rows("completion", ""), 4);
	ck_assert_ptr_nonnull(strstr(last_row, "\"reason\":\"lost\""));
	gate_send((struct asking){token, "GET", "/slack/x", NULL, 0});
	expect(&dispatch, MSG_worker_want);
	worker_up("slack-bot");
	gate_read();
	granted("GET", "api.slack.com", "/x", 0);
	/* a forged use does not use the grant up, its real end does */
	report(OUTCOME_GRANT_REFUSED, 403);
	report(OUTCOME_OK, 200);
	report(OUTCOME_OK, 200);
	settle();
	ck_assert_uint_eq(ledger_rows("completion", ""), 7);
	ck_assert_ptr_nonnull(strstr(last_row, "\"code\":\"late_or_unknown\""));
	stop();
}
END_TEST

START_TEST(limits_survive_a_kill)
{
	int i;

	up(1);
	credential_make(
	    (struct cred_args){"a", "a", "a.example.com", "", "", "", "", ""});
	agent_make("bot", "5/hour");
	agent_may("bot", "a", 0);
	worker_up("a");
	settle();
	for (i = 0; i < 3; i++) {
		gate_send((struct asking){token, "PUT", "/a/x", NULL, 0});
		gate_read();
		granted("PUT", "a.example.com", "/x", 0);
		report(OUTCOME_OK, 200);
	}
	die();
	up(1);
	worker_up("a");
	settle();
	for (i = 0; i < 2; i++) {
		gate_send((struct asking){token, "PUT", "/a/x", NULL, 0});
		gate_read();
		granted("PUT", "a.example.com", "/x", 0);
		report(OUTCOME_OK, 200);
	}
	refused((struct asking){token, "PUT", "/a/x", NULL, 0}, 429,
	    "Agent rate limit exceeded");
	stop();
	/* and an orderly stop */
	up(1);
	refused((struct asking){token, "PUT", "/a/x", NULL, 0}, 429,
	    "Agent rate limit exceeded");
	die();
}
END_TEST

START_TEST(nothing_without_the_ledger)
{
	struct rlimit limit, was;
	unsigned before, i;
	MSG_INIT(agent_add, m);

	/* the judge's files may not grow beyond this */
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit = was;
	limit.rlim_cur = 1 << 20;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	up(1);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
	world();
	worker_up("slack-bot");
	for (i = 0; i < 10000; i++) {
		gate_send((struct asking){token, "GET", "/nosuch/x", NULL, 0});
		gate_read();
		if (answer->status == 503)
			break;
		ck_assert_uint_eq(answer->status, 404);
	}
	ck_assert_uint_gt(i, 1000);
	refused((struct asking){token, "GET", "/slack/x", NULL, 0}, 503,
	    "Ledger cannot be written");
	refused((struct asking){"", "GET", "/slack/x", NULL, 0}, 503,
	    "Ledger cannot be written");
	m.name = span_str("other");
	ck_assert_int_eq(admin_ask(MSG_agent_add, &m), ADMIN_FAILED);
	ck_assert_str_eq(result, "");
	die();
	up(1);
	worker_up("slack-bot");
	before = ledger_rows("system", "");
	gate_send((struct asking){token, "GET", "/slack/x", NULL, 0});
	gate_read();
	granted("GET", "api.slack.com", "/x", 0);
	ck_assert_int_eq(admin_ask(MSG_agent_add, &m), 0);
	ck_assert_uint_eq(ledger_rows("system", ""), before);
	stop();
}
END_TEST

/* What needs no change of state goes on without the database; the rest is taken back. */
START_TEST(nothing_without_the_database)
{
	sqlite3 *db;
	unsigned before;
	MSG_INIT(agent_add, m);

	up(1);
	world();
	worker_up("slack-bot");
	settle();
	before = ledger_rows("", "");
	db = database();
	ck_assert_int_eq(
	    sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	m.name = span_str("other");
	ck_assert_int_eq(admin_ask(MSG_agent_add, &m), ADMIN_FAILED);
	ck_assert_str_eq(result, "");
	gate_send((struct asking){token, "GET", "/slack/x", NULL, 0});
	gate_read();
	granted("GET", "api.slack.com", "/x", 0);
	ck_assert_int_eq(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	/* the agent is not there: made again it is made anew */
	ck_assert_int_eq(admin_ask(MSG_agent_add, &m), 0);
	ck_assert_uint_eq(ledger_rows("", ""), before + 3); /* gap, allowed, agent.add */
	ck_assert_uint_eq(ledger_rows("system", ""), 2);
	ck_assert_ptr_nonnull(strstr(last_row, "ledger.gap"));
	ck_assert_ptr_nonnull(strstr(last_row, "1 rows could not be written"));
	kill(pid, SIGKILL);
	(void)down();
	/* and the chain holds */
	up(1);
	die();
}
END_TEST

static void
starts_not(const char *says)
{
	int status;

	launch(1);
	status = down();
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	ck_assert_msg(strstr(text, says) != NULL, "%s", text);
}

/* In the ledger's file, behind the first mark: another text of the same length; or it
 * ends at the last mark's beginning. */
static void
change(int cut, const char *mark, const char *text_, const char *other)
{
	static char octets[1 << 20];
	char *at, *next;
	int fd = ledger_file();
	ssize_t n = read(fd, octets, sizeof(octets) - 1);

	ck_assert_int_gt(n, 0);
	octets[n] = '\0';
	at = strstr(octets, mark);
	ck_assert_ptr_nonnull(at);
	while (cut && (next = strstr(at + 1, mark)) != NULL)
		at = next;
	at = strstr(at, text_);
	ck_assert_ptr_nonnull(at);
	memcpy(at, other, strlen(other));
	if (cut)
		ck_assert_int_eq(ftruncate(fd, at + 1 - octets), 0);
	else
		ck_assert_int_eq(pwrite(fd, octets, (size_t)n, 0), n);
	close(fd);
}

START_TEST(a_changed_ledger)
{
	up(1);
	world();
	stop();
	change(0, "{\"row\":{\"seq\":3,", "\"kind\":\"a", "\"kind\":\"b");
	starts_not("the ledger is broken at row 3");
}
END_TEST

START_TEST(a_shortened_ledger)
{
	up(1);
	world();
	stop();
	/* the checkpoint covers all rows but none after it */
	change(1, "\n{\"row\":", "\n", "\n");
	starts_not("a signed checkpoint names row");
}
END_TEST

START_TEST(a_newer_database)
{
	sqlite3 *db;

	up(1);
	stop();
	db = database();
	ck_assert_int_eq(sqlite3_exec(db, "INSERT INTO schema_version VALUES(99, 0)",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(db);
	starts_not("schema version 99");
}
END_TEST

START_TEST(a_flood)
{
	int i, n;

	up(1);
	for (i = 0; i < 20; i++) {
		for (n = 0; n < 100; n++)
			gate_send((struct asking){"aegis_x", "GET", "/slack/x", NULL, 0});
		for (n = 0; n < 100; n++) {
			gate_read();
			ck_assert_int_eq(answer->status, 401);
		}
	}
	sleep(2);
	n = (int)ledger_rows("blocked", "");
	ck_assert_int_ge(n, 20);
	ck_assert_int_le(n, 20 * 8);
	ck_assert_uint_ge(ledger_rows("system", ""), 2);
	ck_assert_ptr_nonnull(strstr(last_row, "refusals.summed"));
	ck_assert_ptr_nonnull(strstr(last_row, "more in this second"));
	stop();
}
END_TEST

START_TEST(a_captured_gate)
{
	MSG_INIT(done, m);

	up(1);
	ck_assert_int_eq(sync_send(&gate, MSG_done, &m, 0), 0);
	expect(&master, MSG_misbehaved);
	settle();
	ck_assert_uint_eq(ledger_rows("system", ""), 2);
	ck_assert_ptr_nonnull(strstr(last_row, "permit.refused"));
	ck_assert_ptr_nonnull(strstr(last_row, "\"code\":\"done\""));
	ck_assert_int_eq(sync_recv(&gate, WAIT_MS), -1);
	stop();
}
END_TEST

START_TEST(gate_refusals)
{
	MSG_INIT(refusal_record, m);

	up(1);
	m.peer = span_str("127.0.0.1");
	m.reason = REFUSAL_BAD_REQUEST;
	m.detail = span_str("bare LF");
	ck_assert_int_eq(sync_send(&gate, MSG_refusal_record, &m, ++gate.reqid), 0);
	gate_read();
	ck_assert_int_eq(answer->status, 400);
	ck_assert_int_eq(answer->close, 1);
	ck_assert_str_eq(
	    body, "{\"error\":\"Malformed HTTP request\",\"detail\":\"bare LF\"}");
	m.seal = 1;
	m.reason = REFUSAL_BODY_TOO_LARGE;
	ck_assert_int_eq(sync_send(&gate, MSG_refusal_record, &m, ++gate.reqid), 0);
	gate_read();
	ck_assert_int_eq(answer->status, 413);
	ck_assert_ptr_nonnull(strstr(body,
	    "{\"protocol\":\"seal/v1\",\"status\":\"error\",\"error\":{"
	    "\"code\":413,\"message\":\"Request body too large: bare LF\","
	    "\"timestamp\":\""));
	ck_assert_uint_eq(ledger_rows("blocked", ""), 2);
	stop();
}
END_TEST

START_TEST(what_administrators_type)
{
	struct cred_args good = {"n", "s", "a.example.com", "", "", "", "", ""}, a;
	MSG_INIT(credential_list, list);
	MSG_INIT(agent_add, agent);

	up(1);
	a = good, a.name = "a b", credential_bad(a, "name may have letters");
	a = good, a.service = "v1", credential_bad(a, "a path of the gate's own");
	a = good, a.service = "Health", credential_bad(a, "a path of the gate's own");
	a = good, a.domains = "*", credential_bad(a, "list of domains");
	a = good, a.domains = "*.com", credential_bad(a, "list of domains");
	a = good, a.domains = "internal", credential_bad(a, "list of domains");
	a = good, a.domains = " , ", credential_bad(a, "needs at least one name");
	a = good, a.scopes = "admin", credential_bad(a, "read, write or *");
	a = good, a.rate = "10/week", credential_bad(a, "10/sec");
	a = good, a.rate = "0/min", credential_bad(a, "10/sec");
	a = good, a.auth = "digest", credential_bad(a, "bearer, header, basic or query");
	a = good, a.auth = "header", a.header_name = "Host",
	credential_bad(a, "sets itself");
	a = good, a.auth = "header", a.header_name = "a b",
	credential_bad(a, "not the name");
	a = good, a.header_name = "x-key",
	credential_bad(a, "goes with the auth type header");
	a = good, a.upstream = "ftp://x", credential_bad(a, "The upstream");
	a = good, a.upstream = "http://b.example.com",
	credential_bad(a, "not among the domains");
	/* vault refuses: nothing is there */
	(void)credential_send(good);
	vault_seals(VAULT_IO, 0);
	expect(&admin, MSG_admin_done);
	ck_assert_int_eq(admin_read_answer(), ADMIN_FAILED);
	ck_assert_str_eq(complaint, "vault says no");
	ck_assert_int_eq(admin_ask(MSG_credential_list, &list), 0);
	ck_assert_uint_eq(rows, 0);
	/* vault has a leftover: it is replaced */
	a = good, a.upstream = "http://:8080", a.rate = "10/MIN";
	(void)credential_send(a);
	vault_seals(VAULT_EXISTS, 0);
	vault_seals(0, 1);
	expect(&admin, MSG_admin_done);
	ck_assert_msg(admin_read_answer() == 0, "%s", complaint);
	ck_assert_int_eq(admin_ask(MSG_credential_list, &list), 0);
	ck_assert_uint_eq(rows, 1);
	ck_assert_ptr_nonnull(strstr(last_row,
	    "{\"name\":\"n\",\"service\":\"s\",\"domains\":["
	    "\"a.example.com\"],\"auth_type\":\"bearer\","
	    "\"scopes\":[\"*\"],\"rate_limit\":\"10/MIN\""));
	credential_bad(good, "There is a credential named n already");
	a = good, a.name = "m", credential_bad(a, "has the credential n already");
	agent.name = span_str("x y");
	ck_assert_int_eq(admin_ask(MSG_agent_add, &agent), ADMIN_REFUSED);
	stop();
}
END_TEST

START_TEST(removal_and_runs)
{
	char old[128];
	MSG_INIT(agent_run, run);
	MSG_INIT(agent_regenerate, again);
	MSG_INIT(agent_remove, gone);
	MSG_INIT(agent_list, list);
	MSG_INIT(credential_remove, cred);
	MSG_INIT(credential_rotate, rotate);
	MSG_INIT(vault_done, ok);

	up(1);
	world();
	snprintf(old, sizeof(old), "%s", token);
	again.name = span_str("bot");
	ck_assert_int_eq(admin_ask(MSG_agent_regenerate, &again), 0);
	token_from_result();
	refused(
	    (struct asking){old, "GET", "/slack/x", NULL, 0}, 401, "Invalid agent token");
	refused((struct asking){token, "GET", "/nothing/x", NULL, 0}, 404,
	    "No credential registered for service: nothing");
	run.name = span_str("bot");
	run.ttl_s = 1;
	ck_assert_int_eq(admin_ask(MSG_agent_run, &run), 0);
	snprintf(old, sizeof(old), "%s", token);
	token_from_result();
	refused((struct asking){token, "GET", "/nothing/x", NULL, 0}, 404,
	    "No credential registered for service: nothing");
	ck_assert_int_eq(admin_ask(MSG_agent_list, &list), 0);
	ck_assert_ptr_nonnull(strstr(last_row,
	    "\"credentials\":[\"slack-bot\"],\"contexts\":[],"
	    "\"runs\":[{\"run\":\""));
	usleep(1100000);
	refused((struct asking){token, "GET", "/nothing/x", NULL, 0}, 401,
	    "Invalid agent token");
	ck_assert_ptr_nonnull(strstr(body, "has expired"));
	refused((struct asking){old, "GET", "/nothing/x", NULL, 0}, 404,
	    "No credential registered for service: nothing");
	rotate.name = span_str("slack-bot");
	rotate.ttl_days = 30;
	memset(rotate.offer, OFFER, sizeof(rotate.offer));
	ck_assert_int_eq(
	    sync_send(&admin, MSG_credential_rotate, &rotate, ++admin.reqid), 0);
	vault_seals(0, 1);
	expect(&admin, MSG_admin_done);
	ck_assert_int_eq(admin_read_answer(), 0);
	cred.name = span_str("slack-bot");
	ck_assert_int_eq(admin_ask(MSG_credential_remove, &cred), 0);
	expect(&vault, MSG_credential_drop);
	ck_assert_int_eq(sync_send(&vault, MSG_vault_done, &ok, vault.head.reqid), 0);
	refused((struct asking){old, "GET", "/slack/x", NULL, 0}, 404,
	    "No credential registered for service: slack");
	gone.name = span_str("bot");
	ck_assert_int_eq(admin_ask(MSG_agent_remove, &gone), 0);
	refused(
	    (struct asking){old, "GET", "/slack/x", NULL, 0}, 401, "Invalid agent token");
	ck_assert_uint_eq(ledger_rows("admin", ""), 8);
	stop();
	/* the database says the same */
	up(1);
	refused(
	    (struct asking){old, "GET", "/slack/x", NULL, 0}, 401, "Invalid agent token");
	ck_assert_int_eq(admin_ask(MSG_agent_list, &list), 0);
	ck_assert_uint_eq(rows, 0);
	die();
}
END_TEST

/* Where requests go when the upstream is not https on 443. */
START_TEST(authorities)
{
	static const struct {
		/* authority NULL: refused, "": none is chosen */
		const char *domains, *upstream, *host, *authority;
	} cases[] = {
	    {"127.0.0.1", "http://127.0.0.1:8080", NULL, "127.0.0.1:8080"},
	    {"127.0.0.1:8080", "http://127.0.0.1:8080", NULL, "127.0.0.1:8080"},
	    {"127.0.0.1", "http://127.0.0.1:8080", "127.0.0.1", "127.0.0.1:8080"},
	    {"127.0.0.1", "http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080"},
	    {"127.0.0.1", "http://127.0.0.1:8080", "127.0.0.1:8081", NULL},
	    {"127.0.0.1", "http://127.0.0.1:8080", "127.0.0.1:443", NULL},
	    {"a.example.com", "http://:8080", NULL, "a.example.com:8080"},
	    {"a.example.com,b.example.com:99", "http://:8080", NULL, ""},
	    {"a.example.com,b.example.com:99", "", "b.example.com:99",
		"b.example.com:99"},
	    {"a.example.com,b.example.com:99", "", "b.example.com", NULL},
	    {"a.example.com", "", "A.example.com.:443", "a.example.com"},
	    {"a.example.com", "http://", NULL, "a.example.com"},
	    {"a.example.com", "http://", "a.example.com:443", NULL},
	    {"a.example.com,a.example.com:443", "https://:8443", "a.example.com:443",
		"a.example.com:443"},
	    {"a.example.com,a.example.com:443", "https://:8443", NULL, ""},
	    {"a.example.com,b.example.com:80", "http://:8080", "b.example.com:80",
		"b.example.com:80"},
	    {"*.example.com,c.example.org", "", NULL, "c.example.org"},
	    {"*.example.com", "", NULL, ""},
	    {"*.example.com", "", "x.y.example.com", "x.y.example.com"},
	};
	char name[16], target[32];
	size_t i;

	up(0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(name, sizeof(name), "s%zu", i);
		snprintf(target, sizeof(target), "/s%zu/x", i);
		credential_make((struct cred_args){
		    name, name, cases[i].domains, "", "", cases[i].upstream, "", ""});
		if (cases[i].authority == NULL) {
			refused((struct asking){"", "GET", target, cases[i].host, 0}, 403,
			    "Domain not in credential allowlist");
			continue;
		}
		if (cases[i].authority[0] == '\0') {
			refused((struct asking){"", "GET", target, NULL, 0}, 400,
			    "X-Target-Host is required");
			continue;
		}
		gate_send((struct asking){"", "GET", target, cases[i].host, 0});
		expect(&dispatch, MSG_worker_want);
		worker_up(name);
		gate_read();
		granted("GET", cases[i].authority, "/x", 0);
		hang_up(&worker);
	}
	stop();
}
END_TEST

START_TEST(one_change_at_a_time)
{
	MSG_INIT(credential_rotate, rotate);
	MSG_INIT(credential_remove, gone);
	MSG_INIT(vault_done, ok);

	up(1);
	world();
	rotate.name = gone.name = span_str("slack-bot");
	memset(rotate.offer, OFFER, sizeof(rotate.offer));
	ck_assert_int_eq(
	    sync_send(&admin, MSG_credential_rotate, &rotate, ++admin.reqid), 0);
	expect(&vault, MSG_credential_seal);
	ck_assert_int_eq(
	    sync_send(&admin, MSG_credential_remove, &gone, ++admin.reqid), 0);
	expect(&admin, MSG_admin_done);
	ck_assert_int_eq(admin_read_answer(), ADMIN_REFUSED);
	ck_assert_ptr_nonnull(strstr(complaint, "under way"));
	ck_assert_int_eq(sync_send(&vault, MSG_vault_done, &ok, vault.head.reqid), 0);
	expect(&admin, MSG_admin_done);
	ck_assert_int_eq(admin_read_answer(), 0);
	/* vault dies while it is asked */
	memset(rotate.offer, OFFER, sizeof(rotate.offer));
	ck_assert_int_eq(
	    sync_send(&admin, MSG_credential_rotate, &rotate, ++admin.reqid), 0);
	expect(&vault, MSG_credential_seal);
	hang_up(&vault);
	expect(&admin, MSG_admin_done);
	ck_assert_int_eq(admin_read_answer(), ADMIN_FAILED);
	/* and is not there */
	memset(rotate.offer, OFFER, sizeof(rotate.offer));
	ck_assert_int_eq(admin_ask(MSG_credential_rotate, &rotate), ADMIN_FAILED);
	ck_assert_ptr_nonnull(strstr(complaint, "Vault is not running"));
	ck_assert_uint_eq(ledger_rows("admin", ""),
	    9); /* three of world(), 3 rotate, 2 failed, 1 refused */
	die();
}
END_TEST

/* hash(n) = SHA-256(hash(n-1) || text(n)) over what an administrator can read. */
static uint8_t chain_hash[32];
static unsigned chain_rows;

static void
check_row(const struct msg_desc *d, void *msg, void *arg)
{
	const struct msg_admin_row *m = msg;
	static uint8_t octets[70000];
	const char *tail = memmem(m->json.p, m->json.len, ",\"hash\":\"", 9),
		   *start = m->json.p + 7;
	uint8_t stored[32];
	size_t n;

	(void)d;
	(void)arg;
	for (; tail !=
	     NULL;) { /* the last one: the text may hold the same words, escaped */
		const char *more = memmem(tail + 1,
		    (size_t)(m->json.p + m->json.len - tail - 1), ",\"hash\":\"", 9);

		if (more == NULL)
			break;
		tail = more;
	}
	ck_assert_ptr_nonnull(tail);
	n = (size_t)(tail - start);
	memcpy(octets, chain_hash, 32);
	memcpy(octets + 32, start, n);
	SHA256(octets, n + 32, chain_hash);
	ck_assert_int_eq(hex_decode(tail + 9, 64, stored, 32), 32);
	ck_assert_mem_eq(stored, chain_hash, 32);
	chain_rows++;
}

START_TEST(a_reader_takes_a_bounded_turn)
{
	MSG_INIT(ledger_read, m);
	int i;

	up(1);
	world();
	for (i = 0; i < 300; i++)
		refused((struct asking){token, "GET", "/", NULL, 0}, 400,
		    "Missing service name");
	m.limit = 1000;
	for (m.newest_first = 0; m.newest_first <= 1; m.newest_first++) {
		ck_assert_int_eq(admin_ask(MSG_ledger_read, &m), 0);
		ck_assert_uint_eq(rows, 256);
		ck_assert_ptr_nonnull(strstr(result, "\"more\":true"));
	}
	m.newest_first = 0;
	m.lines = 1; /* with header and checkpoints between */
	ck_assert_int_eq(admin_ask(MSG_ledger_read, &m), 0);
	ck_assert_uint_ge(rows, 256);
	ck_assert_uint_lt(rows, 290);
	ck_assert_ptr_nonnull(strstr(result, "\"next\":256,"));
	stop();
}
END_TEST

START_TEST(the_chain_can_be_checked)
{
	struct json_doc j;
	char chain[64], prev[80], zero[64 + 14];
	uint8_t hash0[32], given[32];
	MSG_INIT(ledger_read, m);
	MSG_INIT(ledger_seal, seal);
	MSG_INIT(ledger_stats, stats);
	MSG_INIT(checkpoint_signed, a);
	const struct msg_checkpoint_sign *q = (const void *)&vault.msg;
	int i;

	up(1);
	world();
	for (i = 0; i < 40; i++)
		refused((struct asking){token, "GET", "/nothing/\x7f", NULL, 0}, 400,
		    "Malformed request target");
	m.limit = 1;
	ck_assert_int_eq(admin_ask(MSG_ledger_read, &m), 0);
	json_init(&j);
	ck_assert_int_eq(json_parse(&j, result, strlen(result), NULL), JSON_OK);
	ck_assert_int_eq(
	    json_str_copy(&j, json_get(&j, 0, "chain"), chain, sizeof(chain), NULL), 0);
	ck_assert_int_eq(
	    json_str_copy(&j, json_get(&j, 0, "prev"), prev, sizeof(prev), NULL), 0);
	json_free(&j);
	snprintf(zero, sizeof(zero), "aegis-ledger-1%s", chain);
	SHA256((const uint8_t *)zero, strlen(zero), hash0);
	ck_assert_int_eq(hex_decode(prev, 64, given, 32), 32);
	ck_assert_mem_eq(given, hash0, 32);
	memcpy(chain_hash, hash0, 32);
	chain_rows = 0;
	m.limit = 1000;
	ck_assert_int_eq(
	    sync_ask(&admin, MSG_ledger_read, &m, WAIT_MS, check_row, NULL), 0);
	ck_assert_uint_ge(chain_rows, 24);
	/* seal: the row about it is under the signature */
	ck_assert_int_eq(sync_send(&admin, MSG_ledger_seal, &seal, ++admin.reqid), 0);
	expect(&vault, MSG_checkpoint_sign);
	ck_assert_uint_eq(q->seq, chain_rows + 1);
	a.kid = span_str("l1");
	ck_assert_int_eq(
	    sync_send(&vault, MSG_checkpoint_signed, &a, vault.head.reqid), 0);
	expect(&admin, MSG_admin_done);
	ck_assert_msg(admin_read_answer() == 0, "%s", complaint);
	ck_assert_ptr_nonnull(strstr(result, "\"head\":\""));
	m.lines = 1;
	ck_assert_int_eq(admin_ask(MSG_ledger_read, &m), 0);
	ck_assert_uint_eq(rows, chain_rows + 3); /* the seal, the header, this: */
	ck_assert_ptr_nonnull(strstr(last_row, "{\"checkpoint\":{\"chain\":\""));
	ck_assert_int_eq(admin_ask(MSG_ledger_stats, &stats), 0);
	ck_assert_ptr_nonnull(strstr(result, "\"allowed\":0"));
	ck_assert_ptr_nonnull(strstr(result, "\"by_code\":{\"bad_target\":"));
	stop();
}
END_TEST

int
main(void)
{
	const TTest *const all[] = {grant_end_to_end, refusals, no_agent_auth,
	    slots_and_loss, limits_survive_a_kill, nothing_without_the_ledger,
	    nothing_without_the_database, a_changed_ledger, a_shortened_ledger,
	    a_newer_database, a_flood, a_captured_gate, gate_refusals,
	    what_administrators_type, removal_and_runs, a_reader_takes_a_bounded_turn,
	    the_chain_can_be_checked, authorities, one_change_at_a_time};
	Suite *s = suite_create("authorize");
	TCase *t = tcase_create("judge");
	SRunner *r;
	size_t i;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(t, all[i]);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
