/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SecurityContexts of the configuration, as JSON text; what they mean is the judge's.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "aegis/yaml.h"
#include "common/buf.h"
#include "common/json.h"

#define CONTEXTS_MAX 1000
#define CONTEXT_JSON_MAX 49152
#define NAME_SIZE 129

/* Takes the JSON text. 0, or -1 with the reason reported. */
static int
add(struct loading *l, const char *where, unsigned line, unsigned column,
    struct buf *json)
{
	struct config *c = l->c;
	struct config_context *grown;
	struct json_doc d;
	char name[NAME_SIZE], *text = NULL, *copy = NULL;
	enum json_err e;
	size_t i;
	int r = -1;

	json_init(&d);
	e = json_parse(&d, json->p, json->len, NULL);
	if (e != JSON_OK) {
		problem_add(&l->problems, where, line, column, "context",
		    "this is not JSON: %s at octet %u", json_strerror(e), d.err_at);
		goto out;
	}
	if (json_str_copy(&d, json_get(&d, 0, "name"), name, sizeof(name), NULL) == -1) {
		problem_add(&l->problems, where, line, column, "context",
		    "found no name, expected a map with name, capabilities, ...");
		goto out;
	}
	if (json->len > CONTEXT_JSON_MAX || c->ncontexts == CONTEXTS_MAX) {
		problem_add(&l->problems, where, line, column, name,
		    "found %zu octets as JSON and %zu contexts, expected at most %d and "
		    "%d",
		    json->len, c->ncontexts + 1, CONTEXT_JSON_MAX, CONTEXTS_MAX);
		goto out;
	}
	for (i = 0; i < c->ncontexts; i++)
		if (strcmp(c->contexts[i].name, name) == 0) {
			problem_add(&l->problems, where, line, column, name,
			    "found this context again, expected each name once");
			goto out;
		}
	grown = reallocarray(c->contexts, c->ncontexts + 1, sizeof(*grown));
	text = strndup((const char *)json->p, json->len);
	copy = strdup(name);
	if (grown != NULL)
		c->contexts = grown;
	if (grown == NULL || text == NULL || copy == NULL) {
		problem_add(&l->problems, where, 0, 0, name, "out of memory");
		goto out;
	}
	c->contexts[c->ncontexts++] = (struct config_context){copy, text};
	copy = text = NULL;
	r = 0;
out:
	free(copy);
	free(text);
	json_free(&d);
	return r;
}

static void
read_list(struct loading *l)
{
	const struct yaml_node *n;
	char what[80];
	struct buf json;

	if (l->contexts->kind != YAML_LIST) {
		problem_add(&l->problems, NULL, l->contexts->line, l->contexts->column,
		    "contexts", "found %s, expected a list",
		    ytree_describe(l->contexts, what, sizeof(what)));
		return;
	}
	for (n = l->contexts->child; n != NULL; n = n->next) {
		buf_init(&json);
		if (ytree_to_json(n, &json) == 0)
			(void)add(l, NULL, n->line, n->column, &json);
		buf_free(&json);
	}
}

/* One file, one context; problems of a YAML file carry its own lines. */
static void
read_one(struct loading *l, const char *path, bool yaml)
{
	struct yaml_node *root = NULL;
	const char *outer = l->problems.file;
	size_t len;
	char *text = config_read_file(path, YAML_SIZE_MAX, &len);
	struct buf json;

	buf_init(&json);
	if (text == NULL) {
		problem_add(&l->problems, path, 0, 0, NULL, "%s", strerror(errno));
		goto out;
	}
	l->problems.file = path;
	if (yaml) {
		root = ytree_parse(text, len, &l->problems);
		if (root != NULL && ytree_to_json(root, &json) == 0)
			(void)add(l, path, root->line, root->column, &json);
	} else if (buf_put(&json, text, len) == 0) {
		(void)add(l, path, 0, 0, &json);
	}
	l->problems.file = outer;
out:
	ytree_free(root);
	free(text);
	buf_free(&json);
}

static int
is_context_file(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return e->d_name[0] != '.' && dot != NULL &&
	    (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 ||
		strcmp(dot, ".json") == 0);
}

static void
read_dir(struct loading *l)
{
	struct dirent **list;
	int i, n = scandir(l->c->contexts_dir, &list, is_context_file, alphasort);
	char *path;

	if (n == -1) {
		problem_add(&l->problems, l->c->file, 0, 0, "contexts_dir",
		    "found %s (%s), expected a readable directory", l->c->contexts_dir,
		    strerror(errno));
		return;
	}
	for (i = 0; i < n; i++) {
		path = key_path_join(l->c->contexts_dir, list[i]->d_name);
		if (path != NULL)
			read_one(l, path, strstr(list[i]->d_name, ".json") == NULL);
		free(path);
		free(list[i]);
	}
	free(list);
}

void
config_read_contexts(struct loading *l)
{
	if (l->contexts != NULL)
		read_list(l);
	if (l->c->contexts_dir != NULL)
		read_dir(l);
}

void
config_free_contexts(struct config *c)
{
	size_t i;

	for (i = 0; i < c->ncontexts; i++) {
		free(c->contexts[i].name);
		free(c->contexts[i].json);
	}
	free(c->contexts);
}
