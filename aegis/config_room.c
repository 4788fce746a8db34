/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tool server may see: the paths that its configuration names.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "aegis/yaml.h"

#define PATHS_MAX 60 /* toolexec takes 64: the working directory is one, too */

/* Its room has its own ones of these, and / is not a room. */
static const char *const own[] = {"/proc", "/sys", "/dev"};

static bool
is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* Without slashes at the end and doubled ones; -1: has . or .. as a part, or is /. */
static int
tidy(char *path)
{
	char *to = path;
	const char *from = path;
	size_t len;

	while (*from != '\0') {
		while (from[0] == '/' && from[1] == '/')
			from++;
		len = strcspn(from + 1, "/") + 1;
		if (len == 1)
			break;
		if ((len == 2 && from[1] == '.') ||
		    (len == 3 && from[1] == '.' && from[2] == '.'))
			return -1;
		memmove(to, from, len);
		to += len;
		from += len;
	}
	*to = '\0';
	return to == path ? -1 : 0;
}

static bool
is_allowed(const char *path)
{
	size_t i;

	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (is_below(path, own[i]))
			return false;
	return strlen(path) <= 1000;
}

/* Takes one path as "rPATH" or "wPATH". NULL: no memory. */
static char *
marked(const char *base_dir, const char *text, bool write)
{
	char *path = key_path_join(base_dir, text), *out = NULL;

	if (path != NULL && (out = malloc(strlen(path) + 2)) != NULL) {
		out[0] = write ? 'w' : 'r';
		memcpy(out + 1, path, strlen(path) + 1);
	}
	free(path);
	return out;
}

static void
read_path(struct loading *l, struct config_tool *t, const struct yaml_node *n,
    const char *prefix, size_t *count)
{
	const struct yaml_node *path = n, *mode = NULL, *m;
	char what[80], key[200], *s;
	struct stat st;
	size_t i;

	snprintf(key, sizeof(key), "%spaths", prefix);
	if (n->kind == YAML_MAP) {
		path = ytree_get(n, "path");
		mode = ytree_get(n, "mode");
		for (m = n->child; m != NULL; m = m->next)
			if (m != path && m != mode)
				path = NULL;
	}
	if (path == NULL || path->kind != YAML_TEXT || path->text[0] == '\0' ||
	    (mode != NULL &&
		(mode->kind != YAML_TEXT ||
		    (strcmp(mode->text, "ro") != 0 && strcmp(mode->text, "rw") != 0)))) {
		problem_add(&l->problems, NULL, n->line, n->column, key,
		    "found %s, expected {path: PATH, mode: ro or rw}, or a path that may "
		    "be read",
		    ytree_describe(n, what, sizeof(what)));
		return;
	}
	s = marked(l->c->base_dir, path->text, mode != NULL && mode->text[1] == 'w');
	if (s == NULL)
		return;
	if (tidy(s + 1) == -1 || !is_allowed(s + 1)) {
		problem_add(&l->problems, NULL, path->line, path->column, key,
		    "found \"%.200s\", expected a path without . and .., and not /, "
		    "/proc, /sys "
		    "or /dev",
		    path->text);
		free(s);
		return;
	}
	if (t->enabled && l->serve && stat(s + 1, &st) == -1)
		problem_add(&l->problems, NULL, path->line, path->column, key,
		    "found \"%.200s\" (%s), expected a file or directory that exists",
		    s + 1, strerror(errno));
	for (i = 0; i < *count; i++)
		if (strcmp(t->paths[i] + 1, s + 1) == 0) {
			problem_add(&l->problems, NULL, path->line, path->column, key,
			    "found \"%.200s\" again, expected each path once", s + 1);
			free(s);
			return;
		}
	t->paths[(*count)++] = s;
}

void
config_read_room(struct loading *l, struct config_tool *t, const struct yaml_node *list,
    const char *prefix)
{
	const struct yaml_node *n;
	char what[80], key[200];
	size_t count = 0, i;

	if (list != NULL && (list->kind != YAML_LIST || list->count > PATHS_MAX)) {
		snprintf(key, sizeof(key), "%spaths", prefix);
		problem_add(&l->problems, NULL, list->line, list->column, key,
		    "found %s, expected a list of at most %d paths",
		    ytree_describe(list, what, sizeof(what)), PATHS_MAX);
		list = NULL;
	}
	t->paths = calloc((list != NULL ? list->count : 0) + 2u, sizeof(char *));
	for (n = list != NULL ? list->child : NULL; n != NULL && t->paths != NULL;
	     n = n->next)
		read_path(l, t, n, prefix, &count);
	/* where it runs it may at least look around */
	if (t->paths == NULL || t->workdir == NULL || t->workdir[0] == '\0')
		return;
	for (i = 0; i < count; i++)
		if (is_below(t->workdir, t->paths[i] + 1))
			return;
	t->paths[count] = marked("/", t->workdir, false);
	if (t->paths[count] != NULL &&
	    (tidy(t->paths[count] + 1) == -1 || !is_allowed(t->paths[count] + 1))) {
		free(t->paths[count]);
		t->paths[count] = NULL;
	}
}
