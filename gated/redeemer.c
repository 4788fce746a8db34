/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of doors to redeemers. gated; role and instance are the master's word.
 */
#include "gated/redeemer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gated/answer.h"
#include "gated/ask.h"
#include "gated/conn.h"
#include "gated/refuse.h"

#define BUCKETS 256
#define GONE_MAX 64

struct grant_copy {
	struct grant_view view; /* its pointers lead into this struct */
	enum role role;
	uint32_t instance;
	uint8_t id[16], mac[32];
	char text[];
};

LIST_HEAD(bucket, redeemer);

static struct bucket table[BUCKETS];
static struct req_list at_the_door = TAILQ_HEAD_INITIALIZER(at_the_door);
/* Instances that ended last: a decision made before the judge heard of it may name one.
 */
static uint32_t gone[GONE_MAX];
static unsigned ngone;

static struct redeemer *
find(enum role role, uint32_t instance)
{
	struct redeemer *d;

	LIST_FOREACH (d, &table[instance % BUCKETS], entry)
		if (d->instance == instance && d->role == role)
			return d;
	return NULL;
}

static bool
has_gone(uint32_t instance)
{
	unsigned i;

	for (i = 0; i < GONE_MAX; i++)
		if (gone[i] == instance)
			return true;
	return false;
}

static struct grant_copy *
copy_grant(enum role role, uint32_t instance, const struct grant_view *g)
{
	struct grant_copy *k = malloc(sizeof(*k) + g->authority.len + g->target.len);

	if (k == NULL)
		return NULL;
	k->view = *g;
	k->role = role;
	k->instance = instance;
	memcpy(k->id, g->id, sizeof(k->id));
	memcpy(k->mac, g->mac, sizeof(k->mac));
	k->view.id = k->id;
	k->view.mac = k->mac;
	if (g->authority.len > 0)
		memcpy(k->text, g->authority.p, g->authority.len);
	if (g->target.len > 0)
		memcpy(k->text + g->authority.len, g->target.p, g->target.len);
	k->view.authority.p = k->text;
	k->view.target.p = k->text + g->authority.len;
	return k;
}

static void
hand_over(struct req *r, struct redeemer *d, const struct grant_view *g)
{
	r->redeemer = d;
	r->state = REQ_SENT;
	TAILQ_INSERT_TAIL(&d->reqs, r, entry);
	if (d->role == ROLE_WORKER)
		worker_ask(r, d, g);
	else
		toolhost_ask(r, d, g);
}

void
redeemer_send(
    struct req *r, enum role role, uint32_t instance, const struct grant_view *g)
{
	struct redeemer *d = find(role, instance);

	if (d != NULL) {
		hand_over(r, d, g);
		return;
	}
	if (has_gone(instance)) { /* no number is used twice: its door will not come */
		refuse(r, REFUSAL_REDEEMER_GONE, 503,
		    "the redeemer ended before it was asked");
		return;
	}
	r->grant = copy_grant(role, instance, g);
	if (r->grant == NULL) {
		refuse(r, REFUSAL_REDEEMER_GONE, 503, "no memory");
		return;
	}
	r->state = REQ_DOOR;
	TAILQ_INSERT_TAIL(&at_the_door, r, entry);
	timer_set(&r->timer, TIMER_DOOR);
}

void
redeemer_leave(struct req *r)
{
	if (r->grant != NULL) {
		TAILQ_REMOVE(&at_the_door, r, entry);
		free(r->grant);
		r->grant = NULL;
	}
	if (r->redeemer != NULL)
		TAILQ_REMOVE(&r->redeemer->reqs, r, entry);
	r->redeemer = NULL;
}

void *
redeemer_on_peer(
    struct chan *chan, uint32_t instance, const char *tenant, const char *name)
{
	struct redeemer *d = calloc(1, sizeof(*d));
	struct req_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct req *r, *next;
	struct grant_copy *g;

	(void)tenant;
	(void)name;
	if (d == NULL)
		return NULL; /* requests for it wait in vain and are refused */
	d->chan = chan;
	d->instance = instance;
	d->role = chan_peer_role(chan);
	TAILQ_INIT(&d->reqs);
	LIST_INSERT_HEAD(&table[instance % BUCKETS], d, entry);
	for (r = TAILQ_FIRST(&at_the_door); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (r->grant->instance != instance || r->grant->role != d->role)
			continue;
		TAILQ_REMOVE(&at_the_door, r, entry);
		TAILQ_INSERT_TAIL(&waiting, r, entry);
	}
	while ((r = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, r, entry);
		g = r->grant;
		r->grant = NULL;
		timer_set(&r->timer, TIMER_NONE);
		hand_over(r, d, &g->view);
		free(g);
	}
	return d;
}

void
redeemer_on_gone(struct chan *chan, void *owner)
{
	struct redeemer *d = owner;
	struct req *r;

	(void)chan;
	if (d == NULL)
		return;
	LIST_REMOVE(d, entry);
	gone[ngone++ % GONE_MAX] = d->instance;
	while ((r = TAILQ_FIRST(&d->reqs)) != NULL) {
		/* questions were told before; these are streams, and leavings of lost
		 * agents */
		redeemer_leave(r);
		r->ask = 0;
		if (r->conn == NULL)
			req_free(r);
		else if (r->state == REQ_STREAM)
			flow_abandon(r);
		else
			refuse(r, REFUSAL_REDEEMER_GONE, 502, "the redeemer ended");
	}
	free(d);
}
