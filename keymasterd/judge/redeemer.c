/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a redeemer's door. Judge only. */
#include "keymasterd/judge/redeemer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/proto.h"
#include "common/secret.h"
#include "keymasterd/judge/count.h"
#include "keymasterd/judge/flight.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/waiting.h"

#define KEY_LEN 32

static TAILQ_HEAD(, redeemer) redeemers = TAILQ_HEAD_INITIALIZER(redeemers);

static void *
redeemer_add(struct chan *c, enum role role, uint32_t instance, const char *tenant,
    const char *name)
{
	struct redeemer *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		chan_drop(c, "out of memory");
		return NULL;
	}
	r->chan = c;
	r->role = role;
	r->instance = instance;
	snprintf(r->tenant, sizeof(r->tenant), "%s", tenant);
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->state = REDEEMER_NEW;
	TAILQ_INIT(&r->flights);
	TAILQ_INSERT_TAIL(&redeemers, r, link);
	return r;
}

void *
worker_peer(struct chan *c, uint32_t instance, const char *tenant, const char *name)
{
	count_worker();
	return redeemer_add(c, ROLE_WORKER, instance, tenant, name);
}

void *
toolhost_peer(struct chan *c, uint32_t instance, const char *tenant, const char *name)
{
	return redeemer_add(c, ROLE_TOOLHOST, instance, tenant, name);
}

void
redeemer_hello(struct chan *c, void *owner)
{
	struct redeemer *r = owner;
	MSG_INIT(grant_key, m);

	r->key = secret_new_random(KEY_LEN);
	m.key = r->key;
	if (r->key == NULL || chan_note(c, MSG_grant_key, &m) == -1)
		chan_drop(c, "no grant key");
}

static struct credential *
credential_of(const struct redeemer *r)
{
	return r->role == ROLE_WORKER ? credential_by_name(r->tenant, span_str(r->name))
				      : NULL;
}

void
redeemer_gone(struct chan *c, void *owner)
{
	struct redeemer *r = owner;
	struct credential *cred;

	(void)c;
	if (r == NULL)
		return;
	TAILQ_REMOVE(&redeemers, r, link);
	cred = credential_of(r);
	if (cred != NULL && cred->worker == r)
		cred->worker = NULL;
	flight_redeemer_gone(r);
	secret_free(r->key);
	free(r);
}

struct redeemer *
redeemer_worker(const char *tenant, const char *name)
{
	struct redeemer *r;

	TAILQ_FOREACH (r, &redeemers, link)
		if (r->role == ROLE_WORKER && r->state == REDEEMER_READY &&
		    strcmp(r->name, name) == 0 && strcmp(r->tenant, tenant) == 0)
			return r;
	return NULL;
}

void
redeemer_renew(const char *tenant, const char *name)
{
	struct credential *cred = credential_by_name(tenant, span_str(name));
	struct redeemer *r, *next;
	MSG_INIT(credential_renew, m);

	for (r = TAILQ_FIRST(&redeemers); r != NULL; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->role != ROLE_WORKER ||
		    (r->state != REDEEMER_NEW && r->state != REDEEMER_READY) ||
		    strcmp(r->name, name) != 0 || strcmp(r->tenant, tenant) != 0)
			continue;
		r->state = REDEEMER_NEW;
		if (cred != NULL && cred->worker == r)
			cred->worker = NULL;
		m.version = ++r->version;
		if (chan_note(r->chan, MSG_credential_renew, &m) == -1)
			chan_drop(r->chan, "cannot be told of a new secret");
	}
}

struct redeemer *
redeemer_toolhost(void)
{
	struct redeemer *r;

	TAILQ_FOREACH (r, &redeemers, link)
		if (r->role == ROLE_TOOLHOST && r->state == REDEEMER_READY)
			return r;
	return NULL;
}

unsigned
redeemer_count(enum role role, int ready)
{
	struct redeemer *r;
	unsigned n = 0;

	TAILQ_FOREACH (r, &redeemers, link)
		n += r->role == role && (!ready || r->state == REDEEMER_READY);
	return n;
}

const char *
redeemer_failure(const char *tenant, const char *name)
{
	const struct redeemer *r;

	TAILQ_FOREACH (r, &redeemers, link)
		if (r->role == ROLE_WORKER && r->state == REDEEMER_FAILED &&
		    strcmp(r->name, name) == 0 && strcmp(r->tenant, tenant) == 0)
			return r->message;
	return NULL;
}

unsigned
redeemer_live(enum role role)
{
	struct redeemer *r;
	unsigned n = 0;

	TAILQ_FOREACH (r, &redeemers, link)
		n += r->role == role ? r->live : 0;
	return n;
}

int
redeemer_ready(struct chan *c, uint64_t reqid, void *msg)
{
	struct redeemer *r = chan_owner(c);
	const struct msg_redeemer_ready *m = msg;
	struct credential *cred = credential_of(r);

	(void)reqid;
	if (m->code != 0) {
		r->state = REDEEMER_FAILED;
		(void)span_copy(m->message, r->message, sizeof(r->message));
		LOG_WARN("redeemer.failed", LS("role", role_name(r->role)),
		    LS("name", r->name), LS("error", r->message));
		if (cred != NULL && cred->worker == r)
			cred->worker = NULL;
		if (cred != NULL && cred->worker == NULL)
			waiting_fail(cred, r->message);
		return 0;
	}
	if (m->version != r->version)
		return 0; /* another change came since: it fetches once more */
	r->state = REDEEMER_READY;
	chan_patient(c); /* from here on it is completions, and those can wait */
	if (cred != NULL) {
		cred->worker = r;
		waiting_run(cred);
	}
	return 0;
}

int
worker_leave(struct chan *c, uint64_t reqid, void *msg)
{
	struct redeemer *r = chan_owner(c);
	struct credential *cred = credential_of(r);
	MSG_INIT(worker_may_leave, m);

	(void)msg;
	/* one that fetches a new secret is waited for */
	m.yes = r->live == 0 && (r->state != REDEEMER_NEW || cred == NULL);
	if (m.yes) {
		r->state = REDEEMER_LEAVING;
		if (cred != NULL && cred->worker == r)
			cred->worker = NULL;
	}
	return chan_answer(c, reqid, MSG_worker_may_leave, &m);
}

int
worker_failed(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_worker_failed *m = msg;
	char tenant[STORE_TENANT_MAX], why[257];
	struct credential *cred;

	(void)c;
	(void)reqid;
	if (span_copy(m->tenant, tenant, sizeof(tenant)) == -1 ||
	    span_copy(m->reason, why, sizeof(why)) == -1)
		return -1;
	cred = credential_by_name(tenant, m->credential);
	if (cred != NULL)
		waiting_fail(cred, why);
	return 0;
}
