/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real keymasterd-vault, boxed, under a test that plays master, judge, worker and
 * toolexec. The program is ./keymasterd-vault, or what VAULT_PROGRAM names.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/proto.h"
#include "common/secret.h"
#include "common/sync.h"

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define WAIT_MS 10000
#define UID 61999

static char dir[] = "/tmp/aegis-vaultd-XXXXXX";
static pid_t pid;
static int err_fd;
static struct sync master, judge, worker, worker2, exec_, admin;
static struct sockaddr_un admin_at;

/* -- the parts of a master that are needed -- */

static int
memfd_of(const void *p, size_t len)
{
	int fd = memfd_create("t", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, len), (ssize_t)len);
	return fd;
}

static void
conf_secret(
    const char *server, const char *variable, const char *reference, const char *value)
{
	MSG_INIT(conf_tool_secret, m);

	m.server = span_str(server);
	m.variable = span_str(variable);
	m.reference = span_str(reference);
	m.value = secret_new(value, strlen(value));
	ck_assert_int_eq(sync_send(&master, MSG_conf_tool_secret, &m, 0), 0);
	secret_free(m.value);
}

static void
conf_hook(const char *value)
{
	MSG_INIT(conf_webhook_secret, m);

	m.name = span_str("webhook.1");
	m.host = span_str("hooks.example");
	m.scheme = span_str("https");
	m.port = 443;
	m.secret = secret_new(value, strlen(value));
	ck_assert_int_eq(sync_send(&master, MSG_conf_webhook_secret, &m, 0), 0);
	secret_free(m.secret);
}

static void
launch(const char *key, int create)
{
	const char *program = getenv("VAULT_PROGRAM");
	int sv[2], err[2];
	MSG_INIT(conf_common, c);
	MSG_INIT(conf_vault, v);
	MSG_INIT(conf_done, d);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int end = fcntl(sv[1], F_DUPFD, 10); /* 3 itself may be in use */

		dup2(err[1], 2);
		if (dup2(end, 3) == 3)
			execl(program != NULL ? program : "./keymasterd-vault",
			    "keymasterd: vault", (char *)NULL);
		_exit(127);
	}
	close(sv[1]);
	close(err[1]);
	err_fd = err[0];
	ck_assert_int_eq(sync_hello(&master, sv[0], ROLE_MASTER, ROLE_VAULT, WAIT_MS), 0);
	c.instance = 7;
	c.name = span_str("vault");
	c.tenant = span_str("t");
	c.log_level = LOG_LEVEL_DEBUG;
	c.uid = c.gid = UID;
	c.dir = span_str(dir);
	ck_assert_int_eq(sync_send(&master, MSG_conf_common, &c, 0), 0);
	conf_secret("files", "A", "", "value of A");
	conf_secret("other", "X", "", "not yours");
	conf_secret("files", "B", "secret:stripe", "");
	conf_secret("files", "C", "secret:nothing", "");
	conf_secret("files", "D", "vault:stripe", "");
	conf_hook("sk_live_hook");
	v.vault_name = span_str("main");
	v.create = (uint8_t)create;
	v.admin_uid = geteuid();
	v.master_key = memfd_of(key, strlen(key));
	ck_assert_int_eq(sync_send(&master, MSG_conf_vault, &v, 0), 0);
	/* one that refuses the key may be gone already */
	(void)sync_send(&master, MSG_conf_done, &d, 0);
}

static void
door(struct sync *s, enum role role, uint32_t instance, const char *name)
{
	int sv[2];
	MSG_INIT(peer, m);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	m.role = (uint8_t)role;
	m.instance = instance;
	m.tenant = span_str("t");
	m.name = span_str(name);
	m.fd = sv[1];
	ck_assert_int_eq(sync_send(&master, MSG_peer, &m, 0), 0);
	ck_assert_int_eq(sync_hello(s, sv[0], role, ROLE_VAULT, WAIT_MS), 0);
}

/* Connects to its admin socket. */
static void
come_in(struct sync *s)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(
	    connect(fd, (const struct sockaddr *)&admin_at, sizeof(admin_at)), 0);
	ck_assert_int_eq(sync_hello(s, fd, ROLE_ADMIN, ROLE_VAULT, WAIT_MS), 0);
}

static void
up(int create)
{
	MSG_INIT(listen, m);

	launch(KEY, create);
	/* doors may come before it is ready */
	door(&judge, ROLE_JUDGE, 1, "");
	ck_assert_int_eq(sync_recv(&master, WAIT_MS), 0);
	ck_assert_int_eq(master.desc->type, MSG_ready);
	m.kind = LISTEN_VAULT;
	m.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	admin_at = (struct sockaddr_un){.sun_family = AF_UNIX};
	/* a name that goes with the socket */
	snprintf(admin_at.sun_path + 1, sizeof(admin_at.sun_path) - 1, "%s", dir);
	ck_assert_int_eq(
	    bind(m.fd, (const struct sockaddr *)&admin_at, sizeof(admin_at)), 0);
	ck_assert_int_eq(listen(m.fd, 8), 0);
	ck_assert_int_eq(sync_send(&master, MSG_listen, &m, 0), 0);
	come_in(&admin);
}

static void
hang_up(struct sync *s)
{
	sync_done(s);
	if (s->fd > 0)
		close(s->fd);
	memset(s, 0, sizeof(*s));
}

/* Ends it and gives back its exit status; what it logged goes to `text`. */
static int
down(char *text, size_t size)
{
	int status;
	size_t n = 0;
	ssize_t got;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	while (n + 1 < size && (got = read(err_fd, text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(err_fd);
	hang_up(&master);
	hang_up(&judge);
	hang_up(&worker);
	hang_up(&worker2);
	hang_up(&exec_);
	hang_up(&admin);
	return status;
}

static void
stop(void)
{
	static char text[65536];
	int status;
	MSG_INIT(stop, m);

	ck_assert_int_eq(sync_send(&master, MSG_stop, &m, 0), 0);
	status = down(text, sizeof(text));
	ck_assert_msg(
	    WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d\n%s", status, text);
	ck_assert_ptr_null(strstr(text, "sk_live"));
	ck_assert_ptr_null(strstr(text, KEY));
	ck_assert_ptr_null(strstr(text, "value of A"));
}

static void
setup(void)
{
	ck_assert_int_ne(sodium_init(), -1);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	if (geteuid() == 0)
		ck_assert_int_eq(chown(dir, UID, UID), 0);
}

static void
teardown(void)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/main.vault", dir);
	(void)unlink(path);
	(void)rmdir(dir);
}

/* -- questions -- */

/* What is brought and named where a test says nothing else. */
static void
offer_of(struct msg_secret_offer *m, const char *name, int fd, int replace)
{
	m->tenant = span_str("t");
	m->name = span_str(name);
	m->add = !replace;
	m->service = span_str("stripe");
	m->domains = span_str("api.stripe.com");
	m->auth_type = span_str("bearer");
	m->scheme = span_str("https");
	m->secret = fd;
}

static void
seal_of(struct msg_credential_seal *m, const char *name, int replace)
{
	m->tenant = span_str("t");
	m->name = span_str(name);
	m->service = span_str("stripe");
	m->domains = span_str("api.stripe.com");
	m->auth_type = span_str("bearer");
	m->scheme = span_str("https");
	m->replace = (uint8_t)replace;
}

static uint32_t
bring(struct sync *s, struct msg_secret_offer *m, uint8_t id[16])
{
	const struct msg_secret_offered *a = (const void *)&s->msg;

	ck_assert_int_eq(sync_ask(s, MSG_secret_offer, m, WAIT_MS, NULL, NULL), 0);
	ck_assert_int_eq(s->desc->type, MSG_secret_offered);
	memcpy(id, a->offer, sizeof(a->offer));
	return a->code;
}

static uint32_t
confirm(struct msg_credential_seal *m, const uint8_t id[16])
{
	const struct msg_vault_done *a = (const void *)&judge.msg;

	memcpy(m->offer, id, sizeof(m->offer));
	ck_assert_int_eq(
	    sync_ask(&judge, MSG_credential_seal, m, WAIT_MS, NULL, NULL), 0);
	ck_assert_int_eq(judge.desc->type, MSG_vault_done);
	return a->code;
}

static uint32_t
seal_fd(const char *name, int fd, int replace)
{
	MSG_INIT(secret_offer, o);
	MSG_INIT(credential_seal, m);
	uint8_t id[16];
	uint32_t code;

	offer_of(&o, name, fd, replace);
	code = bring(&admin, &o, id);
	if (code != VAULT_OK)
		return code;
	seal_of(&m, name, replace);
	return confirm(&m, id);
}

static uint32_t
seal(const char *name, const char *value, int replace)
{
	return seal_fd(name, memfd_of(value, strlen(value)), replace);
}

static uint32_t
drop(const char *name)
{
	MSG_INIT(credential_drop, m);
	const struct msg_vault_done *a = (const void *)&judge.msg;

	m.tenant = span_str("t");
	m.name = span_str(name);
	ck_assert_int_eq(
	    sync_ask(&judge, MSG_credential_drop, &m, WAIT_MS, NULL, NULL), 0);
	return a->code;
}

static void
no_note(const struct msg_desc *d, void *msg, void *arg)
{
	(void)msg;
	(void)arg;
	ck_abort_msg("unexpected %s", d->name);
}

static const struct msg_credential_secret *
fetch(struct sync *s)
{
	MSG_INIT(credential_fetch, m);

	ck_assert_int_eq(
	    sync_ask(s, MSG_credential_fetch, &m, WAIT_MS, no_note, NULL), 0);
	ck_assert_int_eq(s->desc->type, MSG_credential_secret);
	return (const void *)&s->msg;
}

static void
must_fetch(struct sync *s, const char *value)
{
	const struct msg_credential_secret *a = fetch(s);

	ck_assert_uint_eq(a->code, VAULT_OK);
	ck_assert(secret_eq_mem(a->secret, value, strlen(value)));
	ck_assert(span_eq(a->domains, "api.stripe.com") && span_eq(a->tenant, "t"));
}

static void
must_be_told(struct sync *s, int gone)
{
	const struct msg_credential_changed *n = (const void *)&s->msg;

	ck_assert_int_eq(sync_recv(s, WAIT_MS), 0);
	ck_assert_int_eq(s->desc->type, MSG_credential_changed);
	ck_assert_uint_eq(n->gone, gone);
}

static const struct msg_env_item *
env(uint32_t index)
{
	MSG_INIT(env_fetch, m);

	m.index = index;
	ck_assert_int_eq(sync_ask(&exec_, MSG_env_fetch, &m, WAIT_MS, NULL, NULL), 0);
	ck_assert_int_eq(exec_.desc->type, MSG_env_item);
	return (const void *)&exec_.msg;
}

/* -- tests -- */

START_TEST(a_life)
{
	MSG_INIT(vault_keys, q);
	MSG_INIT(token_sign, t);
	MSG_INIT(checkpoint_sign, p);
	const struct msg_vault_key_set *keys = (const void *)&judge.msg;
	const struct msg_vault_done *done = (const void *)&judge.msg;
	const struct msg_token_signed *token = (const void *)&judge.msg;
	const struct msg_checkpoint_signed *cp = (const void *)&judge.msg;
	uint8_t pub[32];

	up(1);
	ck_assert_uint_eq(seal("stripe", "sk_live_1", 0), VAULT_OK);
	ck_assert_uint_eq(done->saves, 2);
	ck_assert_uint_eq(seal("stripe", "sk_live_1", 0), VAULT_EXISTS);
	ck_assert_uint_eq(done->saves, 2);
	ck_assert_uint_eq(seal("github", "sk_live_2", 0), VAULT_OK);
	ck_assert_uint_eq(done->saves, 3);
	door(&worker, ROLE_WORKER, 20, "stripe");
	door(&worker2, ROLE_WORKER, 21, "github");
	must_fetch(&worker, "sk_live_1");
	must_fetch(&worker2, "sk_live_2");
	ck_assert_uint_eq(seal("stripe", "sk_live_3", 1), VAULT_OK);
	must_be_told(&worker, 0);
	must_fetch(&worker, "sk_live_3");
	ck_assert_uint_eq(seal_fd("stripe", -1, 1), VAULT_OK);
	must_be_told(&worker, 0);
	must_fetch(&worker, "sk_live_3");

	ck_assert_int_eq(sync_ask(&judge, MSG_vault_keys, &q, WAIT_MS, NULL, NULL), 0);
	ck_assert_uint_eq(keys->code, VAULT_OK);
	ck_assert_uint_eq(keys->credentials, 2);
	ck_assert_uint_eq(keys->token_kid.len, 16);
	memcpy(pub, keys->ledger_pub, 32);
	t.sub = t.scp = t.wid = t.tenant = span_str("x");
	t.iat = (uint64_t)time(NULL);
	t.exp = t.iat + 60;
	ck_assert_int_eq(sync_ask(&judge, MSG_token_sign, &t, WAIT_MS, NULL, NULL), 0);
	ck_assert_uint_eq(token->code, VAULT_OK);
	ck_assert_uint_gt(token->token.len, 100);
	t.exp = t.iat;
	ck_assert_int_eq(sync_ask(&judge, MSG_token_sign, &t, WAIT_MS, NULL, NULL), 0);
	ck_assert_uint_eq(token->code, VAULT_REFUSED);
	p.chain = span_str("c");
	p.seq = 5;
	p.time = span_str("2026-01-01T00:00:00Z");
	memset(p.root, 0x11, sizeof(p.root));
	ck_assert_int_eq(
	    sync_ask(&judge, MSG_checkpoint_sign, &p, WAIT_MS, NULL, NULL), 0);
	ck_assert_uint_eq(cp->code, VAULT_OK);
	ck_assert_int_eq(
	    crypto_sign_verify_detached(cp->signature,
		(const uint8_t
			*)"aegis-checkpoint-2\nc\n5\n"
			  "00000000000000000000000000000000000000000000000000000000"
			  "00000000\n"
			  "11111111111111111111111111111111111111111111111111111111"
			  "11111111\n2026-01-01T00:00:00Z\n",
		174, pub),
	    0);
	p.seq = 4;
	ck_assert_int_eq(
	    sync_ask(&judge, MSG_checkpoint_sign, &p, WAIT_MS, NULL, NULL), 0);
	ck_assert_uint_eq(cp->code, VAULT_REFUSED);

	ck_assert_uint_eq(drop("stripe"), VAULT_OK);
	ck_assert_uint_eq(drop("stripe"), VAULT_MISSING);
	must_be_told(&worker, 1);
	ck_assert_uint_eq(fetch(&worker)->code, VAULT_MISSING);
	/* the other worker was told nothing */
	must_fetch(&worker2, "sk_live_2");
	stop();
}
END_TEST

static int
hook_is(const char *value)
{
	const struct msg_credential_secret *a = fetch(&worker);

	return a->code == VAULT_OK && secret_eq_mem(a->secret, value, strlen(value));
}

static void
reload_check(void)
{
	const struct msg_conf_checked *a = (const void *)&master.msg;
	MSG_INIT(conf_check, m);

	ck_assert_int_eq(sync_ask(&master, MSG_conf_check, &m, WAIT_MS, NULL, NULL), 0);
	ck_assert_uint_eq(a->code, 0);
}

/* And waits until that was read. */
static void
reload_end(int commit)
{
	MSG_INIT(conf_apply, m);

	m.commit = (uint8_t)commit;
	ck_assert_int_eq(sync_send(&master, MSG_conf_apply, &m, 0), 0);
	reload_check();
}

START_TEST(webhooks_of_a_new_configuration)
{
	up(1);
	door(&worker, ROLE_WORKER, 20, "webhook.1");
	ck_assert(hook_is("sk_live_hook"));
	/* the end of a reload that began before this vault did, which has it all */
	reload_end(1);
	ck_assert(hook_is("sk_live_hook"));
	conf_hook("sk_live_wrong");
	reload_check();
	reload_end(0);
	ck_assert(hook_is("sk_live_hook"));
	conf_hook("sk_live_new");
	reload_check();
	reload_end(1);
	must_be_told(&worker, 0);
	ck_assert(hook_is("sk_live_new"));
	reload_check();
	reload_end(1); /* without one */
	must_be_told(&worker, 1);
	stop();
}
END_TEST

START_TEST(environment_of_one_server)
{
	const struct msg_env_item *e;

	up(1);
	ck_assert_uint_eq(seal("stripe", "sk_live_9", 0), VAULT_OK);
	door(&exec_, ROLE_TOOLEXEC, 30, "files");
	e = env(0);
	ck_assert_uint_eq(e->code, VAULT_OK);
	ck_assert(span_eq(e->variable, "A"));
	ck_assert(secret_eq_mem(e->value, "value of A", 10));
	e = env(1);
	ck_assert_uint_eq(e->code, VAULT_OK);
	ck_assert(span_eq(e->variable, "B"));
	ck_assert(secret_eq_mem(e->value, "sk_live_9", 9));
	ck_assert_uint_eq(env(2)->code, VAULT_MISSING);
	ck_assert_uint_eq(env(3)->code, VAULT_BAD_REFERENCE);
	ck_assert_uint_eq(env(4)->code, VAULT_MISSING);
	ck_assert_uint_eq(env(UINT32_MAX)->code, VAULT_MISSING);
	/* again: nothing was used up */
	ck_assert(secret_eq_mem(env(0)->value, "value of A", 10));
	stop();
}
END_TEST

START_TEST(secrets_come_in_files_and_whole_pipes)
{
	static char big[32769];
	int p[2], sv[2];

	up(1);
	memset(big, 'b', sizeof(big));
	ck_assert_uint_eq(seal_fd("big", memfd_of(big, 32769), 0), VAULT_TOO_LARGE);
	ck_assert_uint_eq(seal_fd("big", memfd_of(big, 32768), 0), VAULT_OK);
	ck_assert_uint_eq(seal_fd("none", memfd_of("", 0), 0), VAULT_REFUSED);
	ck_assert_uint_eq(seal_fd("none", -1, 0), VAULT_REFUSED);
	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	ck_assert_int_eq(write(p[1], "sk_live_p", 9), 9);
	ck_assert_uint_eq(seal_fd("open", p[0], 0), VAULT_REFUSED);
	close(p[1]);
	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	ck_assert_int_eq(write(p[1], "sk_live_p", 9), 9);
	close(p[1]);
	ck_assert_uint_eq(seal_fd("pipe", p[0], 0), VAULT_OK);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	ck_assert_uint_eq(seal_fd("socket", sv[0], 0), VAULT_REFUSED);
	close(sv[1]);
	ck_assert_uint_eq(
	    seal_fd("dir", open("/", O_RDONLY | O_CLOEXEC), 0), VAULT_REFUSED);
	ck_assert_uint_eq(
	    seal_fd("zero", open("/dev/zero", O_RDONLY | O_CLOEXEC), 0), VAULT_REFUSED);
	door(&worker, ROLE_WORKER, 20, "pipe");
	must_fetch(&worker, "sk_live_p");
	door(&worker2, ROLE_WORKER, 21, "big");
	ck_assert(secret_eq_mem(fetch(&worker2)->secret, big, 32768));
	stop();
}
END_TEST

/* A worker that asks for what is the judge's loses its door; judge and master hear of it.
 */
START_TEST(a_worker_cannot_sign)
{
	const struct msg_misbehaved *bad = (const void *)&master.msg;
	MSG_INIT(token_sign, t);

	up(1);
	ck_assert_uint_eq(seal("stripe", "sk_live_1", 0), VAULT_OK);
	door(&worker, ROLE_WORKER, 20, "stripe");
	t.sub = t.scp = t.wid = span_str("x");
	t.exp = 60;
	ck_assert_int_eq(sync_ask(&worker, MSG_token_sign, &t, WAIT_MS, NULL, NULL), -1);
	ck_assert_int_eq(sync_recv(&judge, WAIT_MS), 0);
	ck_assert_int_eq(judge.desc->type, MSG_permit_refused);
	ck_assert_int_eq(sync_recv(&master, WAIT_MS), 0);
	ck_assert_int_eq(master.desc->type, MSG_misbehaved);
	ck_assert_uint_eq(bad->instance, 20);
	/* and the vault lives on */
	door(&worker2, ROLE_WORKER, 21, "stripe");
	must_fetch(&worker2, "sk_live_1");
	stop();
}
END_TEST

START_TEST(a_judge_cannot_read)
{
	MSG_INIT(credential_fetch, m);

	up(1);
	ck_assert_int_eq(
	    sync_ask(&judge, MSG_credential_fetch, &m, WAIT_MS, NULL, NULL), -1);
	stop();
}
END_TEST

/* The judge alone changes nothing: not where a credential may go, not how it goes there.
 */
START_TEST(a_judge_cannot_seal_alone)
{
	static const struct {
		const char *name, *service, *domains, *auth, *header, *param, *scheme;
		uint32_t port, grace;
		uint8_t private;
	} others[] = {
	    {.name = "other"},
	    {.service = "other"},
	    {.domains = "evil.example"},
	    {.domains = "api.stripe.com,evil.example"},
	    {.domains = ""},
	    {.auth = "query", .param = "key"},
	    {.header = "x-other"},
	    {.param = "key"},
	    {.scheme = "http"},
	    {.port = 8443},
	    {.private = 1},
	    {.grace = 3600},
	};
	const struct msg_vault_done *done = (const void *)&judge.msg;
	uint8_t id[16], none[16] = {0};
	size_t i;
	MSG_INIT(secret_offer, add);

	up(1);
	/* nobody has brought anything, or something else is guessed */
	for (i = 0; i < 2; i++) {
		MSG_INIT(credential_seal, m);

		seal_of(&m, "stripe", (int)i);
		ck_assert_uint_eq(confirm(&m, none), VAULT_REFUSED);
	}
	ck_assert_uint_eq(seal("stripe", "sk_live_1", 0), VAULT_OK);
	door(&worker, ROLE_WORKER, 20, "stripe");
	must_fetch(&worker, "sk_live_1");
	/* not what an administrator who is there has brought: a new secret, and then a
	 * new credential */
	for (i = 0; i < 2 * sizeof(others) / sizeof(others[0]); i++) {
		size_t n = i / 2;
		MSG_INIT(secret_offer, o);
		MSG_INIT(credential_seal, m);

		offer_of(
		    &o, i % 2 ? "fresh" : "stripe", memfd_of("sk_live_2", 9), !(i % 2));
		ck_assert_uint_eq(bring(&admin, &o, id), VAULT_OK);
		seal_of(&m, i % 2 ? "fresh" : "stripe", !(i % 2));
#define OTHER_TEXT(field, member)     \
	if (others[n].member != NULL) \
		m.field = span_str(others[n].member);
		OTHER_TEXT(name, name)
		OTHER_TEXT(service, service)
		OTHER_TEXT(domains, domains)
		OTHER_TEXT(auth_type, auth)
		OTHER_TEXT(header_name, header)
		OTHER_TEXT(query_param, param)
		OTHER_TEXT(scheme, scheme)
		if (others[n].port != 0)
			m.port = others[n].port;
		if (others[n].private != 0)
			m.allow_private = 1;
		m.grace_s = others[n].grace;
		ck_assert_uint_eq(confirm(&m, id), VAULT_REFUSED);
		ck_assert_uint_gt(done->message.len, 0);
	}
	must_fetch(&worker, "sk_live_1");
	ck_assert_uint_eq(drop("fresh"), VAULT_MISSING);
	/* a change of one thing is no change of another */
	{
		MSG_INIT(secret_offer, o);
		MSG_INIT(credential_seal, m);

		offer_of(&o, "stripe", -1, 1);
		o.set = CREDENTIAL_DOMAINS;
		o.domains = span_str("api.stripe.com,b.example");
		ck_assert_uint_eq(bring(&admin, &o, id), VAULT_OK);
		seal_of(&m, "stripe", 1);
		m.domains = o.domains;
		m.allow_private = 1;
		ck_assert_uint_eq(confirm(&m, id), VAULT_REFUSED);
		m.allow_private = 0;
		ck_assert_uint_eq(confirm(&m, id), VAULT_OK);
		must_be_told(&worker, 0);
		/* and counts once */
		ck_assert_uint_eq(confirm(&m, id), VAULT_REFUSED);
	}
	/* nor is what a connection brought good when that has ended */
	offer_of(&add, "late", memfd_of("sk_live_3", 9), 0);
	ck_assert_uint_eq(bring(&admin, &add, id), VAULT_OK);
	hang_up(&admin);
	come_in(&admin);
	{
		MSG_INIT(secret_offer, o);
		MSG_INIT(credential_seal, m);
		uint8_t id2[16];

		/* one that vault has answered after it has seen the other go */
		offer_of(&o, "x", memfd_of("sk_live_4", 9), 0);
		ck_assert_uint_eq(bring(&admin, &o, id2), VAULT_OK);
		seal_of(&m, "late", 0);
		ck_assert_uint_eq(confirm(&m, id), VAULT_REFUSED);
	}
	stop();
}
END_TEST

START_TEST(killed_and_back)
{
	static char text[65536];

	up(1);
	ck_assert_uint_eq(seal("stripe", "sk_live_1", 0), VAULT_OK);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert(WIFSIGNALED(down(text, sizeof(text))));
	up(0);
	door(&worker, ROLE_WORKER, 20, "stripe");
	must_fetch(&worker, "sk_live_1");
	stop();
}
END_TEST

/* Starts and must fail; its log must say `want` and never the key. */
static void
must_not_start(const char *key, int create, const char *want)
{
	static char text[65536];
	int status;

	launch(key, create);
	status = down(text, sizeof(text));
	ck_assert_msg(
	    WIFEXITED(status) && WEXITSTATUS(status) == 1, "%d %s", status, text);
	ck_assert_msg(strstr(text, want) != NULL, "%s", text);
	if (key[0] != '\0')
		ck_assert_ptr_null(strstr(text, key));
}

START_TEST(failures_at_start)
{
	must_not_start("", 1, "AEGIS_MASTER_KEY is not set");
	must_not_start("hunter2hunter2", 1, "AEGIS_MASTER_KEY is not 64 hexadecimal");
	must_not_start(KEY "00", 1, "AEGIS_MASTER_KEY is not 64 hexadecimal");
	must_not_start(KEY, 0, "aegis init");
	up(1);
	stop();
	must_not_start(KEY, 1, "exists already");
	must_not_start(OTHER, 1, "exists already");
	must_not_start(OTHER, 0, "Invalid master key");
	up(0);
	/* a second one on the same directory */
	{
		struct sync first_master = master, first_judge = judge;
		pid_t first = pid;
		int first_err = err_fd;

		memset(&master, 0, sizeof(master));
		memset(&judge, 0, sizeof(judge));
		must_not_start(KEY, 0, "in use by another gate");
		master = first_master;
		judge = first_judge;
		pid = first;
		err_fd = first_err;
	}
	stop();
	ck_assert_int_eq(chmod(dir, 0750), 0);
	must_not_start(KEY, 0, "chmod 700");
}
END_TEST

/* How often `needle` is in the writable memory that can be read at all. */
static int
count_in_memory(const char *needle)
{
	static char line[512], chunk[1 << 20];
	char path[64];
	unsigned long from, to;
	FILE *maps;
	int mem, found = 0;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	if (mem == -1) /* not dumpable: only root may look */
		return geteuid() == 0 ? -1 : 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		if (to - from > 1ul << 30) /* a sanitizer's shadow */
			continue;
		for (; from < to; from += sizeof(chunk) - 4096) {
			size_t n = to - from < sizeof(chunk) ? to - from : sizeof(chunk);
			ssize_t got = pread(mem, chunk, n, (off_t)from);

			if (got > 0 &&
			    memmem(chunk, (size_t)got, needle, strlen(needle)) != NULL)
				found++;
		}
	}
	fclose(maps);
	close(mem);
	return found;
}

START_TEST(nothing_stays_in_memory)
{
	static const char canary[] = "sk_live_canary_5d41402abc4b2a76";
	char many[60 * sizeof(canary)] = "", half[40];
	MSG_INIT(vault_keys, q);

	/* long, so that freed memory is not wholly used again by what follows */
	for (size_t i = 0; i + sizeof(canary) < sizeof(many); i += sizeof(canary) - 1)
		memcpy(many + i, canary, sizeof(canary));
	up(1);
	ck_assert_uint_eq(seal("stripe", many, 0), VAULT_OK);
	door(&worker, ROLE_WORKER, 20, "stripe");
	must_fetch(&worker, many);
	/* one more turn of its loop, so that what it sent is surely released */
	ck_assert_int_eq(sync_ask(&judge, MSG_vault_keys, &q, WAIT_MS, NULL, NULL), 0);
	ck_assert_int_eq(count_in_memory(canary), 0);
	ck_assert_uint_eq(seal_fd("stripe", -1, 1), VAULT_OK);
	must_be_told(&worker, 0);
	ck_assert_int_eq(count_in_memory(canary), 0);
	snprintf(half, sizeof(half), "%s", canary + 12);
	ck_assert_int_eq(count_in_memory(half), 0);
	/* nor the master key, as octets or as text */
	snprintf(half, sizeof(half), "%.32s", KEY);
	ck_assert_int_eq(count_in_memory(half), 0);
	ck_assert_int_eq(
	    count_in_memory(
		"\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"),
	    0);
	/* the search itself works: the description is there in clear */
	if (geteuid() == 0)
		ck_assert_int_gt(count_in_memory("api.stripe.com"), 0);
	stop();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("vault process");
	TCase *tc = tcase_create("vault process");
	SRunner *run;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_life);
	tcase_add_test(tc, webhooks_of_a_new_configuration);
	tcase_add_test(tc, environment_of_one_server);
	tcase_add_test(tc, secrets_come_in_files_and_whole_pipes);
	tcase_add_test(tc, a_worker_cannot_sign);
	tcase_add_test(tc, a_judge_cannot_read);
	tcase_add_test(tc, a_judge_cannot_seal_alone);
	tcase_add_test(tc, killed_and_back);
	tcase_add_test(tc, failures_at_start);
	tcase_add_test(tc, nothing_stays_in_memory);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed == 0 ? 0 : 1;
}
