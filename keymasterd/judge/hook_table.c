/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks in memory, as the database has them. Judge only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/turn.h"

struct hook_list hooks = TAILQ_HEAD_INITIALIZER(hooks);

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
		n++;
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
	return h;
}

void
hook_forget(struct hook *h)
{
	TAILQ_REMOVE(&hooks, h, link);
	free(h);
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
	for (h = TAILQ_FIRST(&hooks); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		if (h->row.events == 0)
			hook_forget(h);
	}
}

int
hook_load(void)
{
	turn_on_rollback(load_again, NULL);
	return store_hook_each(judge_store, load_one, NULL);
}
