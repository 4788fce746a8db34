/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Webhooks: who wants to be told of what, and the telling. An event is queued in the turn
 * that writes its row, so both are committed or neither; a worker bound to the webhook's
 * secret signs and sends, one process a webhook. Judge only.
 */
#ifndef AEGIS_JUDGE_HOOK_H
#define AEGIS_JUDGE_HOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/chan.h"
#include "common/span.h"
#include "keymasterd/judge/store_hook.h"

struct buf;
struct decide;
struct decide_kv;

enum hook_event {
	HOOK_BLOCKED = 1 << 0,
	HOOK_EXPIRY = 1 << 1,
	HOOK_RATE = 1 << 2,
	HOOK_AUTH = 1 << 3,
	HOOK_INSPECTION = 1 << 4,
	HOOK_CHECKPOINT = 1 << 5,
	HOOK_EVENTS = 6
};
/* "blocked_request" and so on; "" for none. */
const char *hook_event_name(uint32_t bit);

#define HOOK_IN_FLIGHT 4
/* Deliveries that wait, of one webhook and one event; more are dropped, so that an event
 * that is cheap to cause takes no place of another. */
#define HOOK_WAITING_MAX 250
#define HOOK_DEAD_MAX 100 /* dead ones that are kept, of one webhook */
#define HOOK_EXPIRY_DAYS 7

struct hook {
	struct store_hook row;
	char name[sizeof(HOOK_NAME) + HOOK_ID_LEN]; /* of its worker and secret */
	struct hook_url url;
	uint64_t pending, next_ms;     /* of the queue; next_ms 0: look */
	unsigned waiting[HOOK_EVENTS]; /* of the queue, by the number of the bit */
	unsigned dropped[HOOK_EVENTS]; /* since there was a row about it */
	uint64_t dropped_ms;           /* when that was; 0: never */
	uint64_t wanted_ms;            /* when a worker was last asked for; 0: not */
	char flying[HOOK_IN_FLIGHT][STORE_ID_MAX]; /* deliveries, "": free */
	TAILQ_ENTRY(hook) link;
};
TAILQ_HEAD(hook_list, hook);
extern struct hook_list hooks;

/* The row of proc_configure(): one that the configuration names; created_ms is 0. */
int hook_configure(void *msg);
/* Those that come from now on are kept aside; until they count in place of all that the
 * configuration named (commit), or are thrown away. With one that is gone goes what waits
 * for it. 0, or -1: not in memory, or not in the database. */
void hook_stage(void);
int hook_stage_end(bool commit);
/* Bits of a list with commas or blanks; 0 with the item that is none in *bad. */
uint32_t hook_events(struct span list, struct span *bad);
/* Reads them all; at start and after a rollback. 0 or -1. */
int hook_load(void);
struct hook *hook_find(const char *tenant, struct span id);
/* A row was written: into memory. NULL: no memory, or its address cannot be read. */
struct hook *hook_set(const struct store_hook *);
void hook_forget(struct hook *);
/* How many there are that vault keeps a secret for. */
unsigned hook_count(void);

/* hook_event.c: a question was refused and the row is written (kv as in decide.h). */
void hook_refused(
    const struct decide *, struct span code, const struct decide_kv *kv, size_t n);
/* Credentials that have expired or do within `days`; each once a day. fn, which may be
 * NULL, hears of all. How many were queued now, or -1. */
int hook_expiring(
    unsigned days, void (*fn)(const void *json, size_t len, void *arg), void *arg);
/* hook_queue.c: queues an event for all who want it: the members of "details", without
 * braces. */
void hook_tell(const char *tenant, uint32_t event, struct span details);
/* The body of an event, for its delivery id. 0 or -1. */
int hook_body(struct buf *, const char *id, uint32_t event, struct span details);
/* Ten times a second. */
void hook_tick(void);
/* Numbers for the collector. */
void hook_numbers(struct buf *);

/* Handlers of the command line (hook_admin.c, hook_test.c). */
int hook_add(struct chan *, uint64_t reqid, void *msg);
int hook_list(struct chan *, uint64_t reqid, void *msg);
int hook_remove(struct chan *, uint64_t reqid, void *msg);
int hook_test(struct chan *, uint64_t reqid, void *msg);
int hook_check(struct chan *, uint64_t reqid, void *msg);

/* hook_queue.c, for hook_test.c: the worker of a webhook, asked for if there is none
 * (NULL); and how an attempt went, for people. */
struct redeemer *hook_worker(struct hook *);
struct msg_hook_sent;
void hook_outcome(enum chan_status, const struct msg_hook_sent *, char *out, size_t size);

#endif
