/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tool servers of the configuration: programs, their tools, their variables.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "aegis/yaml.h"
#include "common/reference.h"
#include "common/secret.h"

#define TOOLS_MAX 64
#define CAPABILITIES_MAX 256
#define VARIABLES_MAX 128
#define VALUE_MAX 32768
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

struct reading {
	struct loading *l;
	struct config_tool *t;
	const char *prefix;
	const struct yaml_node *executable, *capabilities, *paths, *network;
	const struct yaml_node *variables[3]; /* credentials, env, environment */
};

static void __attribute__((format(printf, 4, 5))) complain(
    struct reading *r, const struct yaml_node *n, const char *key, const char *fmt, ...)
{
	char path[400], text[600];
	va_list ap;

	snprintf(path, sizeof(path), "%s%s", r->prefix, key);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	problem_add(&r->l->problems, NULL, n->line, n->column, path, "%s", text);
}

static void
on_key(const struct config_key *k, const struct yaml_node *n, void *arg)
{
	struct reading *r = arg;

	if (strcmp(k->path, "executable") == 0)
		r->executable = n;
	else if (strcmp(k->path, "capabilities") == 0)
		r->capabilities = n;
	else if (strcmp(k->path, "paths") == 0)
		r->paths = n;
	else if (strcmp(k->path, "network") == 0)
		r->network = n;
	else if (strcmp(k->path, "credentials") == 0)
		r->variables[0] = n;
	else if (strcmp(k->path, "env") == 0)
		r->variables[1] = n;
	else if (strcmp(k->path, "environment") == 0)
		r->variables[2] = n;
}

/* -- executable -- */

static bool
can_run(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static char *
find_program(const char *name)
{
	const char *dir = getenv("PATH"), *end;
	char *path;

	if (dir == NULL)
		dir = "/usr/local/bin:/usr/bin:/bin";
	for (; *dir != '\0'; dir = *end == ':' ? end + 1 : end) {
		end = strchrnul(dir, ':');
		if (dir[0] != '/') /* the current directory is nobody's PATH */
			continue;
		if (asprintf(&path, "%.*s/%s", (int)(end - dir), dir, name) == -1)
			return NULL;
		if (can_run(path))
			return path;
		free(path);
	}
	return NULL;
}

static void
read_executable(struct reading *r, const struct yaml_node *map)
{
	const struct yaml_node *n = r->executable;
	const char *name;

	if (n == NULL || n->kind != YAML_TEXT || n->text[0] == '\0' ||
	    strlen(n->text) > 900) {
		complain(r, n != NULL ? n : map, "executable",
		    "found no program, expected its path or name");
		return;
	}
	name = n->text;
	if (strchr(name, '/') != NULL)
		r->t->executable = key_path_join(r->l->c->base_dir, name);
	else
		r->t->executable = find_program(name);
	if (r->t->executable != NULL && (!r->l->serve || can_run(r->t->executable)))
		return;
	if (r->t->enabled && r->l->serve)
		complain(r, n, "executable",
		    "found \"%.200s\", expected a program that exists and may be "
		    "executed",
		    name);
	if (r->t->executable == NULL)
		r->t->executable = strdup(name);
}

/* -- capabilities -- */

static bool
pattern_ok(const char *s)
{
	size_t len = strlen(s), i;

	if (len == 0 || len > 128)
		return false;
	for (i = 0; i < len; i++) {
		if (s[i] == '*')
			return i + 1 == len && (i == 0 || s[i - 1] == '.');
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	}
	return true;
}

static void
read_capabilities(struct reading *r, const struct yaml_node *map)
{
	const struct yaml_node *list = r->capabilities, *n, *name;
	char what[80];
	size_t i = 0;

	if (list == NULL || list->kind != YAML_LIST || list->count == 0 ||
	    list->count > CAPABILITIES_MAX) {
		complain(r, list != NULL ? list : map, "capabilities",
		    "found no list, expected 1 to %d tool names or prefix.*",
		    CAPABILITIES_MAX);
		return;
	}
	r->t->capabilities = calloc(list->count + 1u, sizeof(char *));
	for (n = list->child; n != NULL && r->t->capabilities != NULL; n = n->next) {
		name = n->kind == YAML_MAP ? ytree_get(n, "name") : n;
		if (name == NULL || name->kind != YAML_TEXT || !pattern_ok(name->text)) {
			complain(r, n, "capabilities",
			    "found %s, expected a tool name, prefix.*, or {name: ...}",
			    ytree_describe(n, what, sizeof(what)));
			continue;
		}
		r->t->capabilities[i] = strdup(name->text);
		if (r->t->capabilities[i++] == NULL)
			break;
	}
}

/* -- variables -- */

static bool
variable_name_ok(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= 128 && !(s[0] >= '0' && s[0] <= '9') &&
	    strspn(s,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool
variable_taken(const struct config_tool *t, const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; i < t->nvariables; i++)
		if (strcmp(t->variables[i].name, name) == 0)
			return true;
	for (i = 0; t->environment != NULL && t->environment[i] != NULL; i++)
		if (strncmp(t->environment[i], name, len) == 0 &&
		    t->environment[i][len] == '=')
			return true;
	return false;
}

static int
add_plain(struct config_tool *t, const char *name, const char *value)
{
	size_t n = 0;
	char **grown;

	while (t->environment != NULL && t->environment[n] != NULL)
		n++;
	grown = reallocarray(t->environment, n + 2, sizeof(*grown));
	if (grown == NULL)
		return -1;
	t->environment = grown;
	grown[n + 1] = NULL;
	if (asprintf(&grown[n], "%s=%s", name, value) == -1) {
		grown[n] = NULL;
		return -1;
	}
	return 0;
}

static int
add_secret(
    struct config_tool *t, const char *name, const char *reference, const char *value)
{
	struct config_variable *grown, *v;

	grown = reallocarray(t->variables, t->nvariables + 1, sizeof(*grown));
	if (grown == NULL)
		return -1;
	t->variables = grown;
	v = &grown[t->nvariables++];
	*v = (struct config_variable){.name = strdup(name)};
	if (reference != NULL)
		v->reference = strdup(reference);
	if (value != NULL)
		v->value = secret_new(value, strlen(value));
	return v->name != NULL && (reference == NULL || v->reference != NULL) &&
		(value == NULL || v->value != NULL)
	    ? 0
	    : -1;
}

/* env:NAME; the variable leaves our environment once all servers have been read. */
static int
add_from_environment(struct reading *r, const struct yaml_node *n, const char *key)
{
	const char *name = n->text + 4, *value;

	if (!variable_name_ok(name)) {
		complain(r, n, key, "found \"%.80s\", expected env:NAME", n->text);
		return 0;
	}
	value = config_variable(r->l, name, NULL);
	if (value == NULL && r->t->enabled && r->l->serve && !config_was_hidden(name)) {
		complain(r, n, key,
		    "found env:%.80s, which is not set, expected a variable of the "
		    "environment or of .env",
		    name);
		return 0;
	}
	if (value != NULL && strlen(value) > VALUE_MAX) {
		complain(r, n, key, "found a value of more than %d octets", VALUE_MAX);
		return 0;
	}
	return add_secret(r->t, n->key, NULL, value != NULL ? value : "");
}

/*
 * A user of a database that is named without a field: NAME holds both parts, and
 * NAME_USERNAME and NAME_PASSWORD one each.
 */
static int
add_reference(struct reading *r, const struct yaml_node *n)
{
	static const char *const parts[][2] = {
	    {"_USERNAME", REFERENCE_USERNAME}, {"_PASSWORD", REFERENCE_PASSWORD}};
	char name[129], reference[520];
	struct reference ref;
	size_t i;

	if (add_secret(r->t, n->key, n->text, NULL) == -1)
		return -1;
	if (reference_parse(span_str(n->text), &ref) != NULL || !ref.dynamic ||
	    ref.field[0] != '\0')
		return 0;
	for (i = 0; i < 2; i++) {
		if (snprintf(name, sizeof(name), "%s%s", n->key, parts[i][0]) >=
			(int)sizeof(name) ||
		    variable_taken(r->t, name))
			continue; /* named by itself */
		snprintf(reference, sizeof(reference), "%s#%s", n->text, parts[i][1]);
		if (add_secret(r->t, name, reference, NULL) == -1)
			return -1;
	}
	return 0;
}

static int
add_variable(struct reading *r, const struct yaml_node *n, bool credential)
{
	char key[200], what[80];

	snprintf(
	    key, sizeof(key), "%s.%.128s", credential ? "credentials" : "env", n->key);
	if (!variable_name_ok(n->key) || variable_taken(r->t, n->key)) {
		complain(r, n, key, "found a variable that is %s",
		    variable_name_ok(n->key)
			? "there already, expected each once"
			: "misnamed, expected letters, digits and _");
		return 0;
	}
	if (n->kind != YAML_TEXT) {
		complain(r, n, key, "found %s, expected text",
		    ytree_describe(n, what, sizeof(what)));
		return 0;
	}
	if (strncmp(n->text, "env:", 4) == 0)
		return add_from_environment(r, n, key);
	if (strncmp(n->text, "secret:", 7) == 0 &&
	    r->l->c->vault_provider != CONFIG_OPENBAO) {
		size_t len = strlen(n->text + 7);

		if (len > 0 && len <= 128 && strspn(n->text + 7, NAME_CHARS) == len)
			return add_secret(r->t, n->key, n->text, NULL);
		complain(r, n, key,
		    "found \"%.80s\", expected secret: and the name of a credential in "
		    "the vault; a path in OpenBao is written vault:MOUNT/PATH",
		    n->text);
		return 0;
	}
	if (strncmp(n->text, "vault:", 6) == 0 || strncmp(n->text, "secret:", 7) == 0) {
		const char *why = config_check_reference(r->l->c, n->text);

		if (why == NULL && strlen(n->text) <= 500)
			return add_reference(r, n);
		complain(r, n, key, "found \"%.80s\": %s", n->text,
		    why != NULL ? why : "it is too long");
		return 0;
	}
	if (strncmp(n->text, "literal:", 8) == 0)
		return credential ? add_secret(r->t, n->key, NULL, n->text + 8)
				  : add_plain(r->t, n->key, n->text + 8);
	if (credential) {
		complain(r, n, key,
		    "found plain text, expected secret:NAME (of the vault), env:NAME (of "
		    "the "
		    "environment), or literal:TEXT when it is meant as it stands");
		return 0;
	}
	return add_plain(r->t, n->key, n->text);
}

static void
read_variables(struct reading *r)
{
	static const char *const keys[] = {"credentials", "env", "environment"};
	const struct yaml_node *n;
	char what[80];
	size_t i;

	for (i = 0; i < 3; i++) {
		if (r->variables[i] == NULL)
			continue;
		if (r->variables[i]->kind != YAML_MAP ||
		    r->variables[i]->count > VARIABLES_MAX) {
			complain(r, r->variables[i], keys[i],
			    "found %s, expected a map of names",
			    ytree_describe(r->variables[i], what, sizeof(what)));
			continue;
		}
		for (n = r->variables[i]->child; n != NULL; n = n->next)
			if (add_variable(r, n, i == 0) == -1)
				complain(r, n, keys[i], "out of memory");
	}
}

/* -- all of them -- */

static void
read_server(struct loading *l, const struct yaml_node *map, size_t index)
{
	struct config *c = l->c;
	struct config_tool *t = &c->tools[c->ntools++];
	const struct config_key *k;
	char prefix[80], err[320];
	struct reading r = {.l = l, .t = t, .prefix = prefix};
	size_t i;

	memset(t, 0, sizeof(*t));
	snprintf(prefix, sizeof(prefix), "tools.mcp_servers[%zu].", index);
	for (k = tool_keys; k->path != NULL; k++)
		if (k->fallback != NULL)
			(void)key_set_text(k, t, k->fallback, NULL, err, sizeof(err));
	keys_read_map(tool_keys, t, map, c->base_dir, prefix, &l->problems, on_key, &r);
	if (map->kind != YAML_MAP)
		return;
	if (t->name == NULL)
		complain(&r, map, "name", "found none, expected a unique name");
	for (i = 0; t->name != NULL && i + 1 < c->ntools; i++)
		if (c->tools[i].name != NULL && strcmp(c->tools[i].name, t->name) == 0)
			complain(&r, map, "name",
			    "found \"%s\" again, expected a unique name", t->name);
	read_executable(&r, map);
	read_capabilities(&r, map);
	read_variables(&r);
	if (t->workdir == NULL)
		t->workdir = strdup("");
	config_read_room(l, t, r.paths, prefix);
	config_read_network(l, t, r.network, prefix);
}

/* Secrets that were read from the environment leave it. */
static void
hide_variables(struct loading *l, const struct yaml_node *n)
{
	for (; n != NULL; n = n->next) {
		if (n->kind == YAML_TEXT && n->key != NULL &&
		    strncmp(n->text, "env:", 4) == 0 && variable_name_ok(n->text + 4) &&
		    strcmp(n->text + 4, "PATH") != 0 && strcmp(n->text + 4, "HOME") != 0)
			config_hide_variable(l, n->text + 4);
		hide_variables(l, n->child);
	}
}

void
config_read_tools(struct loading *l)
{
	const struct yaml_node *n;
	char what[80];
	size_t i = 0;

	if (l->servers == NULL)
		return;
	if (l->servers->kind != YAML_LIST || l->servers->count > TOOLS_MAX) {
		problem_add(&l->problems, NULL, l->servers->line, l->servers->column,
		    "tools.mcp_servers", "found %s, expected a list of at most %d",
		    ytree_describe(l->servers, what, sizeof(what)), TOOLS_MAX);
		return;
	}
	l->c->tools = calloc(l->servers->count + 1u, sizeof(*l->c->tools));
	for (n = l->servers->child; n != NULL && l->c->tools != NULL; n = n->next)
		read_server(l, n, i++);
	hide_variables(l, l->servers->child);
}

static void
free_list(char **list)
{
	size_t i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

void
config_free_tools(struct config *c)
{
	const struct config_key *k;
	struct config_tool *t;
	size_t i, j;

	for (i = 0; i < c->ntools; i++) {
		t = &c->tools[i];
		for (k = tool_keys; k->path != NULL; k++)
			key_clear(k, t);
		free(t->executable);
		free_list(t->capabilities);
		free_list(t->environment);
		free_list(t->paths);
		free_list(t->hosts);
		for (j = 0; j < t->nvariables; j++) {
			free(t->variables[j].name);
			free(t->variables[j].reference);
			secret_free(t->variables[j].value);
		}
		free(t->variables);
	}
	free(c->tools);
}
