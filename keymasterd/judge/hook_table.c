/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks in memory, as the database has them. Judge only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/proc.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/turn.h"

struct hook_list hooks = TAILQ_HEAD_INITIALIZER(hooks);

#define CONFIGURED_MAX 16

static struct configured {
	struct store_hook list[CONFIGURED_MAX];
	size_t n;
} configured, staged, *reading = &configured;

uint32_t
hook_events(struct span list, struct span *bad)
{
	const char *p = list.p, *end = list.p + list.len, *stop;
	uint32_t events = 0;
	struct span item;
	unsigned i;

	*bad = span_str("");
	for (; list.len > 0 && p < end; p = stop + 1) {
		for (stop = p; stop < end && *stop != ',' && *stop != ' '; stop++)
			;
		item = span_mem(p, (size_t)(stop - p));
		if (item.len == 0)
			continue;
		for (i = 0; i < HOOK_EVENTS; i++)
			if (span_eq(item, hook_event_name(1u << i)))
				break;
		if (i == HOOK_EVENTS) {
			*bad = item;
			return 0;
		}
		events |= 1u << i;
	}
	return events;
}

int
hook_configure(void *msg)
{
	const struct msg_conf_webhook *m = msg;
	struct store_hook *row;
	struct span bad;

	if (reading->n == CONFIGURED_MAX)
		return -1;
	row = &reading->list[reading->n++];
	memset(row, 0, sizeof(*row));
	row->events = hook_events(m->events, &bad);
	if (row->events == 0) {
		/* the address may hold a secret */
		LOG_ERROR("webhook.events", LSN("webhook", m->id.p, m->id.len),
		    LSN("unknown", bad.p, bad.len));
		return -1;
	}
	row->allow_private = m->allow_private;
	snprintf(row->tenant, sizeof(row->tenant), "%s",
	    proc_self.tenant[0] != '\0' ? proc_self.tenant : "default");
	return span_copy(m->id, row->id, sizeof(row->id)) == -1 ||
		span_copy(m->url, row->url, sizeof(row->url)) == -1 ||
		span_copy(m->label, row->label, sizeof(row->label)) == -1
	    ? -1
	    : 0;
}

struct hook *
hook_find(const char *tenant, struct span id)
{
	struct hook *h;

	TAILQ_FOREACH (h, &hooks, link)
		if (span_eq(id, h->row.id) && strcmp(h->row.tenant, tenant) == 0)
			return h;
	return NULL;
}

unsigned
hook_count(void)
{
	const struct hook *h;
	unsigned n = 0;

	TAILQ_FOREACH (h, &hooks, link)
		n += h->row.created_ms != 0;
	return n;
}

struct hook *
hook_set(const struct store_hook *row)
{
	struct hook *h = hook_find(row->tenant, span_str(row->id));
	struct hook_url url;
	uint64_t dead;

	if (hook_url_parse(span_str(row->url), &url) != NULL)
		return NULL;
	if (h == NULL) {
		if ((h = calloc(1, sizeof(*h))) == NULL)
			return NULL;
		TAILQ_INSERT_TAIL(&hooks, h, link);
	}
	h->row = *row;
	h->url = url;
	snprintf(h->name, sizeof(h->name), HOOK_NAME "%s", row->id);
	if (store_delivery_count(
		judge_store, row->tenant, row->id, &h->pending, &dead, &h->next_ms) == -1)
		h->pending = 0;
	memset(h->waiting, 0, sizeof(h->waiting));
	(void)store_delivery_waiting(
	    judge_store, row->tenant, row->id, h->waiting, HOOK_EVENTS);
	return h;
}

void
hook_forget(struct hook *h)
{
	TAILQ_REMOVE(&hooks, h, link);
	free(h);
}

static int
load_configured(void)
{
	size_t i;

	for (i = 0; i < configured.n; i++)
		if (hook_set(&configured.list[i]) == NULL)
			return -1;
	return 0;
}

void
hook_stage(void)
{
	staged.n = 0;
	reading = &staged;
}

static bool
is_configured(const struct hook *h)
{
	size_t i;

	for (i = 0; i < configured.n; i++)
		if (strcmp(configured.list[i].id, h->row.id) == 0)
			return true;
	return false;
}

int
hook_stage_end(bool commit)
{
	struct hook *h, *next;

	reading = &configured;
	if (!commit)
		return 0;
	configured = staged;
	turn_touched();
	for (h = TAILQ_FIRST(&hooks); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		if (h->row.created_ms != 0 || is_configured(h))
			continue;
		if (store_hook_delete(judge_store, h->row.tenant, h->row.id) == -1)
			return -1;
		hook_forget(h);
	}
	return load_configured();
}

static int
load_one(const struct store_hook *row, void *arg)
{
	(void)arg;
	return hook_set(row) != NULL ? 0 : -1;
}

static void
load_again(void *arg)
{
	struct hook *h, *next;

	(void)arg;
	/* what is under way stays so: those there are keep their place */
	TAILQ_FOREACH (h, &hooks, link)
		h->row.events = 0;
	(void)store_hook_each(judge_store, load_one, NULL);
	(void)load_configured();
	for (h = TAILQ_FIRST(&hooks); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		if (h->row.events == 0)
			hook_forget(h);
	}
}

/* What waits for a webhook that the configuration names no more. */
static int
drop_orphans(void)
{
	char id[HOOK_ID_LEN + 1] = "";

	for (;;) {
		if (store_delivery_hook_next(judge_store, judge_conf.tenant, id) == -1)
			return -1;
		if (id[0] == '\0')
			return 0;
		if (hook_find(judge_conf.tenant, span_str(id)) != NULL)
			continue;
		turn_touched();
		if (store_hook_delete(judge_store, judge_conf.tenant, id) == -1)
			return -1;
	}
}

int
hook_load(void)
{
	turn_on_rollback(load_again, NULL);
	return store_hook_each(judge_store, load_one, NULL) == -1 ||
		load_configured() == -1 || drop_orphans() == -1
	    ? -1
	    : 0;
}
