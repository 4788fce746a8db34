/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from several keys together: addresses with ports, TLS, paths, and where
 * the master key comes from.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "aegis/listen.h"
#include "common/log.h"
#include "common/secret.h"

#define KEY_FILE_MAX 4096
#define WORKERS_MAX 16

static enum config_origin
origin(const struct config *c, const char *path)
{
	return (enum config_origin)c->origins[key_find(config_keys, path) - config_keys];
}

/* Host and port of an entry; port is 0 when it has none. 0 or -1. */
static int
split_address(const char *text, char *host, size_t size, unsigned *port)
{
	const char *colon, *end = text + strlen(text), *p;
	unsigned char v6[16];
	unsigned long n = 0;

	*port = 0;
	if (text[0] == '[') {
		p = strchr(text, ']');
		if (p == NULL || (p[1] != '\0' && p[1] != ':'))
			return -1;
		colon = p[1] == ':' ? p + 1 : NULL;
		text++;
		end = p;
	} else if (inet_pton(AF_INET6, text, v6) == 1) {
		colon = NULL; /* an IPv6 address without brackets has no port */
	} else {
		colon = strchr(text, ':');
		if (colon != NULL)
			end = colon;
	}
	if (end == text || (size_t)(end - text) >= size)
		return -1;
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	if (colon == NULL)
		return 0;
	for (p = colon + 1; *p >= '0' && *p <= '9' && n <= 65535; p++)
		n = n * 10 + (unsigned long)(*p - '0');
	if (*p != '\0' || p == colon + 1 || n < 1 || n > 65535)
		return -1;
	*port = (unsigned)n;
	return 0;
}

static void
finish_listen(struct loading *l)
{
	struct config *c = l->c;
	/* --port and AEGIS_PORT are meant for whatever the file says */
	int force = origin(c, "gate.port") >= FROM_DOTENV &&
	    origin(c, "gate.port") >= origin(c, "gate.listen");
	char host[256], *text;
	unsigned port;
	size_t i;

	for (i = 0; c->listen != NULL && c->listen[i] != NULL; i++) {
		if (split_address(c->listen[i], host, sizeof(host), &port) == -1) {
			problem_add(&l->problems, c->file, 0, 0, "gate.listen",
			    "found \"%.80s\", expected HOST, HOST:PORT or [V6]:PORT",
			    c->listen[i]);
			continue;
		}
		if (port == 0 || force)
			port = c->port;
		if (asprintf(&text, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
			port) == -1)
			continue;
		free(c->listen[i]);
		c->listen[i] = text;
	}
	if (i == 0 || i > LISTEN_MAX)
		problem_add(&l->problems, c->file, 0, 0, "gate.listen",
		    "found %zu addresses, expected 1 to %d", i, LISTEN_MAX);
}

static void
finish_tls(struct loading *l)
{
	struct config *c = l->c;

	if ((c->tls_cert == NULL) != (c->tls_key == NULL))
		problem_add(&l->problems, c->file, 0, 0,
		    c->tls_cert == NULL ? "gate.tls.cert" : "gate.tls.key",
		    "found only the other one, expected gate.tls.cert and gate.tls.key");
	if (!l->serve)
		return;
	if (c->tls_cert != NULL && access(c->tls_cert, R_OK) == -1)
		problem_add(&l->problems, c->file, 0, 0, "gate.tls.cert",
		    "found %s (%s), expected a readable file; \"aegis init "
		    "--generate-cert\" "
		    "makes one",
		    c->tls_cert, strerror(errno));
	if (c->tls_key != NULL && access(c->tls_key, R_OK) == -1)
		problem_add(&l->problems, c->file, 0, 0, "gate.tls.key",
		    "found %s (%s), expected a readable file", c->tls_key,
		    strerror(errno));
	else if (c->tls_key != NULL)
		config_warn_mode(c->tls_key, "a private key");
}

/* 1: taken; 0: no such file; -1: reported. */
static int
key_from_file(struct loading *l, const char *path, const char *source)
{
	struct config *c = l->c;
	size_t len;
	char *text = config_read_file(path, KEY_FILE_MAX, &len), err[320];
	const struct config_key *k = key_find(config_keys, "vault.master_key");
	int r;

	if (text == NULL) {
		if (errno == ENOENT)
			return 0;
		problem_add(&l->problems, path, 0, 0, NULL, "%s",
		    errno == EACCES ? CONFIG_NOT_YOURS : strerror(errno));
		return -1;
	}
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		text[--len] = '\0';
	r = key_set_text(k, c, text, NULL, err, sizeof(err));
	explicit_bzero(text, len);
	free(text);
	if (r == -1) {
		problem_add(&l->problems, path, 0, 0, NULL, "%s", err);
		return -1;
	}
	c->master_key_source = source;
	return 1;
}

bool
config_vault_name_ok(const char *name)
{
	size_t n = strspn(
	    name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return n >= 1 && n <= 64 && name[n] == '\0';
}

/* A named vault has a directory of its own below the default one's. */
static void
finish_vault(struct loading *l)
{
	struct config *c = l->c;
	char *dir;

	c->vaults_root = strdup(c->data_dir);
	if (strcmp(c->vault_name, "default") == 0)
		return;
	if (!config_vault_name_ok(c->vault_name)) {
		problem_add(&l->problems, c->file, 0, 0, "vault.name",
		    "found \"%s\", expected 1 to 64 letters, digits, _ and -",
		    c->vault_name);
		return;
	}
	if (asprintf(&dir, "%s/vaults/%s", c->data_dir, c->vault_name) == -1) {
		problem_add(&l->problems, c->file, 0, 0, "vault.name", "out of memory");
		return;
	}
	free(c->data_dir);
	c->data_dir = dir;
}

/* The key that `aegis vault create` wrote beside a named vault is that vault's, whatever
 * else there is. 1: taken. */
static int
vault_key(struct loading *l)
{
	struct config *c = l->c;
	struct secret *other = c->master_key;
	char *path;
	int r = 0;

	if (strcmp(c->vault_name, "default") == 0 ||
	    (path = key_path_join(c->data_dir, ".master-key")) == NULL)
		return 0;
	c->master_key = NULL;
	r = key_from_file(l, path, ".master-key of this vault");
	if (r == 1) {
		config_warn_mode(path, "the master key");
		secret_free(other);
	} else {
		c->master_key = other;
	}
	free(path);
	return r == 1;
}

/* In the data directory, or where the configuration says; a gate on another vault must
 * not take the place of this one's. */
static void
finish_socket(struct config *c)
{
	char *path;

	if (c->admin_socket == NULL) {
		c->admin_socket = key_path_join(c->data_dir, "admin.sock");
	} else if (strcmp(c->vault_name, "default") != 0) {
		if (asprintf(&path, "%s.%s", c->admin_socket, c->vault_name) == -1)
			path = NULL;
		free(c->admin_socket);
		c->admin_socket = path;
	}
}

static void
finish_key(struct loading *l)
{
	static const char *const sources[] = {"default", "vault.master_key in the file",
	    ".env", "AEGIS_MASTER_KEY", "flag"};
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	struct config *c = l->c;
	char *path;
	int r = 0;

	if (vault_key(l))
		return;
	if (c->master_key != NULL) {
		c->master_key_source = sources[origin(c, "vault.master_key")];
		return;
	}
	if (c->master_key_file != NULL) {
		r = key_from_file(l, c->master_key_file, "vault.master_key_file");
		if (r == 0)
			problem_add(&l->problems, c->file, 0, 0, "vault.master_key_file",
			    "found %s, which does not exist, expected a file with the "
			    "key",
			    c->master_key_file);
		if (r == 1)
			config_warn_mode(c->master_key_file, "the master key");
		return;
	}
	if (dir != NULL && (path = key_path_join(dir, "aegis-master-key")) != NULL) {
		r = key_from_file(l, path, "systemd credential aegis-master-key");
		free(path);
	}
	if (r == 0 && (path = key_path_join(c->data_dir, ".master-key")) != NULL) {
		r = key_from_file(l, path, ".master-key in the data directory");
		if (r == 1)
			config_warn_mode(path, "the master key");
		free(path);
	}
}

void
config_finish(struct loading *l)
{
	struct config *c = l->c;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (c->workers == 0)
		c->workers = cpus < 1    ? 1
		    : cpus > WORKERS_MAX ? WORKERS_MAX
					 : (unsigned)cpus;
	if (c->log_format > LOG_FORMAT_JSON) /* what the established tool calls it */
		c->log_format = LOG_FORMAT_LOGFMT;
	finish_listen(l);
	if (c->socket_mode[strspn(c->socket_mode, "01234567")] != '\0')
		problem_add(&l->problems, c->file, 0, 0, "gate.socket_mode",
		    "found \"%s\", expected octal digits such as 0660", c->socket_mode);
	finish_tls(l);
	finish_vault(l);
	finish_socket(c);
	if (c->admin_socket == NULL ||
	    asprintf(&c->vault_socket, "%s.vault", c->admin_socket) == -1)
		problem_add(&l->problems, c->file, 0, 0, "admin.socket", "out of memory");
	finish_key(l);
	if (!c->seal_required && c->seal_legacy_context == NULL)
		problem_add(&l->problems, c->file, 0, 0, "seal.legacy_security_context",
		    "found nothing, expected the SecurityContext of MCP clients without "
		    "a "
		    "token, since seal.required is false");
	config_finish_openbao(l);
}
