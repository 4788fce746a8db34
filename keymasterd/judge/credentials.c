/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials in memory: everything but the secret. Judge only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/access.h"
#include "common/credential_text.h"
#include "common/host.h"
#include "common/log.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/redeemer.h"
#include "keymasterd/judge/registry_int.h"
#include "keymasterd/judge/waiting.h"

struct credential_list credentials = TAILQ_HEAD_INITIALIZER(credentials);
static struct map by_service, by_name, by_id;

static size_t
key_make(char *key, size_t size, const char *tenant, struct span s)
{
	size_t t = strlen(tenant);

	if (t + 1 + s.len > size)
		return 0;
	memcpy(key, tenant, t + 1);
	if (s.len > 0)
		memcpy(key + t + 1, s.p, s.len);
	return t + 1 + s.len;
}

struct credential *
credential_by_service(const char *tenant, struct span service)
{
	char key[STORE_TENANT_MAX + 65];
	size_t n = key_make(key, sizeof(key), tenant, service);

	return n > 0 ? map_get(&by_service, key, n) : NULL;
}

struct credential *
credential_by_name(const char *tenant, struct span name)
{
	char key[STORE_TENANT_MAX + 129];
	size_t n = key_make(key, sizeof(key), tenant, name);

	return n > 0 ? map_get(&by_name, key, n) : NULL;
}

struct credential *
credential_by_id(const char *tenant, const char *id)
{
	struct credential *c = map_get(&by_id, id, strlen(id));

	return c != NULL && strcmp(c->row.tenant, tenant) == 0 ? c : NULL;
}

static uint16_t
scheme_port(const struct credential *c)
{
	return strcmp(c->scheme, "http") == 0 ? 80 : 443;
}

static int
has_port(const char *pattern)
{
	const char *bracket = strrchr(pattern, ']');

	return strchr(bracket != NULL ? bracket : pattern, ':') != NULL;
}

/* A pattern without a port covers the credential's own port only. */
int
credential_covers(const struct credential *c, const char *host, uint16_t port)
{
	uint16_t own = c->port != 0 ? (uint16_t)c->port : scheme_port(c);
	unsigned i;

	if (port == 0)
		port = own;
	for (i = 0; i < c->npatterns; i++)
		if (has_port(c->patterns[i])
			? domain_match(c->patterns[i], host, port)
			: port == own && domain_match(c->patterns[i], host, 0))
			return 1;
	return 0;
}

/*
 * As the upstream's Host will name it: with the port unless it is the scheme's. Where the
 * credential's own port is another, the scheme's is named too: the worker takes a host
 * without a port for one with the credential's.
 */
int
credential_authority(
    const struct credential *c, const char *host, uint16_t port, char *out, size_t size)
{
	uint16_t own = c->port != 0 ? (uint16_t)c->port : scheme_port(c);
	int n;

	if (port == 0)
		port = own;
	n = port == own && port == scheme_port(c)
	    ? snprintf(out, size, "%s", host)
	    : snprintf(out, size, "%s:%u", host, port);
	return n < 0 || (size_t)n >= size ? -1 : 0;
}

static void
split_patterns(struct credential *c)
{
	char *save = NULL, *p;

	snprintf(c->pattern_text, sizeof(c->pattern_text), "%s", c->row.domains);
	c->npatterns = 0;
	for (p = strtok_r(c->pattern_text, ",", &save); p != NULL && c->npatterns < 64;
	     p = strtok_r(NULL, ",", &save))
		c->patterns[c->npatterns++] = p;
}

/*
 * Without X-Target-Host a request goes to the upstream's host if one is set, else to the
 * only domain that is no wildcard. Of several none is chosen for the agent.
 */
static void
choose_authority(struct credential *c)
{
	char host[HOST_MAX];
	const char *only = NULL;
	unsigned i;

	c->authority[0] = '\0';
	if (upstream_parse(c->row.upstream, c->scheme, host, sizeof(host), &c->port) ==
	    -1)
		return;
	if (host[0] != '\0') {
		(void)credential_authority(
		    c, host, 0, c->authority, sizeof(c->authority));
		return;
	}
	for (i = 0; i < c->npatterns; i++) {
		if (strchr(c->patterns[i], '*') != NULL)
			continue;
		if (only != NULL)
			return;
		only = c->patterns[i];
	}
	if (only != NULL)
		snprintf(c->authority, sizeof(c->authority), "%s", only);
}

static unsigned
scopes_of(const char *text)
{
	unsigned scopes = 0;

	if (strstr(text, "read") != NULL)
		scopes |= SCOPE_READ;
	if (strstr(text, "write") != NULL)
		scopes |= SCOPE_WRITE;
	if (strchr(text, '*') != NULL)
		scopes |= SCOPE_ALL;
	return scopes;
}

static int
index_add(struct credential *c)
{
	size_t n;

	n = key_make(c->service_key, sizeof(c->service_key), c->row.tenant,
	    span_str(c->row.service));
	if (map_put(&by_service, c->service_key, n, c) == -1)
		return -1;
	n = key_make(
	    c->name_key, sizeof(c->name_key), c->row.tenant, span_str(c->row.name));
	if (map_put(&by_name, c->name_key, n, c) == -1)
		return -1;
	return map_put(&by_id, c->row.id, strlen(c->row.id), c);
}

static void
index_del(struct credential *c)
{
	size_t t = strlen(c->row.tenant) + 1;

	map_del(&by_service, c->service_key, t + strlen(c->row.service));
	map_del(&by_name, c->name_key, t + strlen(c->row.name));
	map_del(&by_id, c->row.id, strlen(c->row.id));
}

struct credential *
credential_set(const struct store_credential *row)
{
	struct credential *c = credential_by_id(row->tenant, row->id);
	struct access *access = access_new(span_str(row->methods),
	    span_str(row->allow_paths), span_str(row->deny_paths));

	if (access == NULL)
		return NULL;
	if (c == NULL) {
		c = calloc(1, sizeof(*c));
		if (c == NULL) {
			access_free(access);
			return NULL;
		}
		TAILQ_INIT(&c->waiting);
		c->row = *row;
		TAILQ_INSERT_TAIL(&credentials, c, link);
		if (index_add(c) == -1) {
			access_free(access);
			credential_forget(c);
			return NULL;
		}
		c->worker = redeemer_worker(row->tenant, row->name);
	}
	c->row = *row;
	c->stale = 0;
	access_free(c->access);
	c->access = access;
	split_patterns(c);
	choose_authority(c);
	c->scopes = scopes_of(row->scopes);
	c->inspect = strcmp(c->row.inspection, "block") == 0 ? INSPECT_BLOCK
	    : strcmp(c->row.inspection, "warn") == 0         ? INSPECT_WARN
							     : INSPECT_OFF;
	if (limiter_apply(&c->limiter, row->rate_limit) == -1)
		LOG_ERROR("credential.limit", LS("credential", row->name),
		    LS("limit", row->rate_limit));
	return c;
}

void
credential_forget(struct credential *c)
{
	waiting_fail(c, "The credential was removed");
	rights_forget_credential(c);
	index_del(c);
	TAILQ_REMOVE(&credentials, c, link);
	limiter_free(c->limiter);
	access_free(c->access);
	free(c);
}

static int
load(const struct store_credential *row, void *arg)
{
	(void)arg;
	return credential_set(row) == NULL;
}

int
credentials_load(void)
{
	struct credential *c, *next;

	TAILQ_FOREACH (c, &credentials, link)
		c->stale = 1;
	if (store_credential_each(judge_store, load, NULL) == -1)
		return -1;
	for (c = TAILQ_FIRST(&credentials); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->stale)
			credential_forget(c);
	}
	return 0;
}
