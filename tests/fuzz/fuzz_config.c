/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a configuration file, down to tool servers and contexts. What is accepted
 * must give JSON that our own reader accepts.
 */
#include <stdlib.h>
#include <string.h>

#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "aegis/yaml.h"
#include "common/buf.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
seen(const struct config_key *k, const struct yaml_node *n, void *arg)
{
	struct loading *l = arg;

	must(k >= config_keys && k < config_keys + config_keys_count());
	if (strcmp(k->path, "contexts") == 0)
		l->contexts = n;
	if (strcmp(k->path, "tools.mcp_servers") == 0)
		l->servers = n;
}

static void
check_json(struct yaml_node *root)
{
	struct json_doc d;
	struct buf out;

	buf_init(&out);
	json_init(&d);
	must(ytree_to_json(root, &out) == 0);
	must(json_parse(&d, out.p, out.len, NULL) == JSON_OK);
	json_free(&d);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *c = calloc(1, sizeof(*c));
	struct loading l = {.c = c};
	size_t i;

	must(c != NULL);
	c->base_dir = strdup("/nowhere");
	c->origins = calloc(config_keys_count(), 1);
	must(c->base_dir != NULL && c->origins != NULL);
	problems_init(&l.problems, "file");
	l.root = ytree_parse((const char *)data, size, &l.problems);
	if (l.root != NULL && l.problems.count == 0)
		check_json(l.root);
	if (l.root != NULL) {
		keys_read_map(
		    config_keys, c, l.root, c->base_dir, "", &l.problems, seen, &l);
		free(c->contexts_dir); /* other files are not part of the input */
		c->contexts_dir = NULL;
		config_read_contexts(&l);
		config_read_tools(&l);
		for (i = 0; l.problems.count == 0 && i < c->ntools; i++)
			must(c->tools[i].name != NULL && c->tools[i].executable != NULL &&
			    c->tools[i].capabilities != NULL);
	}
	must((l.problems.count == 0) == (l.problems.text.len == 0));
	ytree_free(l.root);
	problems_free(&l.problems);
	config_free(c);
	return 0;
}
