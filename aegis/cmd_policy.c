/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis policy: check policy files, show them, ask them. All but list and reload works on
 * the files, so that a change can be tried before a gate has it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/cmd_policy.h"
#include "aegis/config.h"
#include "aegis/out.h"
#include "aegis/policy_file.h"
#include "aegis/problem.h"
#include "common/jsonw.h"
#include "common/proto.h"

/* ---- which files ---- */

const char *
policy_files_of(struct cli *cli)
{
	const char *path = cli_text(cli, "policies-dir");
	struct config *c;

	if (path == NULL && cli->nrest > 0)
		path = cli->rest[0];
	if (path != NULL)
		return path;
	c = cli_config(cli);
	if (c == NULL)
		return NULL;
	if (c->policies_dir == NULL)
		cli_error("Give a file or directory, or set gate.policies_dir.",
		    "there is no directory of policies in the configuration");
	return c->policies_dir;
}

struct policies *
policy_read_good(const char *path)
{
	struct problems problems;
	struct policies *p;

	problems_init(&problems, path);
	p = policies_read(path, &problems);
	if (problems.count > 0) {
		fprintf(stderr, "%.*s", (int)problems.text.len, (char *)problems.text.p);
		cli_error("aegis policy validate says nothing more once they are right.",
		    "%u %s in %s", problems.count,
		    problems.count == 1 ? "error" : "errors", path);
		policies_free(p);
		p = NULL;
	}
	problems_free(&problems);
	return p;
}

/* ---- validate ---- */

static void
print_problems(const struct problems *problems)
{
	const char *p = (const char *)problems->text.p, *nl;
	size_t left = problems->text.len;
	struct jsonw w;
	struct buf out;

	buf_init(&out);
	jsonw_init(&w, &out);
	jsonw_obj_open(&w);
	jsonw_key_bool(&w, "valid", false);
	jsonw_key(&w, "errors");
	jsonw_arr_open(&w);
	for (; left > 0 && (nl = memchr(p, '\n', left)) != NULL; p = nl + 1) {
		jsonw_strn(&w, p, (size_t)(nl - p));
		left -= (size_t)(nl - p) + 1;
	}
	jsonw_arr_close(&w);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0)
		printf("%.*s\n", (int)out.len, (char *)out.p);
	buf_free(&out);
}

/* Patterns that could match in the middle of a path: allowed, but often not meant. */
static void
warn_loose(const struct policies *p)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < p->v[i].policy->nrules; k++) {
			const struct policy_rule *r = &p->v[i].policy->rules[k];

			for (size_t m = 0; m < r->npaths; m++)
				if (r->paths[m][0] == '/')
					fprintf(stderr,
					    "%s:%u: note: \"%s\" is looked for "
					    "anywhere "
					    "in the path; ^ in front means its "
					    "beginning\n",
					    p->v[i].file, p->v[i].rule_lines[k],
					    r->paths[m]);
		}
}

int
cmd_policy_validate(struct cli *cli)
{
	const char *path = policy_files_of(cli);
	struct problems problems;
	struct policies *p;
	int r = ADMIN_OK;

	if (path == NULL)
		return ADMIN_USAGE;
	problems_init(&problems, path);
	p = policies_read(path, &problems);
	if (problems.count > 0) {
		r = ADMIN_FAILED;
		if (cli->json) {
			print_problems(&problems);
		} else {
			fprintf(stderr, "%.*s", (int)problems.text.len,
			    (char *)problems.text.p);
			cli_error("A gate with these does not start, and a running one "
				  "keeps those it has.",
			    "%u %s in %s", problems.count,
			    problems.count == 1 ? "error" : "errors", path);
		}
	} else if (cli->json) {
		printf(
		    "{\"valid\":true,\"files\":%u,\"policies\":%zu}\n", p->files, p->n);
	} else {
		warn_loose(p);
		cli_ok("%zu %s in %u %s: all valid", p->n,
		    p->n == 1 ? "policy" : "policies", p->files,
		    p->files == 1 ? "file" : "files");
	}
	policies_free(p);
	problems_free(&problems);
	return r;
}

/* ---- list, show ---- */

/* The names of its services, each once. */
static void
put_services(struct jsonw *w, const struct policy *p)
{
	size_t i, k;

	jsonw_key(w, "services");
	jsonw_arr_open(w);
	for (i = 0; i < p->nrules; i++) {
		for (k = 0;
		     k < i && strcmp(p->rules[k].service, p->rules[i].service) != 0; k++)
			;
		if (k == i)
			jsonw_str(w, p->rules[i].service);
	}
	jsonw_arr_close(w);
}

static int
list_files(struct cli *cli, const char *path)
{
	static const struct column columns[] = {{"AGENT", "agent", COLUMN_PLAIN},
	    {"RULES", "rules", COLUMN_PLAIN}, {"SERVICES", "services", COLUMN_PLAIN},
	    {"FILE", "file", COLUMN_PLAIN}, {NULL, NULL, COLUMN_PLAIN}};
	struct policies *p = policy_read_good(path);
	struct table *t = table_new(columns);
	struct buf row;
	struct jsonw w;
	size_t i;

	if (p == NULL || t == NULL) {
		table_free(t);
		policies_free(p);
		return ADMIN_FAILED;
	}
	buf_init(&row);
	if (cli->json)
		putchar('[');
	for (i = 0; i < p->n; i++) {
		buf_reset(&row);
		jsonw_init(&w, &row);
		jsonw_obj_open(&w);
		jsonw_key_str(&w, "agent", p->v[i].policy->agent);
		jsonw_key_int(&w, "rules", (int64_t)p->v[i].policy->nrules);
		put_services(&w, p->v[i].policy);
		jsonw_key_str(&w, "file", p->v[i].file);
		jsonw_obj_close(&w);
		if (jsonw_done(&w) != 0)
			continue;
		if (cli->json)
			printf("%s%.*s", i > 0 ? "," : "", (int)row.len, (char *)row.p);
		else
			(void)table_add(t, row.p, row.len);
	}
	if (cli->json)
		printf("]\n");
	else
		table_print(t, stdout, "No policies.");
	buf_free(&row);
	table_free(t);
	policies_free(p);
	return ADMIN_OK;
}

/* Files when some are named; else what the running gate has in force, or the files of the
 * configuration. */
int
cmd_policy_list(struct cli *cli)
{
	static const struct column columns[] = {{"AGENT", "agent", COLUMN_PLAIN},
	    {"RULES", "rules", COLUMN_PLAIN}, {"SERVICES", "services", COLUMN_PLAIN},
	    {"MODE", "mode", COLUMN_PLAIN}, {"SINCE", "since", COLUMN_PLAIN},
	    {NULL, NULL, COLUMN_PLAIN}};
	const char *path;
	MSG_INIT(policy_list, m);

	if (cli_text(cli, "policies-dir") == NULL && cli->nrest == 0) {
		if (cli_config(cli) == NULL)
			return ADMIN_FAILED;
		if (admin_open_quietly(cli->config) == 0) {
			admin_close();
			return admin_list(cli, MSG_policy_list, &m, columns,
			    "No policies are in force.");
		}
	}
	path = policy_files_of(cli);
	return path == NULL ? ADMIN_USAGE : list_files(cli, path);
}

int
cmd_policy_show(struct cli *cli)
{
	const char *agent = cli_text(cli, "agent"), *path = cli_text(cli, "policies-dir");
	const struct policy_item *item;
	struct policies *p;
	int r = ADMIN_OK;

	if (agent == NULL && cli->nrest > 0)
		agent = cli->rest[0];
	if (agent == NULL) {
		cli_error(NULL, "name the agent");
		return ADMIN_USAGE;
	}
	if (path == NULL) {
		if (cli_config(cli) == NULL)
			return ADMIN_FAILED;
		path = cli->config->policies_dir;
	}
	if (path == NULL) {
		cli_error("Give --policies-dir, or set gate.policies_dir.",
		    "there is no directory of policies in the configuration");
		return ADMIN_USAGE;
	}
	p = policy_read_good(path);
	if (p == NULL)
		return ADMIN_FAILED;
	item = policies_find(p, agent);
	if (item != NULL) {
		printf("%s\n", item->json);
	} else {
		cli_error(NULL, "there is no policy for agent %s in %s", agent, path);
		r = ADMIN_FAILED;
	}
	policies_free(p);
	return r;
}

/* ---- reload ---- */

int
cmd_policy_reload(struct cli *cli)
{
	static char text[24000];
	struct admin_answer a = {0};
	int r = admin_open(cli, ADMIN_NEED_GATE);
	MSG_INIT(policies_reload, m);

	if (r != 0)
		return r;
	if (admin_ask(MSG_policies_reload, &m, NULL, NULL, &a) == -1) {
		r = ADMIN_UNREACHABLE;
	} else if (a.code != ADMIN_OK) {
		if (admin_answer_text(&a, "errors", text, sizeof(text)))
			fprintf(stderr, "%s", text);
		r = admin_refused(&a);
	} else if (cli->json) {
		admin_print_json(&a);
	} else if (admin_answer_text(&a, "message", text, sizeof(text))) {
		cli_ok("%s", text);
	}
	admin_answer_free(&a);
	admin_close();
	return r;
}
