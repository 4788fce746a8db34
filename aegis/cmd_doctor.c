/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis doctor: is everything there that a gate needs, and does it work?
 */
#include <errno.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "aegis/layout.h"
#include "aegis/out.h"
#include "aegis/sealed.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/secret.h"

#define CONNECT_MS 2000

enum result { PASS, WARN, FAIL };

struct doctor {
	bool json;
	struct jsonw w;
	struct buf out;
	unsigned warnings, failures;
	bool gate; /* one is running */
};

static void __attribute__((format(printf, 4, 5)))
say(struct doctor *d, enum result r, const char *what, const char *fmt, ...)
{
	static const char *const words[] = {"pass", "warn", "fail"};
	static const char *const signs[] = {"✓", "!", "✗"};
	static const enum out_colour colours[] = {OUT_GREEN, OUT_YELLOW, OUT_RED};
	char text[600];
	struct buf clean;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->warnings += r == WARN;
	d->failures += r == FAIL;
	if (d->json) {
		jsonw_obj_open(&d->w);
		jsonw_key_str(&d->w, "check", what);
		jsonw_key_str(&d->w, "result", words[r]);
		jsonw_key_str(&d->w, "detail", text);
		jsonw_obj_close(&d->w);
		return;
	}
	buf_init(&clean);
	out_clean(&clean, text, strlen(text));
	printf("%s%s %s%s  %-16s %.*s\n", out_colour(stdout, colours[r]), signs[r],
	    words[r], out_colour(stdout, OUT_PLAIN), what, (int)clean.len,
	    (char *)clean.p);
	buf_free(&clean);
}

static void
check_config(struct doctor *d, const struct config *c)
{
	if (c->file == NULL)
		say(d, WARN, "configuration",
		    "no file, defaults only: run \"aegis init\"");
	else
		say(d, PASS, "configuration", "%s", c->file);
	if (!c->require_agent_auth)
		say(d, WARN, "agents",
		    "gate.require_agent_auth is false: whoever reaches the gate "
		    "can use every credential");
	if (c->tls_cert == NULL && strncmp(c->listen[0], "127.", 4) != 0 &&
	    strncmp(c->listen[0], "[::1]", 5) != 0 &&
	    strncmp(c->listen[0], "localhost", 9) != 0)
		say(d, WARN, "transport",
		    "%s is not loopback and has no TLS: tokens cross the "
		    "network in clear",
		    c->listen[0]);
}

static void
check_data(struct doctor *d, const struct config *c)
{
	/* as root the daemons have users of their own, who must pass through */
	mode_t allowed = geteuid() == 0 ? 0711 : 0700;
	struct stat st;

	if (stat(c->data_dir, &st) == -1)
		say(d, FAIL, "data directory", "%s: %s: run \"aegis init\"", c->data_dir,
		    strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		say(d, FAIL, "data directory", "%s is no directory", c->data_dir);
	else if ((st.st_mode & 0777 & ~allowed) != 0)
		say(d, FAIL, "data directory", "%s has mode %03o: run chmod %03o %s",
		    c->data_dir, st.st_mode & 0777u, allowed, c->data_dir);
	else if (st.st_uid != geteuid())
		say(d, WARN, "data directory", "%s belongs to user %u, not to you (%u)",
		    c->data_dir, (unsigned)st.st_uid, (unsigned)geteuid());
	else
		say(d, PASS, "data directory", "%s", c->data_dir);
}

/* As root: may the daemons' users pass through every directory above? */
static void
check_way(struct doctor *d, const struct config *c)
{
	char path[1024];
	struct stat st;
	char *slash;

	if (geteuid() != 0 || strlen(c->data_dir) >= sizeof(path))
		return;
	snprintf(path, sizeof(path), "%s", c->data_dir);
	while ((slash = strrchr(path, '/')) != NULL && slash != path) {
		*slash = '\0';
		if (stat(path, &st) == 0 && (st.st_mode & S_IXOTH) == 0)
			say(d, FAIL, "way to the data",
			    "%s lets the daemons' users not pass: run "
			    "chmod o+x %s, or move vault.data_dir",
			    path, path);
	}
}

static void
check_key(struct doctor *d, const struct config *c)
{
	if (c->master_key == NULL && sealed_is_split(c))
		say(d, PASS, "master key",
		    "in shares: a gate that is started is sealed until \"aegis vault "
		    "unseal\"");
	else if (c->master_key == NULL &&
	    d->gate) /* a credential of systemd, for instance */
		say(d, PASS, "master key", "the running gate has it; there is none here");
	else if (c->master_key == NULL)
		say(d, FAIL, "master key",
		    "AEGIS_MASTER_KEY is not set: export AEGIS_MASTER_KEY=<key>, or use "
		    "\"aegis init --write-secrets\"");
	else if (sealed_is_split(c))
		say(d, WARN, "master key",
		    "from %s: whoever can read that needs none of the shares that there "
		    "are",
		    c->master_key_source);
	else
		say(d, PASS, "master key", "from %s", c->master_key_source);
}

static void
check_kernel(struct doctor *d)
{
	long abi = syscall(
	    SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (prctl(PR_GET_SECCOMP) == -1 && errno == EINVAL)
		say(d, FAIL, "seccomp", "this kernel has no seccomp filters");
	else
		say(d, PASS, "seccomp", "available");
	if (abi < 1)
		say(d, WARN, "landlock",
		    "not available: daemons are held by seccomp and users only");
	else
		say(d, PASS, "landlock", "version %ld", abi);
	(void)secret_init(0);
	if (secret_level() == SECRET_LEVEL_PLAIN)
		say(d, WARN, "secret memory",
		    "cannot be locked, so it may be swapped: raise RLIMIT_MEMLOCK");
	else
		say(d, PASS, "secret memory", "%s",
		    secret_level() == SECRET_LEVEL_HIDDEN
			? "hidden from the kernel's own map (memfd_secret)"
			: "locked");
}

/* Does somebody accept connections on the gate's address, as the gate itself says it? */
static void
check_address(struct doctor *d, const char *url)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	const char *scheme = strstr(url, "://"),
		   *address = scheme != NULL ? scheme + 3 : url;
	const char *colon = strrchr(address, ':');
	char host[256];
	int fd = -1, bracket = address[0] == '[';
	struct pollfd pfd;
	socklen_t len = sizeof(int);
	int err = 0;

	if (colon == NULL || colon - address < 2 * bracket) {
		say(d, FAIL, "gate address", "the judge does not know it");
		return;
	}
	snprintf(host, sizeof(host), "%.*s", (int)(colon - address) - 2 * bracket,
	    address + bracket);
	if (getaddrinfo(host, colon + 1, &hints, &list) == 0)
		fd = socket(
		    list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen) == -1)
		err = errno;
	if (err == EINPROGRESS) {
		pfd = (struct pollfd){.fd = fd, .events = POLLOUT};
		err = poll(&pfd, 1, CONNECT_MS) == 1 ? 0 : ETIMEDOUT;
		if (err == 0)
			(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	}
	if (fd == -1 || err != 0)
		say(d, FAIL, "gate address", "%s: %s", address,
		    fd == -1 ? "cannot be resolved" : strerror(err));
	else
		say(d, PASS, "gate address", "%s accepts connections", address);
	if (fd >= 0)
		close(fd);
	if (list != NULL)
		freeaddrinfo(list);
}

static bool
truth(const struct json_doc *j, uint32_t object, const char *member)
{
	bool v = false;

	(void)json_bool(j, json_get(j, object, member), &v);
	return v;
}

static int64_t
number(const struct json_doc *j, const char *group, const char *member)
{
	int64_t n = 0;

	(void)json_int64(j, json_get(j, json_get(j, 0, group), member), &n);
	return n;
}

static void
check_policies(struct doctor *d, const struct json_doc *j)
{
	uint32_t p = json_get(j, 0, "policies");
	char mode[16] = "", refused[1001] = "";

	(void)json_str_copy(j, json_get(j, p, "mode"), mode, sizeof(mode), NULL);
	(void)json_str_copy(j, json_get(j, p, "refused"), refused, sizeof(refused), NULL);
	if (refused[0] != '\0')
		say(d, FAIL, "policies",
		    "%s: correct the files, the gate reads them again", refused);
	else if (d->gate && strcmp(mode, "off") != 0)
		say(d, PASS, "policies", "%lld, %s",
		    (long long)number(j, "policies", "total"), mode);
}

static void
check_status(struct doctor *d, const struct config *c, const struct json_doc *j)
{
	int64_t n, total = number(j, "credentials", "total");
	char url[300] = "";

	(void)json_str_copy(j, json_get(j, 0, "gate_url"), url, sizeof(url), NULL);
	if (d->gate)
		check_address(d, url);
	if (truth(j, json_get(j, 0, "vault"), "sealed"))
		say(d, WARN, "vault",
		    "sealed, so every request is answered 503: aegis vault unseal");
	else if (truth(j, json_get(j, 0, "vault"), "ready"))
		say(d, PASS, "vault", "open");
	else
		say(d, FAIL, "vault", "not running: see the log");
	n = number(j, "vault", "saves_missing");
	if (n > 0)
		say(d, FAIL, "vault file",
		    "older than the newest by %lld saves: see vault.rollback in the "
		    "ledger",
		    (long long)n);
	if (d->gate && !truth(j, 0, "dispatcher"))
		say(d, FAIL, "dispatcher", "not running: see the log");
	else if (d->gate)
		say(d, PASS, "dispatcher", "running");
	if (d->gate && c->ntools > 0 && !truth(j, 0, "toolhost"))
		say(d, FAIL, "tool host", "not running: see the log");
	else if (d->gate && c->ntools > 0)
		say(d, PASS, "tool host", "running, %zu tool servers configured",
		    c->ntools);
	check_policies(d, j);
	n = number(j, "ledger", "lost");
	if (n > 0)
		say(d, FAIL, "ledger", "%lld rows were lost: is the disk full?",
		    (long long)n);
	else
		say(d, PASS, "ledger", "%lld rows, %lld signed",
		    (long long)number(j, "ledger", "rows"),
		    (long long)number(j, "ledger", "signed"));
	n = number(j, "credentials", "expired");
	if (n > 0)
		say(d, WARN, "expired",
		    "%lld credentials: aegis vault rotate --name NAME --ttl DAYS",
		    (long long)n);
	n = number(j, "credentials", "expiring_soon");
	if (n > 0)
		say(d, WARN, "expiring soon", "%lld credentials, within 7 days",
		    (long long)n);
	if (total == 0)
		say(d, WARN, "credentials", "none yet: aegis vault add");
	else
		say(d, PASS, "credentials", "%lld", (long long)total);
}

/* vault's own findings (keymasterd/vault/bao_check.c). */
static void
check_openbao(struct doctor *d)
{
	struct admin_answer a = {0};
	struct json_doc j;
	struct json_iter it;
	char what[64], result[16], text[600];
	MSG_INIT(openbao_test, m);

	json_init(&j);
	if (admin_ask(MSG_openbao_test, &m, NULL, NULL, &a) == -1 || a.code != ADMIN_OK ||
	    json_parse(&j, a.json.p, a.json.len, NULL) != JSON_OK)
		say(d, FAIL, "openbao", "vault does not say: see the log");
	json_iter_init(&it, &j, json_root(&j));
	while (json_iter_next(&it, &j)) {
		if (json_str_copy(&j, json_get(&j, it.value, "check"), what, sizeof(what),
			NULL) == -1 ||
		    json_str_copy(&j, json_get(&j, it.value, "result"), result,
			sizeof(result), NULL) == -1 ||
		    json_str_copy(&j, json_get(&j, it.value, "message"), text,
			sizeof(text), NULL) == -1)
			continue;
		say(d,
		    strcmp(result, "pass") == 0       ? PASS
			: strcmp(result, "warn") == 0 ? WARN
						      : FAIL,
		    what, "%s", text);
	}
	json_free(&j);
	admin_answer_free(&a);
}

static void
check_keymaster(struct doctor *d, struct cli *cli)
{
	const struct config *c = cli->config;
	struct admin_answer a = {0};
	struct json_doc j;
	MSG_INIT(status, m);

	if (d->gate) {
		say(d, PASS, "gate", "running, admin socket %s", c->admin_socket);
	} else {
		say(d, WARN, "gate", "not running: start it with \"aegis gate\"");
	}
	/* without a gate this starts judge and vault, which proves key and files */
	if (c->master_key == NULL && !sealed_would_be(c) && !d->gate)
		return;
	if (admin_open(cli, ADMIN_NEED_DATA) != 0) {
		say(d, FAIL, "vault", "cannot be opened: the reason is above");
		return;
	}
	json_init(&j);
	if (admin_ask(MSG_status, &m, NULL, NULL, &a) == -1 || a.code != ADMIN_OK ||
	    json_parse(&j, a.json.p, a.json.len, NULL) != JSON_OK)
		say(d, FAIL, "judge", "does not answer");
	else {
		say(d, PASS, "judge", "answers");
		check_status(d, c, &j);
		if (c->vault_provider == CONFIG_OPENBAO && d->gate)
			check_openbao(d);
	}
	json_free(&j);
	admin_answer_free(&a);
	admin_close();
}

int
cmd_doctor(struct cli *cli)
{
	struct doctor d = {.json = cli->json};
	struct config *c;

	buf_init(&d.out);
	jsonw_init(&d.w, &d.out);
	if (d.json)
		jsonw_arr_open(&d.w);
	c = cli_config_serve(cli);
	if (c == NULL) {
		say(&d, FAIL, "configuration", "cannot be used: the reasons are above");
	} else {
		d.gate = admin_open_quietly(c) == 0;
		admin_close();
		check_config(&d, c);
		check_data(&d, c);
		check_way(&d, c);
		check_key(&d, c);
		check_kernel(&d);
		check_keymaster(&d, cli);
	}
	if (d.json) {
		jsonw_arr_close(&d.w);
		if (jsonw_done(&d.w) == 0)
			printf("%.*s\n", (int)d.out.len, (char *)d.out.p);
	} else {
		printf("%u failed, %u warnings\n", d.failures, d.warnings);
	}
	buf_free(&d.out);
	return d.failures > 0 ? ADMIN_FAILED : ADMIN_OK;
}
