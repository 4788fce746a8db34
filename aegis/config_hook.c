/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Webhooks of the configuration. Their ids come from their addresses, so that what waits
 * for one is sent after a restart, too. Command line and master.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "aegis/yaml.h"
#include "common/hex.h"
#include "common/secret.h"

#define HOOKS_MAX 16

static void
on_key(const struct config_key *k, const struct yaml_node *n, void *arg)
{
	struct loading *l = arg;

	(void)n;
	if (k->type == KEY_SECRET)
		config_warn_mode(l->c->file, "a webhook's secret");
}

static void
read_hook(struct loading *l, const struct yaml_node *map, size_t index)
{
	struct config *c = l->c;
	struct config_hook *h = &c->hooks[c->nhooks++];
	uint8_t digest[crypto_hash_sha256_BYTES];
	char prefix[64];
	const char *why;
	size_t i;

	memset(h, 0, sizeof(*h));
	snprintf(prefix, sizeof(prefix), "webhooks[%zu].", index);
	keys_read_map(hook_keys, h, map, c->base_dir, prefix, &l->problems, on_key, l);
	if (map->kind != YAML_MAP)
		return;
	if (h->url == NULL || h->secret == NULL || h->events == NULL) {
		problem_add(&l->problems, NULL, map->line, map->column, prefix,
		    "found no %s, expected url, events and secret",
		    h->url == NULL          ? "url"
			: h->events == NULL ? "events"
					    : "secret");
		return;
	}
	if ((why = hook_url_parse(span_str(h->url), &h->parsed)) != NULL)
		problem_add(&l->problems, NULL, map->line, map->column, prefix,
		    "found a url that cannot be used, expected https://host/path: %s",
		    why); /* its path, or a password, may be a secret */
	crypto_hash_sha256(digest, (const uint8_t *)h->url, strlen(h->url));
	(void)hex_encode(digest, HOOK_ID_LEN / 2, h->id, sizeof(h->id));
	for (i = 0; i + 1 < c->nhooks; i++)
		if (strcmp(c->hooks[i].id, h->id) == 0)
			problem_add(&l->problems, NULL, map->line, map->column, prefix,
			    "found the url of webhooks[%zu], expected one list of events "
			    "for each url",
			    i);
}

void
config_read_hooks(struct loading *l)
{
	const struct yaml_node *n;
	char what[80];
	size_t i = 0;

	if (l->hooks == NULL)
		return;
	if (l->hooks->kind != YAML_LIST || l->hooks->count > HOOKS_MAX) {
		problem_add(&l->problems, NULL, l->hooks->line, l->hooks->column,
		    "webhooks", "found %s, expected a list of at most %d",
		    ytree_describe(l->hooks, what, sizeof(what)), HOOKS_MAX);
		return;
	}
	l->c->hooks = calloc(l->hooks->count + 1u, sizeof(*l->c->hooks));
	for (n = l->hooks->child; n != NULL && l->c->hooks != NULL; n = n->next)
		read_hook(l, n, i++);
}

void
config_free_hooks(struct config *c)
{
	const struct config_key *k;
	size_t i;

	for (i = 0; i < c->nhooks; i++)
		for (k = hook_keys; k->path != NULL; k++)
			key_clear(k, &c->hooks[i]);
	free(c->hooks);
}
