/* SPDX-License-Identifier: Apache-2.0 */
/* Reads policies from files; see policy_file.h. */
#include "aegis/policy_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "aegis/yaml.h"
#include "aegis/zoneinfo.h"

struct reading {
	struct policies *p;
	struct problems *problems;
	struct yaml_node *root;
};

const struct policy_item *
policies_find(const struct policies *p, const char *agent)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].policy->agent, agent) == 0)
			return &p->v[i];
	return NULL;
}

/* ---- zones ---- */

static const struct zone *
find_zone(const char *name, void *arg)
{
	struct policies *p = arg;
	struct policy_zone *grown, *z;
	size_t i;

	for (i = 0; i < p->nzones; i++)
		if (strcmp(zone_name(p->zones[i].zone), name) == 0)
			return p->zones[i].zone;
	grown = reallocarray(p->zones, p->nzones + 1, sizeof(*grown));
	if (grown == NULL || !zoneinfo_known(name)) {
		if (grown != NULL)
			p->zones = grown;
		return NULL;
	}
	p->zones = grown;
	z = &grown[p->nzones];
	buf_init(&z->table);
	z->zone = zoneinfo_table(name, time(NULL), &z->table) == -1
	    ? NULL
	    : zone_new(name, span_mem(z->table.p, z->table.len));
	if (z->zone == NULL) {
		buf_free(&z->table);
		return NULL;
	}
	p->nzones++;
	return z->zone;
}

/* ---- files ---- */

static void
complain(struct reading *r, const struct json_doc *d, uint32_t node, const char *text)
{
	unsigned line, column;

	ytree_locate(r->root, d->nodes[node].start, &line, &column);
	problem_add(r->problems, NULL, line, column, NULL, "%s", text);
}

static int
note_lines(struct reading *r, const struct json_doc *d, struct policy_item *item)
{
	struct policy *p = item->policy;
	unsigned column;

	item->rule_lines = calloc(p->nrules, sizeof(item->rule_lines[0]));
	if (item->rule_lines == NULL)
		return -1;
	for (size_t i = 0; i < p->nrules; i++)
		ytree_locate(r->root, d->nodes[p->rules[i].node].start,
		    &item->rule_lines[i], &column);
	return 0;
}

static void
item_free(struct policy_item *item)
{
	free(item->json);
	free(item->file);
	free(item->rule_lines);
	policy_free(item->policy);
}

/* Takes the policy. */
static void
add(struct reading *r, const struct json_doc *d, uint32_t node, struct policy *policy)
{
	struct policy_item *grown, item = {.policy = policy};
	const struct policy_item *old = policies_find(r->p, policy->agent);
	unsigned column;
	const uint8_t *p;
	char why[1200];
	size_t len;

	ytree_locate(r->root, d->nodes[node].start, &item.line, &column);
	if (old != NULL) {
		snprintf(why, sizeof(why),
		    "found another policy for agent %s, expected each agent once: the "
		    "first is in %s, line %u",
		    policy->agent, old->file, old->line);
		complain(r, d, node, why);
		item_free(&item);
		return;
	}
	grown = r->p->n < POLICIES_MAX
	    ? reallocarray(r->p->v, r->p->n + 1, sizeof(*grown))
	    : NULL;
	if (grown != NULL)
		r->p->v = grown;
	if (grown == NULL || json_raw(d, node, &p, &len) == -1 ||
	    (item.json = strndup((const char *)p, len)) == NULL ||
	    (item.file = strdup(r->problems->file)) == NULL ||
	    note_lines(r, d, &item) == -1 || len > POLICY_JSON_MAX) {
		complain(
		    r, d, node, "too many policies, or one of more than 48 KiB as JSON");
		item_free(&item);
		return;
	}
	grown[r->p->n++] = item;
}

static void
read_one(struct reading *r, const struct json_doc *d, uint32_t node)
{
	const char *zone = NULL;
	struct policy *policy;
	char err[512];
	uint32_t at;

	policy = policy_compile(d, node, err, sizeof(err), &at);
	if (policy == NULL) {
		complain(r, d, at, err);
		return;
	}
	if (policy_link(policy, find_zone, r->p, &zone) == -1) {
		snprintf(err, sizeof(err),
		    "time_window.timezone: \"%s\" is not in the time zone database "
		    "(package tzdata)",
		    zone);
		for (size_t i = 0; i < policy->nrules; i++)
			if (policy->rules[i].zone_name == zone)
				complain(r, d, policy->rules[i].node, err);
		policy_free(policy);
		return;
	}
	add(r, d, node, policy);
}

static void
read_text(struct reading *r, const char *text, size_t len)
{
	unsigned before = r->problems->count;
	struct json_doc d;
	struct json_iter it;
	struct buf json;

	buf_init(&json);
	json_init(&d);
	r->root = ytree_parse(text, len, r->problems);
	if (r->root == NULL || r->root->kind == YAML_NULL) {
		if (r->problems->count == before)
			problem_add(r->problems, NULL, 1, 1, NULL,
			    "the file is empty, expected a policy with agent and rules");
	} else if (r->problems->count > before) {
		; /* what is left of it would be misread */
	} else if (ytree_to_json(r->root, &json) == -1 ||
	    json_parse(&d, json.p, json.len, NULL) != JSON_OK) {
		problem_add(r->problems, NULL, r->root->line, r->root->column, NULL,
		    "this cannot be read: is it UTF-8 throughout?");
	} else if (json_type(&d, json_root(&d)) != JT_ARRAY) {
		read_one(r, &d, json_root(&d));
	} else {
		json_iter_init(&it, &d, json_root(&d));
		while (json_iter_next(&it, &d))
			read_one(r, &d, it.value);
	}
	ytree_free(r->root);
	r->root = NULL;
	json_free(&d);
	buf_free(&json);
}

static void
read_file(struct reading *r, const char *path)
{
	const char *outer = r->problems->file;
	size_t len;
	char *text = config_read_file(path, YAML_SIZE_MAX, &len);

	if (text == NULL) {
		problem_add(r->problems, path, 0, 0, NULL, "%s", strerror(errno));
		return;
	}
	r->problems->file = path;
	r->p->files++;
	read_text(r, text, len);
	r->problems->file = outer;
	free(text);
}

bool
policy_file_is(const char *name)
{
	const char *dot = strrchr(name, '.');

	return name[0] != '.' && dot != NULL &&
	    (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int
is_policy_file(const struct dirent *e)
{
	return policy_file_is(e->d_name);
}

static int
read_dir(struct reading *r, const char *dir)
{
	struct dirent **list;
	int i, n = scandir(dir, &list, is_policy_file, alphasort);
	char *path;

	if (n == -1)
		return -1;
	for (i = 0; i < n; i++) {
		path = key_path_join(dir, list[i]->d_name);
		if (path != NULL)
			read_file(r, path);
		free(path);
		free(list[i]);
	}
	free(list);
	return 0;
}

struct policies *
policies_read(const char *path, struct problems *problems)
{
	struct policies *p = calloc(1, sizeof(*p));
	struct reading r = {.p = p, .problems = problems};
	struct stat st;

	if (p == NULL || (p->path = strdup(path)) == NULL) {
		problem_add(problems, path, 0, 0, NULL, "out of memory");
		policies_free(p);
		return NULL;
	}
	if (stat(path, &st) == -1 || (S_ISDIR(st.st_mode) && read_dir(&r, path) == -1)) {
		problem_add(problems, path, 0, 0, NULL,
		    "%s, expected a policy file or a directory of them", strerror(errno));
		policies_free(p);
		return NULL;
	}
	if (!S_ISDIR(st.st_mode))
		read_file(&r, path);
	return p;
}

void
policies_free(struct policies *p)
{
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->n; i++)
		item_free(&p->v[i]);
	for (i = 0; i < p->nzones; i++) {
		zone_free(p->zones[i].zone);
		buf_free(&p->zones[i].table);
	}
	free(p->v);
	free(p->zones);
	free(p->path);
	free(p);
}
