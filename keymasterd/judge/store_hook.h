/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Webhooks, and their queue, in the database: what was queued in a turn that was
 * committed is delivered, whatever dies in between. Judge only.
 */
#ifndef AEGIS_JUDGE_STORE_HOOK_H
#define AEGIS_JUDGE_STORE_HOOK_H

#include "common/hook_url.h"
#include "keymasterd/judge/store.h"

struct store_hook {
	char tenant[STORE_TENANT_MAX];
	char id[HOOK_ID_LEN + 1];
	char url[HOOK_URL_MAX + 1];
	char label[129];
	uint32_t events; /* bits, enum hook_event */
	int allow_private;
	uint64_t created_ms;
};
int store_hook_put(struct store *, const struct store_hook *);
/* With what is queued for it. */
int store_hook_delete(struct store *, const char *tenant, const char *id);
int store_hook_each(
    struct store *, int (*fn)(const struct store_hook *, void *), void *arg);

struct store_delivery {
	uint64_t number; /* in the queue */
	char tenant[STORE_TENANT_MAX];
	char hook[HOOK_ID_LEN + 1];
	char id[STORE_ID_MAX]; /* X-Aegis-Delivery */
	uint32_t event;        /* enum hook_event */
	struct span body;      /* valid during a call */
	uint64_t created_ms, next_ms;
	uint32_t attempts;
	int dead;
	char last[257]; /* how the last attempt went */
};
/* Appends to the queue. */
int store_delivery_add(struct store *, const struct store_delivery *);
/* After an attempt: attempts, next_ms, dead and last. Both do nothing if the delivery is
 * there no more: its number may be another one's by now. */
int store_delivery_update(struct store *, const struct store_delivery *);
int store_delivery_delete(struct store *, const struct store_delivery *);
/* Those that are due, also because they would wait for longer than any does, oldest
 * first; fn returns 1 to stop. */
int store_delivery_due(struct store *, const char *tenant, const char *hook,
    uint64_t now_ms, uint64_t latest_ms, int (*fn)(const struct store_delivery *, void *),
    void *arg);
/* The dead ones of a tenant, newest first, 200 at most. */
int store_delivery_dead(struct store *, const char *tenant,
    int (*fn)(const struct store_delivery *, void *), void *arg);
/* How many of a webhook are dead or are not, and when the next one is due (0: none). */
int store_delivery_count(struct store *, const char *tenant, const char *hook,
    uint64_t *pending, uint64_t *dead, uint64_t *next_ms);
/* Of the webhooks that something is queued for the one after `id`, into it; "": none. */
int store_delivery_hook_next(
    struct store *, const char *tenant, char id[HOOK_ID_LEN + 1]);
/* Adds those of a webhook that are not dead to waiting[], by the number of the event's
 * bit; n: how many there are room for. */
int store_delivery_waiting(
    struct store *, const char *tenant, const char *hook, unsigned waiting[], unsigned n);
/* Forgets dead ones but the newest `keep`. */
int store_delivery_trim(
    struct store *, const char *tenant, const char *hook, unsigned keep);

/* A credential was told about on this day (Unix days). STORE_EXISTS: it was already. */
int store_hook_told(
    struct store *, const char *tenant, const char *credential_id, uint64_t day);
int store_hook_told_purge(struct store *, uint64_t before_day);

#endif
