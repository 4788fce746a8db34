/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What secrets.openbao means: an address, who we are there, and where the secret id lies.
 * Command line and master.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "common/reference.h"
#include "common/secret.h"

#define SAFE_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

static void __attribute__((format(printf, 3, 4)))
complain(struct loading *l, const char *key, const char *fmt, ...)
{
	char path[100], text[400];
	va_list ap;

	snprintf(path, sizeof(path), "secrets.openbao.%s", key);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	problem_add(&l->problems, l->c->file, 0, 0, path, "%s", text);
}

/* SCHEME://HOST:PORT into its parts. 0 or -1. */
static int
split_address(struct config *c)
{
	const char *p = c->openbao_addr, *end, *colon;
	char *tail;
	unsigned long port;

	c->openbao_tls = strncmp(p, "https://", 8) == 0;
	if (!c->openbao_tls && strncmp(p, "http://", 7) != 0)
		return -1;
	p += c->openbao_tls ? 8 : 7;
	if (*p == '[') {
		end = strchr(++p, ']');
		if (end == NULL || end[1] != ':')
			return -1;
		colon = end + 1;
	} else {
		end = colon = strchr(p, ':');
		if (end == NULL)
			return -1;
	}
	if (end == p || end - p > 253 || strspn(p, SAFE_CHARS ":") < (size_t)(end - p))
		return -1;
	port = strtoul(colon + 1, &tail, 10);
	if (colon[1] < '0' || colon[1] > '9' || port < 1 || port > 65535 ||
	    (*tail != '\0' && strcmp(tail, "/") != 0))
		return -1;
	free(c->openbao_host);
	c->openbao_host = strndup(p, (size_t)(end - p));
	c->openbao_port = (unsigned)port;
	return c->openbao_host == NULL ? -1 : 0;
}

static bool
is_loopback(const char *host)
{
	struct in_addr in;

	if (inet_pton(AF_INET, host, &in) == 1)
		return ntohl(in.s_addr) >> 24 == 127;
	return strcmp(host, "::1") == 0;
}

static void
finish_address(struct loading *l)
{
	struct config *c = l->c;

	if (c->openbao_addr == NULL || split_address(c) == -1) {
		complain(l, "addr",
		    "found %s%.80s, expected https://HOST:PORT, or http:// with a "
		    "loopback address",
		    c->openbao_addr != NULL ? "" : "none",
		    c->openbao_addr != NULL ? c->openbao_addr : "");
		return;
	}
	if (!c->openbao_tls && !is_loopback(c->openbao_host))
		complain(l, "addr",
		    "found http:// and %.80s, expected https:// for an address that is "
		    "not a loopback one: secrets would cross the network in clear",
		    c->openbao_host);
	if (c->openbao_tls && c->openbao_ca == NULL)
		c->openbao_ca = strdup("/etc/ssl/certs/ca-certificates.crt");
	if (c->openbao_tls && l->serve && access(c->openbao_ca, R_OK) == -1)
		complain(l, "ca_cert",
		    "found %s, expected a readable file with certificate authorities",
		    c->openbao_ca);
}

/* A text that goes into a path or a header: segments of safe characters. */
static void
check_path(struct loading *l, const char *key, const char *text)
{
	size_t n;

	for (; text != NULL; text = text[n] == '/' ? text + n + 1 : NULL) {
		n = strspn(text, SAFE_CHARS);
		if (n == 0 || (text[n] != '/' && text[n] != '\0') ||
		    (text[0] == '.' && (n == 1 || (n == 2 && text[1] == '.')))) {
			complain(l, key,
			    "found a character that is not one of A-Z a-z 0-9 _ - . or "
			    "an empty part, expected names with slashes between them");
			return;
		}
	}
}

static void
finish_role(struct loading *l)
{
	struct config *c = l->c;
	const char *value;

	if (c->openbao_role_id != NULL && strncmp(c->openbao_role_id, "env:", 4) == 0) {
		value = config_variable(l, c->openbao_role_id + 4, NULL);
		if (value == NULL && l->serve)
			complain(l, "auth.role_id",
			    "found %.80s, which is not set, expected a variable of the "
			    "environment or of .env",
			    c->openbao_role_id);
		else if (value != NULL) {
			free(c->openbao_role_id);
			c->openbao_role_id = strdup(value);
		}
	}
	if (c->openbao_role_id == NULL || c->openbao_role_id[0] == '\0' ||
	    strlen(c->openbao_role_id) > 256)
		complain(l, "auth.role_id",
		    "found none, expected the role id of the AppRole, or env:NAME: "
		    "\"bao read auth/approle/role/NAME/role-id\" shows it");
}

static void
finish_secret_id(struct loading *l)
{
	struct config *c = l->c;
	const char *text = c->openbao_secret_id, *value, *dir;

	if (text != NULL && strncmp(text, "file:", 5) == 0 && text[5] != '\0') {
		c->openbao_secret_file = key_path_join(c->base_dir, text + 5);
	} else if (text != NULL && strncmp(text, "credential:", 11) == 0 &&
	    text[11] != '\0' && strspn(text + 11, SAFE_CHARS) == strlen(text + 11)) {
		dir = getenv("CREDENTIALS_DIRECTORY");
		if (dir != NULL)
			c->openbao_secret_file = key_path_join(dir, text + 11);
		else if (l->serve)
			complain(l, "auth.secret_id",
			    "found %.80s, expected LoadCredential= in the unit: there "
			    "are no systemd credentials",
			    text);
	} else if (text != NULL && strncmp(text, "env:", 4) == 0 && text[4] != '\0') {
		value = config_variable(l, text + 4, NULL);
		if (value != NULL)
			c->openbao_secret = secret_new(value, strlen(value));
		else if (l->serve && !config_was_hidden(text + 4))
			complain(l, "auth.secret_id",
			    "found %.80s, which is not set, expected a variable of the "
			    "environment or of .env",
			    text);
		config_hide_variable(l, text + 4);
	} else {
		/* what stands there may be the secret itself: it is not shown */
		complain(l, "auth.secret_id",
		    "found %s, expected file:PATH, credential:NAME or env:NAME, where "
		    "the secret id is kept",
		    text == NULL ? "none" : "something else");
		return;
	}
	if (c->openbao_secret_file != NULL && l->serve)
		config_warn_mode(c->openbao_secret_file, "the secret id for OpenBao");
}

void
config_finish_openbao(struct loading *l)
{
	struct config *c = l->c;

	if (c->vault_provider != CONFIG_OPENBAO) {
		if (c->openbao_addr != NULL)
			problem_add(&l->problems, c->file, 0, 0, "vault.provider",
			    "found embedded, but secrets.openbao.addr is set: expected "
			    "openbao, or no secrets.openbao");
		return;
	}
	finish_address(l);
	check_path(l, "namespace", c->openbao_namespace);
	check_path(l, "auth.mount", c->openbao_mount);
	check_path(l, "transit_mount", c->openbao_transit);
	check_path(l, "kv_mount", c->openbao_kv);
	check_path(l, "transit_keys.blackboard", c->openbao_board_key);
	check_path(l, "lease_role", c->openbao_lease_role);
	if (c->openbao_token_key == NULL) {
		c->openbao_token_key = c->openbao_token_key2;
		c->openbao_token_key2 = NULL;
	}
	check_path(l, "transit_keys.seal_signing", c->openbao_token_key);
	if (c->openbao_token_key2 != NULL)
		complain(l, "transit_keys.smcp_signing",
		    "found it beside seal_signing, expected one of the two");
	finish_role(l);
	finish_secret_id(l);
}

const char *
config_check_reference(const struct config *c, const char *text)
{
	struct reference ref;

	if (c->vault_provider != CONFIG_OPENBAO)
		return "a vault: reference needs vault.provider: openbao and "
		       "secrets.openbao";
	return reference_parse(span_str(text), &ref);
}

void
config_free_openbao(struct config *c)
{
	free(c->openbao_host);
	free(c->openbao_secret_file);
	free(c->openbao_addresses);
	secret_free(c->openbao_secret);
}

int
config_resolve_openbao(struct config *c, char *why, size_t size)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai;
	struct addrinfo *list = NULL;
	char text[200] = "", one[64];
	size_t used = 0;
	int e, n = 0;

	if (c->vault_provider != CONFIG_OPENBAO)
		return 0;
	e = getaddrinfo(c->openbao_host, NULL, &hints, &list);
	for (ai = list; e == 0 && ai != NULL && n < 4; ai = ai->ai_next) {
		if (getnameinfo(ai->ai_addr, ai->ai_addrlen, one, sizeof(one), NULL, 0,
			NI_NUMERICHOST) != 0 ||
		    strlen(one) > 45 || strchr(one, '%') != NULL)
			continue;
		used += (size_t)snprintf(
		    text + used, sizeof(text) - used, "%s%s", n++ > 0 ? " " : "", one);
	}
	if (list != NULL)
		freeaddrinfo(list);
	if (n == 0) {
		snprintf(why, size, "secrets.openbao.addr: %s: %s", c->openbao_host,
		    e != 0 ? gai_strerror(e) : "no address");
		return -1;
	}
	free(c->openbao_addresses);
	c->openbao_addresses = strdup(text);
	return c->openbao_addresses == NULL ? -1 : 0;
}
