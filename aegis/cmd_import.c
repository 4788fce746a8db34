/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis import --from getaegis DIR: configuration and policies of the established tool.
 * Its store is encrypted and not touched: no secret, no key and no token is read. Nothing
 * is overwritten; what is not taken is said, with what to do instead.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "aegis/out.h"
#include "aegis/policy_file.h"
#include "aegis/problem.h"
#include "aegis/yaml.h"
#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proto.h"

#define FILE_MAX (1024 * 1024)

/* How a value comes over. A NULL path of ours: it does not, and why. */
static const struct map {
	const char *section, *key;
	const char *path, *suffix;
	const char *why;
} maps[] = {
    {"gate", "port", "port", "", NULL},
    {"gate", "require_agent_auth", "require_agent_auth", "", NULL},
    {"gate", "max_body_size", "max_body_size", "", NULL},
    {"gate", "request_timeout", "request_timeout", "ms", NULL},
    {"gate", "max_connections_per_agent", "max_connections_per_agent", "", NULL},
    {"gate", "policy_mode", "policy_mode", "", NULL},
    {"gate", "policies_dir", NULL, NULL, "its files are copied to ./policies"},
    {"gate", "tls", NULL, NULL, "aegis init --generate-cert, or gate.tls.cert and key"},
    {"vault", "name", NULL, NULL, "aegis vault create --name NAME makes others"},
    {"vault", "data_dir", NULL, NULL, "aegis init makes a data directory of its own"},
    {"vault", "master_key", NULL, NULL, "it is not read; aegis init makes a new one"},
    {"observability", "log_level", "log_level", "", NULL},
    {"observability", "log_format", "log_format", "", NULL},
    {"observability", "metrics", "metrics", "", NULL},
    {"observability", "dashboard", NULL, NULL, "the same keys; who asks shows a token"},
    {"policies", "dir", NULL, NULL, "nothing read it there: it is gate.policies_dir"},
    {"policies", "mode", NULL, NULL, "nothing read it there: it is gate.policy_mode"},
    {"mcp", "transport", "transport", "", NULL},
    {"mcp", "port", "port", "", NULL},
};

struct import {
	const char *dir;
	char *config_path, *policies_path;
	struct buf config, taken, left; /* text; JSON arrays without brackets */
	struct problems problems;
	unsigned ntaken, npolicies;
};

static void
note(struct buf *list, const char *what, const char *why)
{
	struct jsonw w;

	if (list->len > 0)
		(void)buf_puts(list, ",");
	jsonw_init(&w, list);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "what", what);
	if (why != NULL)
		jsonw_key_str(&w, "why", why);
	jsonw_obj_close(&w);
}

/* A scalar as YAML of ours: quoted when it was, or when it is no simple word. */
static int
put_value(struct buf *out, const struct yaml_node *v, const char *suffix)
{
	static const char simple[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789._-/";

	if (v->text[strspn(v->text, simple)] == '\0')
		return buf_printf(out, "%s%s", v->text, suffix);
	return buf_printf(out, "'%s'", v->text);
}

static const struct map *
map_of(const char *section, const char *key)
{
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		if (strcmp(maps[i].section, section) == 0 &&
		    strcmp(maps[i].key, key) == 0)
			return &maps[i];
	return NULL;
}

static void
open_section(struct import *in, const char *name, bool *open)
{
	if (!*open)
		(void)buf_printf(&in->config, "%s:\n", name);
	*open = true;
}

/* Where the policies are now, in the section of the gate. */
static void
put_policies(struct import *in, bool *open)
{
	if (in->npolicies == 0)
		return;
	open_section(in, "gate", open);
	(void)buf_puts(&in->config, "  policies_dir: ./policies\n");
}

/* One section of theirs to one of ours. */
static void
take_section(struct import *in, const struct yaml_node *section)
{
	const struct yaml_node *v;
	const struct map *m;
	const char *value;
	bool open = false;
	char what[160];

	if (section->kind != YAML_MAP) {
		note(&in->left, section->key, "it is no section");
		return;
	}
	for (v = section->child; v != NULL; v = v->next) {
		snprintf(what, sizeof(what), "%s.%s", section->key, v->key);
		m = map_of(section->key, v->key);
		if (m == NULL || m->path == NULL || v->kind != YAML_TEXT) {
			note(&in->left, what,
			    m == NULL             ? "the key is not known"
				: m->path == NULL ? m->why
						  : "it is no single value");
			continue;
		}
		value = v->text;
		open_section(in, section->key, &open);
		(void)buf_printf(&in->config, "  %s: ", m->path);
		/* their "pretty" is for people, as our logfmt is */
		if (strcmp(m->path, "log_format") == 0 && strcmp(value, "pretty") == 0)
			(void)buf_puts(&in->config, "logfmt");
		else
			(void)put_value(&in->config, v, m->suffix);
		(void)buf_puts(&in->config, "\n");
		note(&in->taken, what, NULL);
		in->ntaken++;
	}
	if (strcmp(section->key, "gate") == 0)
		put_policies(in, &open);
}

/* Webhooks are acts, not configuration: the commands to type, without their secrets. */
static void
tell_webhooks(struct import *in, const struct yaml_node *list)
{
	const struct yaml_node *one, *url, *events, *e;
	struct buf line;

	buf_init(&line);
	for (one = list->kind == YAML_LIST ? list->child : NULL; one != NULL;
	     one = one->next) {
		url = ytree_get(one, "url");
		events = ytree_get(one, "events");
		if (url == NULL || url->kind != YAML_TEXT ||
		    strchr(url->text, '\'') != NULL)
			continue;
		buf_reset(&line);
		(void)buf_printf(
		    &line, "aegis webhook add --url '%s' --events ", url->text);
		for (e = events != NULL ? events->child : NULL; e != NULL; e = e->next)
			if (e->kind == YAML_TEXT &&
			    strspn(e->text, "abcdefghijklmnopqrstuvwxyz_") ==
				strlen(e->text))
				(void)buf_printf(
				    &line, "%s%s", e->text, e->next != NULL ? "," : "");
		if (buf_put(&line, "", 1) == 0)
			note(&in->left, "webhooks", (const char *)line.p);
	}
	buf_free(&line);
}

/* The root of their file; NULL after saying why. */
static struct yaml_node *
read_theirs(struct import *in)
{
	static const char *const names[] = {"aegis.config.yaml", "aegis.config.yml"};
	char *path = NULL, *text = NULL;
	struct yaml_node *root;
	size_t len = 0;

	for (size_t i = 0; i < 2 && text == NULL; i++) {
		free(path);
		path = key_path_join(in->dir, names[i]);
		text = path != NULL ? config_read_file(path, FILE_MAX, &len) : NULL;
	}
	if (text == NULL) {
		cli_error("Name the directory in which its aegis.config.yaml is.",
		    "%s: %s", path != NULL ? path : in->dir, strerror(errno));
		free(path);
		return NULL;
	}
	problems_init(&in->problems, path);
	root = ytree_parse(text, len, &in->problems);
	explicit_bzero(text, len); /* a master key may be in it */
	free(text);
	if (in->problems.count > 0 || root == NULL || root->kind != YAML_MAP) {
		fprintf(stderr, "%.*s", (int)in->problems.text.len,
		    (char *)in->problems.text.p);
		cli_error(NULL, "%s is no configuration", path);
		ytree_free(root);
		root = NULL;
	}
	free(path);
	return root;
}

static int
write_new(const char *path, const void *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = fd >= 0 && write(fd, p, len) == (ssize_t)len && fsync(fd) == 0 ? 0 : -1;

	if (r == -1)
		cli_error(errno == EEXIST
			? "import overwrites nothing: move it away first."
			: NULL,
		    "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return r;
}

/* One policy file, if it says the same to us. 0, or -1 after saying why. */
static int
take_policy(struct import *in, const char *from, const char *name)
{
	char *path = key_path_join(from, name),
	     *to = key_path_join(in->policies_path, name);
	struct problems problems;
	struct policies *p = NULL;
	char *text = NULL;
	size_t len;
	int r = -1;

	problems_init(&problems, path);
	if (path != NULL && to != NULL)
		p = policies_read(path, &problems);
	if (p == NULL || problems.count > 0) {
		fprintf(stderr, "%.*s", (int)problems.text.len, (char *)problems.text.p);
		note(&in->left, name,
		    "it is no valid policy; the errors are on standard error");
		r = 0;
	} else if ((text = config_read_file(path, FILE_MAX, &len)) != NULL &&
	    write_new(to, text, len) == 0) {
		note(&in->taken, name, NULL);
		in->npolicies++;
		r = 0;
	}
	free(text);
	policies_free(p);
	problems_free(&problems);
	free(path);
	free(to);
	return r;
}

static int
take_policies(struct import *in, const char *from)
{
	struct dirent **entries = NULL;
	int n = from != NULL ? scandir(from, &entries, NULL, alphasort) : -1, i, r = 0;

	for (i = 0; i < n; i++) {
		const char *name = entries[i]->d_name, *dot = strrchr(name, '.');

		if (dot != NULL && dot != name &&
		    (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0)) {
			if (mkdir(in->policies_path, 0755) == -1 && errno != EEXIST) {
				cli_error(
				    NULL, "%s: %s", in->policies_path, strerror(errno));
				r = -1;
			} else if (r == 0) {
				r = take_policy(in, from, name);
			}
		}
		free(entries[i]);
	}
	free(entries);
	return r;
}

/* Their list of vaults, and whether the key was split; their stores are not opened. */
static void
tell_vaults(struct import *in, const char *data)
{
	char *path = key_path_join(data, "vaults.json"), name[65], what[80], why[120];
	struct json_doc d;
	struct json_iter it;
	size_t len = 0;
	char *text = path != NULL ? config_read_file(path, FILE_MAX, &len) : NULL;

	json_init(&d);
	if (text != NULL && json_parse(&d, text, len, NULL) == JSON_OK) {
		json_iter_init(&it, &d, json_get(&d, 0, "vaults"));
		while (json_iter_next(&it, &d)) {
			if (json_str_copy(&d, json_get(&d, it.value, "name"), name,
				sizeof(name), NULL) != 0 ||
			    strcmp(name, "default") == 0)
				continue;
			snprintf(what, sizeof(what), "vault %s", name);
			snprintf(why, sizeof(why), "aegis vault create --name %s", name);
			note(&in->left, what, why);
		}
	}
	json_free(&d);
	free(text);
	free(path);
	path = key_path_join(data, ".seal-config.json");
	if (path != NULL && access(path, F_OK) == 0)
		note(&in->left, "shares of the master key",
		    "they are of another key: aegis vault split makes others");
	free(path);
}

/* Everything, in memory and in ./policies. 0, or -1 after saying why. */
static int
take_over(struct import *in)
{
	const struct yaml_node *section, *dir;
	struct yaml_node *root = read_theirs(in);
	bool gate = false;
	char *from;
	int r;

	if (root == NULL)
		return -1;
	section = ytree_get(root, "gate");
	dir = section != NULL ? ytree_get(section, "policies_dir") : NULL;
	from = key_path_join(
	    in->dir, dir != NULL && dir->kind == YAML_TEXT ? dir->text : "policies");
	r = take_policies(in, from);
	free(from);
	for (section = root->child; section != NULL && r == 0; section = section->next)
		if (strcmp(section->key, "webhooks") == 0)
			tell_webhooks(in, section);
		else
			take_section(in, section);
	if (r == 0 && ytree_get(root, "gate") == NULL)
		put_policies(in, &gate);
	section = ytree_get(root, "vault");
	dir = section != NULL ? ytree_get(section, "data_dir") : NULL;
	from = key_path_join(
	    in->dir, dir != NULL && dir->kind == YAML_TEXT ? dir->text : ".aegis");
	if (from != NULL)
		tell_vaults(in, from);
	free(from);
	ytree_free(root);
	return r;
}

static void
say(const struct import *in, const struct cli *cli)
{
	static const struct column columns[] = {{"NOT TAKEN", "what", COLUMN_PLAIN},
	    {"INSTEAD", "why", COLUMN_PLAIN}, {NULL, NULL, COLUMN_PLAIN}};
	struct buf all;

	buf_init(&all);
	(void)buf_printf(&all,
	    "{\"config\":\"%s\",\"taken\":[%.*s],\"not_taken\":[%.*s]}", in->config_path,
	    (int)in->taken.len, in->taken.len > 0 ? (char *)in->taken.p : "",
	    (int)in->left.len, in->left.len > 0 ? (char *)in->left.p : "");
	if (cli->json) {
		printf("%.*s\n", (int)all.len, (char *)all.p);
	} else {
		struct table *t = table_new(columns);
		struct json_doc d;
		struct json_iter it;
		const uint8_t *raw;
		size_t len;

		cli_ok("%u settings and %u policy files are taken into %s.", in->ntaken,
		    in->npolicies, in->config_path);
		json_init(&d);
		if (t != NULL && json_parse(&d, all.p, all.len, NULL) == JSON_OK) {
			json_iter_init(&it, &d, json_get(&d, 0, "not_taken"));
			while (json_iter_next(&it, &d))
				if (json_raw(&d, it.value, &raw, &len) == 0)
					(void)table_add(t, raw, len);
			table_print(t, stdout, "Nothing was left out.");
		}
		json_free(&d);
		table_free(t);
		printf("\n  Secrets stay where they are: add each credential anew.\n"
		       "  Next: aegis init --keep-config --config %s\n"
		       "        aegis vault add --name NAME --service SERVICE --domains "
		       "DOMAIN\n",
		    in->config_path);
	}
	buf_free(&all);
}

int
cmd_import(struct cli *cli)
{
	const char *from = cli_text(cli, "from"), *file = cli_text(cli, "config");
	char *cwd = getcwd(NULL, 0);
	struct import in = {0};
	int r = ADMIN_FAILED;

	if (strcmp(from, "getaegis") != 0 || cli->nrest != 1) {
		cli_error("aegis import --from getaegis DIRECTORY",
		    "--from is getaegis, and the directory of its configuration follows");
		free(cwd);
		return ADMIN_USAGE;
	}
	in.dir = cli->rest[0];
	in.config_path = cwd != NULL
	    ? key_path_join(cwd, file != NULL ? file : "aegis.config.yaml")
	    : NULL;
	in.policies_path = cwd != NULL ? key_path_join(cwd, "policies") : NULL;
	if (in.config_path == NULL || in.policies_path == NULL) {
		cli_error(NULL, "out of memory");
	} else if (access(in.config_path, F_OK) == 0) {
		cli_error(
		    "import overwrites nothing: move it away first, or name another with "
		    "--config.",
		    "%s exists", in.config_path);
	} else if (buf_puts(&in.config, "# Taken over by aegis import.\n") == 0 &&
	    take_over(&in) == 0 &&
	    write_new(in.config_path, in.config.p, in.config.len) == 0) {
		r = ADMIN_OK;
	}
	if (r == ADMIN_OK)
		say(&in, cli);
	buf_free(&in.config);
	buf_free(&in.taken);
	buf_free(&in.left);
	problems_free(&in.problems);
	free(in.config_path);
	free(in.policies_path);
	free(cwd);
	return r;
}
