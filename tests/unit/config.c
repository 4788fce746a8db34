/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: what files are refused and with which words, which layer wins, where
 * the master key comes from, and that nothing secret stays where it was.
 */
#include "aegis/config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/keys.h"
#include "aegis/problem.h"
#include "aegis/yaml.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/secret.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define KEY_C "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"

static char dir[] = "/tmp/config-test-XXXXXX";
static char errors[16384]; /* what config_load() said on standard error */

static void
put_file(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(name, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(name, mode), 0);
}

static void
setup(void)
{
	static const char *const own[] = {"AEGIS_CONFIG", "AEGIS_MASTER_KEY",
	    "AEGIS_PORT", "AEGIS_DATA_DIR", "AEGIS_VAULT", "AEGIS_LOG_LEVEL",
	    "CREDENTIALS_DIRECTORY"};
	size_t i;

	memcpy(dir, "/tmp/config-test-XXXXXX", sizeof(dir));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	setenv("HOME", dir, 1);
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		unsetenv(own[i]);
}

static void
teardown(void)
{
	char command[64];

	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* Loads with standard error in `errors`. */
static struct config *
load_with(const struct config_flags *flags)
{
	int saved = dup(2), fd = open("stderr", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct config *c;
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	fflush(stderr);
	dup2(fd, 2);
	c = config_load(flags);
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	n = pread(fd, errors, sizeof(errors) - 1, 0);
	ck_assert_int_ge(n, 0);
	errors[n] = '\0';
	close(fd);
	unlink("stderr");
	return c;
}

static struct config *
load(const char *text)
{
	static const struct config_flags none = {.serve = true};

	if (text != NULL)
		put_file("aegis.config.yaml", text, 0600);
	return load_with(&none);
}

/* The file is refused, and this is among what is said. */
static void
refused(const char *text, const char *words)
{
	struct config *c = load(text);

	ck_assert_msg(c == NULL, "accepted: %s", text);
	ck_assert_msg(
	    strstr(errors, words) != NULL, "%s\nsaid: %s\nnot: %s", text, errors, words);
}

static struct config *
accepted(const char *text)
{
	struct config *c = load(text);

	ck_assert_msg(c != NULL, "refused: %s\n%s", text != NULL ? text : "", errors);
	return c;
}

START_TEST(defaults)
{
	char path[128];
	struct config *c = accepted(NULL);

	ck_assert_ptr_null(c->file);
	ck_assert_str_eq(c->listen[0], "127.0.0.1:3100");
	ck_assert_ptr_null(c->listen[1]);
	ck_assert(c->require_agent_auth);
	ck_assert_uint_ge(c->workers, 1);
	ck_assert_uint_le(c->workers, 16);
	ck_assert_uint_eq(c->request_timeout_ms, 30000);
	ck_assert_uint_eq(c->seal_window_s, 30);
	ck_assert_uint_eq(c->seal_token_ttl_s, 3600);
	ck_assert_uint_eq(c->max_body_size, 1048576);
	ck_assert_int_eq(c->log_level, LOG_LEVEL_INFO);
	ck_assert_int_eq(c->log_format, LOG_FORMAT_JSON);
	ck_assert(!c->ledger_sync_full);
	snprintf(path, sizeof(path), "%s/.aegis", dir);
	ck_assert_str_eq(c->data_dir, path);
	snprintf(path, sizeof(path), "%s/.aegis/admin.sock", dir);
	ck_assert_str_eq(c->admin_socket, path);
	ck_assert_str_eq(c->tenant, "default");
	ck_assert_ptr_null(c->master_key);
	ck_assert_ptr_null(c->tls_cert);
	config_free(c);
}
END_TEST

START_TEST(values)
{
	struct config *c =
	    accepted("gate:\n"
		     "  listen: [127.0.0.1, \"[::1]:4000\", localhost:5000, \"::1\"]\n"
		     "  port: 3300\n"
		     "  require_agent_auth: false\n"
		     "  max_body_size: 2M\n"
		     "  request_timeout: 5000\n"
		     "  idle_timeout: 2m\n"
		     "vault: {name: staging, data_dir: data}\n"
		     "observability: {log_level: debug, log_format: logfmt}\n"
		     "ledger: {sync: full, checkpoint_seconds: 2m}\n"
		     "seal: {window: 1m, token_ttl: 1h, issuer: me}\n");

	ck_assert_str_eq(c->listen[0], "127.0.0.1:3300");
	ck_assert_str_eq(c->listen[1], "[::1]:4000");
	ck_assert_str_eq(c->listen[2], "localhost:5000");
	ck_assert_str_eq(c->listen[3], "[::1]:3300");
	ck_assert(!c->require_agent_auth);
	ck_assert_uint_eq(c->max_body_size, 2097152);
	ck_assert_uint_eq(c->request_timeout_ms, 5000);
	ck_assert_uint_eq(c->idle_timeout_ms, 120000);
	ck_assert_str_eq(c->vault_name, "staging");
	ck_assert_str_eq(strrchr(c->vaults_root, '/'), "/data");
	ck_assert_str_eq(strstr(c->data_dir, "/data/"), "/data/vaults/staging");
	ck_assert_int_eq(c->log_level, LOG_LEVEL_DEBUG);
	ck_assert_int_eq(c->log_format, LOG_FORMAT_LOGFMT);
	ck_assert(c->ledger_sync_full);
	ck_assert_uint_eq(c->checkpoint_seconds, 120);
	ck_assert_uint_eq(c->seal_window_s, 60);
	ck_assert_uint_eq(c->seal_token_ttl_s, 3600);
	ck_assert_str_eq(c->seal_issuer, "me");
	config_free(c);
}
END_TEST

/* Everything wrong is told at once, with file, line and column. */
START_TEST(all_errors)
{
	char place[160];

	refused("gate:\n  prot: 3100\n  workers: 99\n  port: x\nvalt:\n  name: a\n",
	    ":2:3: ");
	ck_assert_ptr_nonnull(strstr(errors,
	    "gate.prot: found an unknown key, expected perhaps "
	    "gate.port?"));
	snprintf(place, sizeof(place),
	    "%s/aegis.config.yaml:3:12: gate.workers: found \"99\", "
	    "expected a number from 0 to 16\n",
	    dir);
	ck_assert_ptr_nonnull(strstr(errors, place));
	ck_assert_ptr_nonnull(strstr(errors, ":4:9: gate.port: found \"x\""));
	ck_assert_ptr_nonnull(
	    strstr(errors, ":5:1: valt: found an unknown key, expected perhaps vault?"));
}
END_TEST

START_TEST(yaml_limits)
{
	struct buf b;
	int i;

	refused("gate: {port: 1}\ngate: {port: 2}\n",
	    ":2:1: gate: found this key again, expected it once: line 1 has it already");
	refused("gate: &a {port: 1}\n", "found an anchor");
	refused("gate: {port: &a 1}\nvault: {name: *a}\n", "found an alias");
	refused("gate: {port: !!int 1}\n", "found a tag");
	refused("gate: {port: 1}\n---\ngate: {port: 1}\n", "found a second document");
	refused("gate: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n",
	    "expected at most 16 levels");
	refused("? [a]\n: b\n", "found a list or map as a key");
	refused("gate: {port: [\n", "this is not YAML");
	refused("gate:\n\tport: 1\n", "this is not YAML");
	refused("[1]\n", "expected a map");
	refused("seal: {issuer: \"a\\0b\"}\n", "found a NUL character");
	refused("gate.port: 1\n", "gate.port: found an unknown key");
	refused("\xff\xfe\n", "this is not YAML");
	config_free(accepted(""));
	config_free(accepted("# nothing\ngate:\nvault: ~\n"));
	buf_init(&b);
	for (i = 0; i < 70000; i++)
		ck_assert_int_eq(buf_puts(&b, "# sixteen octets\n"), 0);
	ck_assert_int_eq(buf_putc(&b, 0), 0);
	refused((char *)b.p, "found more than 1 MiB");
	buf_reset(&b);
	for (i = 0; i < 1100; i++)
		ck_assert_int_eq(buf_printf(&b, "k%d: 1\n", i), 0);
	ck_assert_int_eq(buf_putc(&b, 0), 0);
	refused((char *)b.p, "found too many keys");
	buf_free(&b);
}
END_TEST

START_TEST(wrong_values)
{
	refused("gate: {port: 0}\n", "expected a number from 1 to 65535");
	refused("gate: {port: 65536}\n", "gate.port");
	refused("gate: {port: 3100s}\n", "gate.port");
	refused("gate: {port: -1}\n", "gate.port");
	refused("gate: {port: 99999999999999999999999}\n", "gate.port");
	refused(
	    "gate: {require_agent_auth: yes}\n", "found \"yes\", expected true or false");
	refused("gate: {request_timeout: 5}\n", "milliseconds from 1000");
	refused("gate: {request_timeout: 1y}\n", "or a time such as 30s");
	refused("seal: {window: 500ms}\n", "seconds from 1 to 3600");
	refused("gate: {tls: 3}\n", "found \"3\", expected a map");
	refused("gate: {tls: {cert: a}}\n", "gate.tls.key");
	refused("gate: {listen: [{a: b}]}\n", "found a map, expected text");
	refused("gate: {listen: \"a:b:c\"}\n", "expected HOST, HOST:PORT");
	refused("gate: {listen: \"[::1]x\"}\n", "expected HOST, HOST:PORT");
	refused("gate: {listen: []}\n", "found 0 addresses");
	refused("vault: {name: a b}\n", "letters, digits, _ and -");
	refused("observability: {log_level: loud}\n", "one of debug|info|warn|error");
	refused("ledger: {sync: sometimes}\n", "one of normal|full");
	refused(
	    "vault: {master_key: abc}\n", "found 3 characters, expected 64 hexadecimal");
	ck_assert_ptr_null(strstr(errors, "\"abc\"")); /* it may be most of a key */
}
END_TEST

START_TEST(later_features)
{
	static const char *const texts[] = {"metrics: {}\n", "dashboard: {}\n"};
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		refused(texts[i], "not supported yet: remove it");
}
END_TEST

START_TEST(layers)
{
	struct config_flags flags = {.port = 5};
	struct config *c;

	put_file(".env", "# comment\n\n AEGIS_PORT = 3 \nAEGIS_VAULT=dotenv\nX\n", 0600);
	c = accepted("gate: {port: 2}\nvault: {name: file}\n");
	ck_assert_str_eq(c->listen[0], "127.0.0.1:3");
	ck_assert_str_eq(c->vault_name, "dotenv");
	config_free(c);
	setenv("AEGIS_PORT", "4", 1);
	c = accepted(NULL);
	ck_assert_str_eq(c->listen[0], "127.0.0.1:4");
	config_free(c);
	c = load_with(&flags);
	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(c->listen[0], "127.0.0.1:5");
	config_free(c);
	/* a port of the environment or a flag is meant for whatever the file says */
	put_file("aegis.config.yaml", "gate: {listen: \"0.0.0.0:9\"}\n", 0600);
	c = load_with(&flags);
	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(c->listen[0], "0.0.0.0:5");
	config_free(c);
	/* empty is not given; wrong is refused with the variable's name */
	setenv("AEGIS_PORT", "", 1);
	setenv("AEGIS_VAULT", "a/b", 1);
	refused("gate: {port: 2}\n", "environment: AEGIS_VAULT: found \"a/b\"");
}
END_TEST

START_TEST(flags)
{
	struct config_flags f = {.no_agent_auth = true, .tls = true, .data_dir = "other"};
	char path[128];
	struct config *c = load_with(&f);

	ck_assert_ptr_nonnull(c);
	ck_assert(!c->require_agent_auth);
	snprintf(path, sizeof(path), "%s/certs/aegis.crt", dir);
	ck_assert_str_eq(c->tls_cert, path);
	snprintf(path, sizeof(path), "%s/other", dir);
	ck_assert_str_eq(c->data_dir, path);
	config_free(c);
	f.file = "missing.yaml";
	ck_assert_ptr_null(load_with(&f));
	ck_assert_ptr_nonnull(strstr(errors, "missing.yaml: No such file"));
}
END_TEST

START_TEST(discovery)
{
	struct config *c;
	char path[128];

	ck_assert_int_eq(mkdir("sub", 0700), 0);
	put_file("aegis.config.yml", "vault: {name: home}\n", 0600);
	put_file("sub/x.yaml", "vault: {name: named}\n", 0600);
	ck_assert_int_eq(chdir("sub"), 0);
	c = accepted(NULL); /* $HOME */
	ck_assert_str_eq(c->vault_name, "home");
	snprintf(path, sizeof(path), "%s/.aegis", dir);
	ck_assert_str_eq(c->vaults_root, path);
	config_free(c);
	setenv("AEGIS_CONFIG", "x.yaml", 1);
	c = accepted(NULL);
	ck_assert_str_eq(c->vault_name, "named");
	snprintf(path, sizeof(path), "%s/sub/.aegis", dir);
	ck_assert_str_eq(c->vaults_root, path);
	config_free(c);
}
END_TEST

/* In a directory of all users anybody may have put a file. */
START_TEST(strangers_file)
{
	struct config_flags named = {.file = "aegis.config.yaml"};
	struct config *c;

	put_file("aegis.config.yaml", "vault: {name: evil}\n", 0666);
	put_file(".env", "AEGIS_VAULT=evil\n", 0644);
	c = accepted(NULL);
	ck_assert_str_eq(c->vault_name, "evil"); /* ours */
	ck_assert_ptr_nonnull(strstr(errors, "others can write"));
	config_free(c);
	if (geteuid() != 0)
		return; /* cannot give files away */
	ck_assert_int_eq(chown("aegis.config.yaml", 12345, 12345), 0);
	ck_assert_int_eq(chown(".env", 12345, 12345), 0);
	c = accepted(NULL);
	ck_assert_str_eq(c->vault_name, "default");
	ck_assert_ptr_nonnull(strstr(errors, "belongs to user 12345"));
	config_free(c);
	c = load_with(&named);
	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(c->vault_name, "evil");
	config_free(c);
}
END_TEST

/* The source with the highest rank wins, and each is found. */
START_TEST(master_key)
{
	struct config *c;

	ck_assert_int_eq(mkdir(".aegis", 0700), 0);
	ck_assert_int_eq(mkdir("creds", 0700), 0);
	put_file(".aegis/.master-key", KEY_C, 0600);
	c = accepted("gate: {port: 1}\n");
	ck_assert(secret_eq_mem(c->master_key, KEY_C, 64));
	ck_assert_ptr_nonnull(strstr(c->master_key_source, ".master-key"));
	config_free(c);
	put_file("creds/aegis-master-key", KEY_B "\n", 0600);
	setenv("CREDENTIALS_DIRECTORY", "creds", 1);
	c = accepted(NULL);
	ck_assert(secret_eq_mem(c->master_key, KEY_B, 64));
	ck_assert_ptr_nonnull(strstr(c->master_key_source, "systemd"));
	config_free(c);
	put_file("key", KEY_A "\n", 0644);
	c = accepted("vault: {master_key_file: key}\n");
	ck_assert(secret_eq_mem(c->master_key, KEY_A, 64));
	ck_assert_ptr_nonnull(strstr(errors, "warning: ")); /* others can read it */
	ck_assert_ptr_nonnull(strstr(errors, "chmod 600"));
	config_free(c);
	c = accepted("vault: {master_key: " KEY_B ", master_key_file: key}\n");
	ck_assert(secret_eq_mem(c->master_key, KEY_B, 64));
	config_free(c);
	put_file(".env", "AEGIS_MASTER_KEY=" KEY_C "\n", 0600);
	c = accepted(NULL);
	ck_assert(secret_eq_mem(c->master_key, KEY_C, 64));
	ck_assert_str_eq(c->master_key_source, ".env");
	config_free(c);
	setenv("AEGIS_MASTER_KEY", KEY_A, 1);
	c = accepted(NULL);
	ck_assert(secret_eq_mem(c->master_key, KEY_A, 64));
	ck_assert_str_eq(c->master_key_source, "AEGIS_MASTER_KEY");
	config_free(c);
	ck_assert_int_eq(unlink(".env"), 0);
	refused("vault: {master_key_file: nothing}\n", "which does not exist");
}
END_TEST

/* Out of the environment, also where /proc/PID/environ shows it. */
START_TEST(environment_wiped)
{
	char variable[] = "AEGIS_MASTER_KEY=" KEY_A;
	struct config *c;
	size_t i;

	ck_assert_int_eq(putenv(variable), 0);
	c = accepted(NULL);
	ck_assert(secret_eq_mem(c->master_key, KEY_A, 64));
	ck_assert_ptr_null(getenv("AEGIS_MASTER_KEY"));
	for (i = strlen("AEGIS_MASTER_KEY="); i < sizeof(variable); i++)
		ck_assert_int_eq(variable[i], 0);
	config_free(c);
}
END_TEST

/* Nothing of the key in what is shown. */
START_TEST(shown)
{
	struct config *c = accepted("vault: {master_key: " KEY_B "}\ngate: {port: 77}\n");
	char *text = NULL;
	size_t len;
	FILE *f;

	f = open_memstream(&text, &len);
	ck_assert_int_eq(config_show(c, f, false), 0);
	ck_assert_int_eq(config_show(c, f, true), 0);
	fclose(f);
	ck_assert_ptr_null(strstr(text, "bbbb"));
	ck_assert_ptr_nonnull(strstr(text, "********"));
	ck_assert_ptr_nonnull(
	    strstr(text, "\"gate.port\":{\"value\":77,\"from\":\"file\"}"));
	free(text);
	config_free(c);
}
END_TEST

#define SERVER(more)                                                    \
	"tools:\n  mcp_servers:\n    - name: t\n      executable: sh\n" \
	"      capabilities: [fs.*]\n" more

START_TEST(tools)
{
	struct config *c;
	const struct config_tool *t;

	setenv("TEST_TOKEN", "s3cret", 1);
	c = accepted(
	    SERVER("      args: [-c, \"exit 0\"]\n"
		   "      credentials: {A: \"secret:cred\", B: env:TEST_TOKEN, C: "
		   "\"literal:x y\"}\n"
		   "      env: {D: plain, E: \"literal:env:F\"}\n"
		   "      environment: {G: \"secret:other\"}\n"
		   "      health_check: {interval_seconds: 30, timeout_seconds: 2}\n"
		   "      resource_limits: {cpu_millicores: 500, memory_mb: 64}\n"
		   "      working_directory: work\n"
		   "      start: on_demand\n"));
	ck_assert_uint_eq(c->ntools, 1);
	t = &c->tools[0];
	ck_assert(t->enabled && !t->at_start && !t->network);
	ck_assert_int_eq(t->executable[0], '/');
	ck_assert_str_eq(t->args[1], "exit 0");
	ck_assert_str_eq(t->capabilities[0], "fs.*");
	ck_assert_uint_eq(t->nvariables, 4);
	ck_assert_str_eq(t->variables[0].reference, "secret:cred");
	ck_assert_ptr_null(t->variables[0].value);
	ck_assert(secret_eq_mem(t->variables[1].value, "s3cret", 6));
	ck_assert(secret_eq_mem(t->variables[2].value, "x y", 3));
	ck_assert_str_eq(t->variables[3].name, "G");
	ck_assert_str_eq(t->environment[0], "D=plain");
	ck_assert_str_eq(t->environment[1], "E=env:F");
	ck_assert_ptr_null(t->environment[2]);
	ck_assert_uint_eq(t->health_interval_ms, 30000);
	ck_assert_uint_eq(t->health_timeout_ms, 2000);
	ck_assert_uint_eq(t->memory_mb, 64);
	ck_assert_uint_eq(t->processes, 64);
	ck_assert_uint_eq(t->call_timeout_ms, 30000);
	ck_assert_str_eq(t->health_method, "tools/list");
	ck_assert_ptr_null(getenv("TEST_TOKEN")); /* taken out */
	config_free(c);
}
END_TEST

START_TEST(wrong_tools)
{
	refused(SERVER("      credentials: {A: plain}\n"),
	    "expected secret:NAME (of the vault)");
	refused(
	    SERVER("      credentials: {A: \"vault:db/creds/x\"}\n"), "secrets.openbao");
	refused(SERVER("      env: {A: \"secret:a/b#c\"}\n"), "vault:MOUNT/PATH");
	refused(
	    SERVER("      credentials: {A: env:NOT_SET_AT_ALL}\n"), "which is not set");
	refused(SERVER("      credentials: {A: \"secret:x\"}\n      env: {A: y}\n"),
	    "there already");
	refused(SERVER("      env: {\"1A\": y}\n"), "misnamed");
	refused(SERVER("      colour: red\n"),
	    "tools.mcp_servers[0].colour: found an unknown key");
	refused(SERVER("      start: later\n"), "one of on_demand|at_start");
	refused(SERVER("    - name: t\n      executable: sh\n      capabilities: [a]\n"),
	    "found \"t\" again");
	refused("tools: {mcp_servers: [{name: a, executable: /no/such, capabilities: "
		"[a]}]}\n",
	    "a program that exists");
	refused("tools: {mcp_servers: [{name: a, executable: sh}]}\n", "capabilities");
	refused(
	    "tools: {mcp_servers: [{name: a, executable: sh, capabilities: [\"a*\"]}]}\n",
	    "found \"a*\", expected a tool name");
	refused("tools: {mcp_servers: {a: b}}\n", "expected a list");
	refused("tools: {mcp_servers: [3]}\n", "expected a map");
	/* one that is off may be incomplete in what lies outside the file */
	config_free(
	    accepted("tools: {mcp_servers: [{name: a, enabled: false, executable: "
		     "/no/such, capabilities: [a], credentials: {A: env:NO_SUCH}}]}\n"));
}
END_TEST

START_TEST(contexts)
{
	struct config *c;

	ck_assert_int_eq(mkdir("ctx", 0700), 0);
	put_file("ctx/b.json", "{\"name\":\"b\",\"capabilities\":[]}", 0600);
	put_file("ctx/c.yaml",
	    "name: c\nmetadata:\n  rate: 1.5\n  text: \"1\"\n  none: ~\n  sure: true\n"
	    "capabilities: []\n",
	    0600);
	put_file("ctx/notes.txt", "not one", 0600);
	c = accepted("contexts:\n  - name: a\n    capabilities: []\ncontexts_dir: ctx\n");
	ck_assert_uint_eq(c->ncontexts, 3);
	ck_assert_str_eq(c->contexts[0].json, "{\"name\":\"a\",\"capabilities\":[]}");
	ck_assert_str_eq(c->contexts[1].json, "{\"name\":\"b\",\"capabilities\":[]}");
	ck_assert_str_eq(c->contexts[2].json,
	    "{\"name\":\"c\",\"metadata\":{\"rate\":1.5,\"text\":\"1\",\"none\":null,"
	    "\"sure\":true},\"capabilities\":[]}");
	config_free(c);
	refused("contexts: [{capabilities: []}]\n", ":1:12: name: must be a text");
	refused("contexts: [{name: a, capabilities: []}, {name: a, capabilities: []}]\n",
	    "found this context again");
	refused("contexts:\n  - name: a\n    capabilities:\n      - tool_pattern: x\n"
		"        path_allowlist: [/w, w]\n",
	    ":5:30: capabilities[0].path_allowlist[1]: must begin");
	refused("contexts: {a: b}\n", "expected a list");
	refused("contexts_dir: nowhere\n", "expected a readable directory");
	put_file("ctx/d.json", "{\"name\":", 0600);
	refused("contexts_dir: ctx\n", "ctx/d.json:1:9: this is not JSON");
	put_file("ctx/d.json", "{\"name\":\"d\",\"capabilities\":[]}", 0600);
	put_file("ctx/e.yml", "name: e\nname: e\n", 0600);
	refused("contexts_dir: ctx\n", "ctx/e.yml:2:1: name: found this key again");
}
END_TEST

/* The table itself: every default is one that it would accept from a file. */
START_TEST(table)
{
	static const struct config_key *const tables[] = {config_keys, tool_keys};
	union {
		struct config config;
		struct config_tool tool;
	} u;
	const struct config_key *k;
	char err[320];
	size_t i;

	for (i = 0; i < 2; i++)
		for (k = tables[i]; k->path != NULL; k++) {
			ck_assert_ptr_nonnull(k->about);
			ck_assert_ptr_eq(key_find(tables[i], k->path), k);
			memset(&u, 0, sizeof(u));
			if (k->fallback != NULL)
				ck_assert_msg(key_set_text(k, &u, k->fallback, "/", err,
						  sizeof(err)) == 0,
				    "%s: %s", k->path, err);
			key_clear(k, &u);
		}
}
END_TEST

START_TEST(nearest)
{
	static const char *const words[] = {
	    "gate.port", "vault.name", "seal.window", NULL};

	ck_assert_str_eq(problem_nearest("gate.prot", words), "gate.port");
	ck_assert_str_eq(problem_nearest("vault.nam", words), "vault.name");
	ck_assert_ptr_null(problem_nearest("completely.else", words));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("config");
	TCase *tc = tcase_create("config");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, defaults);
	tcase_add_test(tc, values);
	tcase_add_test(tc, all_errors);
	tcase_add_test(tc, yaml_limits);
	tcase_add_test(tc, wrong_values);
	tcase_add_test(tc, later_features);
	tcase_add_test(tc, layers);
	tcase_add_test(tc, flags);
	tcase_add_test(tc, discovery);
	tcase_add_test(tc, strangers_file);
	tcase_add_test(tc, master_key);
	tcase_add_test(tc, environment_wiped);
	tcase_add_test(tc, shown);
	tcase_add_test(tc, tools);
	tcase_add_test(tc, wrong_tools);
	tcase_add_test(tc, contexts);
	tcase_add_test(tc, table);
	tcase_add_test(tc, nearest);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
