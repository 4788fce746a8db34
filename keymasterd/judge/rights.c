/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which agent may use which credential and which SecurityContext: one set of pairs, keyed
 * by "tenant agent-id kind what". Judge only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keymasterd/judge/map.h"
#include "keymasterd/judge/registry_int.h"

enum right_kind { RIGHT_CREDENTIAL = 'c', RIGHT_CONTEXT = 'x' };

struct right {
	char agent_id[STORE_ID_MAX];
	char tenant[STORE_TENANT_MAX];
	enum right_kind kind;
	char what[STORE_CONTEXT_MAX];
	size_t keylen;
	char key[STORE_ID_MAX + STORE_CONTEXT_MAX + 4];
	TAILQ_ENTRY(right) link;
};

static TAILQ_HEAD(, right) rights = TAILQ_HEAD_INITIALIZER(rights);
static struct map by_key;

/* Ids of agents are unique in the whole database, so the tenant need not be in the key.
 */
static size_t
key_make(
    char *key, size_t size, const char *agent_id, enum right_kind kind, const char *what)
{
	size_t a = strlen(agent_id), w = strlen(what);

	if (a + w + 2 > size)
		return 0;
	memcpy(key, agent_id, a);
	key[a] = (char)kind;
	memcpy(key + a + 1, what, w);
	return a + w + 1;
}

static struct right *
right_get(const char *agent_id, enum right_kind kind, const char *what)
{
	char key[STORE_ID_MAX + STORE_CONTEXT_MAX + 4];
	size_t n = key_make(key, sizeof(key), agent_id, kind, what);

	return n > 0 ? map_get(&by_key, key, n) : NULL;
}

static void
right_del(struct right *r)
{
	map_del(&by_key, r->key, r->keylen);
	TAILQ_REMOVE(&rights, r, link);
	free(r);
}

static int
right_add(
    const char *tenant, const char *agent_id, enum right_kind kind, const char *what)
{
	struct right *r;

	if (right_get(agent_id, kind, what) != NULL)
		return 0;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -1;
	snprintf(r->tenant, sizeof(r->tenant), "%s", tenant);
	snprintf(r->agent_id, sizeof(r->agent_id), "%s", agent_id);
	snprintf(r->what, sizeof(r->what), "%s", what);
	r->kind = kind;
	r->keylen = key_make(r->key, sizeof(r->key), agent_id, kind, what);
	if (r->keylen == 0 || map_put(&by_key, r->key, r->keylen, r) == -1) {
		free(r);
		return -1;
	}
	TAILQ_INSERT_TAIL(&rights, r, link);
	return 0;
}

static int
right_set(const struct agent *a, enum right_kind kind, const char *what, int on)
{
	struct right *r;

	if (on)
		return right_add(a->row.tenant, a->row.id, kind, what);
	r = right_get(a->row.id, kind, what);
	if (r != NULL)
		right_del(r);
	return 0;
}

int
grant_has(const struct agent *a, const struct credential *c)
{
	return strcmp(a->row.tenant, c->row.tenant) == 0 &&
	    right_get(a->row.id, RIGHT_CREDENTIAL, c->row.id) != NULL;
}

int
grant_set(const struct agent *a, const struct credential *c, int on)
{
	return right_set(a, RIGHT_CREDENTIAL, c->row.id, on);
}

int
agent_may_context(const struct agent *a, const char *context)
{
	return right_get(a->row.id, RIGHT_CONTEXT, context) != NULL;
}

int
agent_context_set(const struct agent *a, const char *context, int on)
{
	return right_set(a, RIGHT_CONTEXT, context, on);
}

void
grant_each(
    const struct agent *a, void (*fn)(const struct credential *, void *), void *arg)
{
	const struct credential *c;
	struct right *r;

	TAILQ_FOREACH (r, &rights, link) {
		if (r->kind != RIGHT_CREDENTIAL || strcmp(r->agent_id, a->row.id) != 0)
			continue;
		c = credential_by_id(r->tenant, r->what);
		if (c != NULL)
			fn(c, arg);
	}
}

void
agent_context_each(const struct agent *a, void (*fn)(const char *, void *), void *arg)
{
	struct right *r;

	TAILQ_FOREACH (r, &rights, link)
		if (r->kind == RIGHT_CONTEXT && strcmp(r->agent_id, a->row.id) == 0)
			fn(r->what, arg);
}

void
rights_forget_agent(const struct agent *a)
{
	struct right *r, *next;

	for (r = TAILQ_FIRST(&rights); r != NULL; r = next) {
		next = TAILQ_NEXT(r, link);
		if (strcmp(r->agent_id, a->row.id) == 0)
			right_del(r);
	}
}

void
rights_forget_credential(const struct credential *c)
{
	struct right *r, *next;

	for (r = TAILQ_FIRST(&rights); r != NULL; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->kind == RIGHT_CREDENTIAL && strcmp(r->what, c->row.id) == 0)
			right_del(r);
	}
}

static int
load_credential_right(
    const char *tenant, const char *agent_id, const char *what, void *arg)
{
	(void)arg;
	return right_add(tenant, agent_id, RIGHT_CREDENTIAL, what) == -1;
}

static int
load_context_right(const char *tenant, const char *agent_id, const char *what, void *arg)
{
	(void)arg;
	return right_add(tenant, agent_id, RIGHT_CONTEXT, what) == -1;
}

int
rights_load(void)
{
	struct right *r;

	while ((r = TAILQ_FIRST(&rights)) != NULL)
		right_del(r);
	return store_grant_each(judge_store, load_credential_right, NULL) == -1 ||
		store_agent_context_each(judge_store, load_context_right, NULL) == -1
	    ? -1
	    : 0;
}
