/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks a file's maps along the table of keys.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "aegis/keys.h"
#include "aegis/problem.h"
#include "aegis/yaml.h"

/* Is there a key below this section? */
static bool
is_section(const struct config_key *table, const char *path)
{
	size_t len = strlen(path);

	for (; table->path != NULL; table++)
		if (strncmp(table->path, path, len) == 0 && table->path[len] == '.')
			return true;
	return false;
}

static void
report_unknown(const struct config_key *table, const struct yaml_node *n,
    const char *path, const char *prefix, struct problems *p)
{
	const char *words[128], *near;
	char sections[64][64];
	size_t i, used = 0, nsections = 0, dot;

	for (i = 0; table[i].path != NULL && used < 100; i++) {
		words[used++] = table[i].path;
		dot = strcspn(table[i].path, ".");
		if (dot < sizeof(sections[0]) && nsections < 20 &&
		    table[i].path[dot] == '.' &&
		    (nsections == 0 || strlen(sections[nsections - 1]) != dot ||
			memcmp(sections[nsections - 1], table[i].path, dot) != 0)) {
			memcpy(sections[nsections], table[i].path, dot);
			sections[nsections][dot] = '\0';
			words[used++] = sections[nsections++];
		}
	}
	words[used] = NULL;
	near = problem_nearest(path, words);
	problem_add(p, NULL, n->key_line, n->key_column, "",
	    "%s%s: found an unknown key, expected %s%s%s%s", prefix, path,
	    near != NULL ? "perhaps " : "one of those in aegis.config.yaml(5)",
	    near != NULL ? prefix : "", near != NULL ? near : "",
	    near != NULL ? "?" : "");
}

struct walk {
	const struct config_key *table;
	void *s;
	const char *base_dir, *prefix;
	struct problems *problems;
	key_seen_fn seen;
	void *arg;
};

static void
walk_map(const struct walk *w, const struct yaml_node *map, const char *section)
{
	const struct config_key *k;
	const struct yaml_node *n;
	char path[300], full[400], what[80];
	bool dotted;

	for (n = map->child; n != NULL; n = n->next) {
		snprintf(path, sizeof(path), "%s%s%.200s", section, section[0] ? "." : "",
		    n->key);
		snprintf(full, sizeof(full), "%s%s", w->prefix, path);
		dotted = strchr(n->key, '.') != NULL;
		k = dotted ? NULL : key_find(w->table, path);
		if (k != NULL && k->type == KEY_LATER) {
			problem_add(w->problems, NULL, n->key_line, n->key_column, full,
			    "found a key of a feature that is not supported yet: remove "
			    "it");
		} else if (k != NULL) {
			if (n->kind == YAML_NULL)
				continue; /* a key without a value is a key left out */
			if (k->type == KEY_TREE ||
			    key_set_node(k, w->s, n, w->base_dir, full, w->problems) == 0)
				w->seen(k, n, w->arg);
		} else if (dotted || !is_section(w->table, path)) {
			report_unknown(w->table, n, path, w->prefix, w->problems);
		} else if (n->kind == YAML_MAP) {
			walk_map(w, n, path);
		} else if (n->kind != YAML_NULL) {
			problem_add(w->problems, NULL, n->line, n->column, full,
			    "found %s, expected a map",
			    ytree_describe(n, what, sizeof(what)));
		}
	}
}

void
keys_read_map(const struct config_key *table, void *s, const struct yaml_node *map,
    const char *base_dir, const char *prefix, struct problems *p, key_seen_fn seen,
    void *arg)
{
	const struct walk w = {table, s, base_dir, prefix, p, seen, arg};
	char what[80];

	if (map->kind != YAML_MAP)
		problem_add(p, NULL, map->line, map->column, "",
		    "%s: found %s, expected a map", prefix[0] ? prefix : "file",
		    ytree_describe(map, what, sizeof(what)));
	else
		walk_map(&w, map, "");
}
