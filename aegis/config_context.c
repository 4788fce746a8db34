/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SecurityContexts of the configuration: its list `contexts`, and the files of
 * contexts_dir, which is `contexts` beside the configuration when there is one. Command
 * line and master.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aegis/config_int.h"
#include "aegis/context_file.h"
#include "aegis/keys.h"
#include "aegis/yaml.h"

#define CONTEXTS_MAX 1000

/* Takes one context. Names are there once, whatever files they come from. */
static int
add(struct span json, const char *name, unsigned line, unsigned column, void *arg)
{
	struct loading *l = arg;
	struct config *c = l->c;
	struct config_context *grown;
	char *text, *copy, *from;
	size_t i;

	for (i = 0; i < c->ncontexts; i++)
		if (strcmp(c->contexts[i].name, name) == 0) {
			problem_add(&l->problems, NULL, line, column, name,
			    "found this context again, expected each name once; it is "
			    "also in %s",
			    c->contexts[i].file);
			return 0;
		}
	if (c->ncontexts == CONTEXTS_MAX) {
		problem_add(&l->problems, NULL, line, column, name,
		    "found more than %d contexts; administrators can add others with "
		    "aegis context add",
		    CONTEXTS_MAX);
		return -1;
	}
	grown = reallocarray(c->contexts, c->ncontexts + 1, sizeof(*grown));
	text = strndup(json.p, json.len);
	copy = strdup(name);
	from = strdup(l->problems.file);
	if (grown != NULL)
		c->contexts = grown;
	if (grown == NULL || text == NULL || copy == NULL || from == NULL) {
		free(text);
		free(copy);
		free(from);
		problem_add(&l->problems, NULL, line, column, name, "out of memory");
		return -1;
	}
	c->contexts[c->ncontexts++] = (struct config_context){copy, text, from};
	return 0;
}

static void
read_list(struct loading *l)
{
	struct yaml_node *n = l->root->child;
	char what[80];

	if (l->contexts->kind != YAML_LIST) {
		problem_add(&l->problems, NULL, l->contexts->line, l->contexts->column,
		    "contexts", "found %s, expected a list",
		    ytree_describe(l->contexts, what, sizeof(what)));
		return;
	}
	while (n != NULL && n != l->contexts)
		n = n->next;
	if (n != NULL)
		(void)context_file_node(n, &l->problems, add, l);
}

static void
read_one(struct loading *l, const char *path)
{
	const char *outer = l->problems.file;
	size_t len;
	char *text = config_read_file(path, YAML_SIZE_MAX, &len);

	if (text == NULL) {
		problem_add(&l->problems, path, 0, 0, NULL, "%s", strerror(errno));
		return;
	}
	l->problems.file = path;
	(void)context_file_read(path, text, len, &l->problems, add, l);
	l->problems.file = outer;
	free(text);
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
			read_one(l, path);
		free(path);
		free(list[i]);
	}
	free(list);
}

/* `contexts` beside the configuration, when it is there and nothing else was said. */
static void
find_dir(struct loading *l)
{
	const char *slash = l->c->file == NULL ? NULL : strrchr(l->c->file, '/');
	struct stat st;
	char *base, *path;

	if (l->c->contexts_dir != NULL || l->c->file == NULL)
		return;
	base = slash == NULL      ? strdup(".")
	    : slash == l->c->file ? strdup("/")
				  : strndup(l->c->file, (size_t)(slash - l->c->file));
	path = base == NULL ? NULL : key_path_join(base, "contexts");
	free(base);
	if (path != NULL && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		l->c->contexts_dir = path;
	else
		free(path);
}

void
config_read_contexts(struct loading *l)
{
	if (l->contexts != NULL)
		read_list(l);
	find_dir(l);
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
		free(c->contexts[i].file);
	}
	free(c->contexts);
}
