/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis context and tool: SecurityContexts and the tool servers they name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/context_file.h"
#include "aegis/out.h"
#include "aegis/problem.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/proto.h"

#define FILE_MAX 1048576

static int
read_input(const char *path, struct buf *out)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char chunk[8192];
	size_t n;
	int r = 0;

	if (f == NULL) {
		cli_error(NULL, "%s: %s", path, strerror(errno));
		return -1;
	}
	while (r == 0 && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		if (out->len + n > FILE_MAX || buf_put(out, chunk, n) == -1)
			r = -1;
	if (r == -1 || ferror(f))
		cli_error(
		    NULL, "%s: %s", path, r == -1 ? "more than 1 MiB" : strerror(errno));
	r = ferror(f) ? -1 : r;
	if (f != stdin)
		fclose(f);
	return r;
}

struct putting {
	struct cli *cli;
	uint32_t replace;
	int exit_code;
	unsigned count;
	struct buf results; /* with --json */
};

/* One context of the file; the connection is open. */
static int
put_one(struct span json, const char *name, unsigned line, unsigned column, void *arg)
{
	struct putting *p = arg;
	struct admin_answer a = {0};
	struct json_doc d;
	int64_t version = 0;
	MSG_INIT(context_put, m);

	(void)line;
	(void)column;
	json_init(&d);
	m.json = json;
	m.replace = (uint8_t)p->replace;
	if (admin_ask(MSG_context_put, &m, NULL, NULL, &a) == -1)
		p->exit_code = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		p->exit_code = admin_refused(&a);
	else if (p->cli->json) {
		if (p->count > 0)
			(void)buf_putc(&p->results, ',');
		(void)buf_put(&p->results, a.json.p, a.json.len);
	} else {
		if (json_parse(&d, a.json.p, a.json.len, NULL) == JSON_OK)
			(void)json_int64(&d, json_get(&d, 0, "version"), &version);
		cli_ok("SecurityContext %s is in force, version %lld.", name,
		    (long long)version);
	}
	p->count++;
	json_free(&d);
	admin_answer_free(&a);
	return p->exit_code == ADMIN_OK ? 0 : -1;
}

static int
keep(struct span json, const char *name, unsigned line, unsigned column, void *arg)
{
	(void)json;
	(void)name;
	(void)line;
	(void)column;
	++*(unsigned *)arg;
	return 0;
}

/* mode: enum of context_put. All of the file is checked before any of it counts. */
static int
put_contexts(struct cli *cli, uint32_t mode)
{
	struct putting p = {.cli = cli, .replace = mode, .exit_code = ADMIN_USAGE};
	const char *path = cli->nrest == 0 ? NULL : cli->rest[0];
	struct problems problems;
	struct buf text;
	unsigned found = 0;

	if (path == NULL) {
		cli_error(NULL,
		    "name the file with the SecurityContext, or - for standard input");
		return ADMIN_USAGE;
	}
	buf_init(&text);
	buf_init(&p.results);
	problems_init(&problems, strcmp(path, "-") == 0 ? "standard input" : path);
	if (read_input(path, &text) == -1)
		goto out;
	(void)context_file_read(path, text.p != NULL ? (char *)text.p : "", text.len,
	    &problems, keep, &found);
	if (problems.count > 0) {
		fprintf(stderr, "%.*s", (int)problems.text.len, (char *)problems.text.p);
		cli_error("doc/contexts.md has the form.",
		    "%s holds no SecurityContext that can be used", problems.file);
	} else if (found == 0) {
		cli_error(NULL, "%s holds an empty list", problems.file);
	} else if ((p.exit_code = admin_open(cli, ADMIN_NEED_DATA)) == 0) {
		(void)context_file_read(
		    path, (char *)text.p, text.len, &problems, put_one, &p);
		if (cli->json && p.count > 0 && p.exit_code == ADMIN_OK)
			printf(found > 1 ? "[%.*s]\n" : "%.*s\n", (int)p.results.len,
			    (char *)p.results.p);
		admin_close();
	}
out:
	problems_free(&problems);
	buf_free(&p.results);
	buf_free(&text);
	return p.exit_code;
}

int
cmd_context_add(struct cli *cli)
{
	return put_contexts(cli, 0);
}

int
cmd_context_update(struct cli *cli)
{
	return put_contexts(cli, 2);
}

int
cmd_context_list(struct cli *cli)
{
	static const struct column columns[] = {{"NAME", "name", COLUMN_PLAIN},
	    {"ORIGIN", "origin", COLUMN_PLAIN}, {"VERSION", "version", COLUMN_PLAIN},
	    {"CAPABILITIES", "capabilities", COLUMN_PLAIN},
	    {"DENIED", "deny_list", COLUMN_PLAIN}, {"SESSIONS", "sessions", COLUMN_PLAIN},
	    {"DESCRIPTION", "description", COLUMN_PLAIN}, {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(context_list, m);

	return admin_list(cli, MSG_context_list, &m, columns, "No SecurityContexts.");
}

/* The name as a plain word or with --name. */
static const char *
named(const struct cli *cli)
{
	const char *name = cli_text(cli, "name");

	if (name == NULL && cli->nrest > 0)
		name = cli->rest[0];
	if (name == NULL)
		cli_error(NULL, "name the SecurityContext");
	return name;
}

int
cmd_context_show(struct cli *cli)
{
	const char *name = named(cli);
	MSG_INIT(context_show, m);

	if (name == NULL)
		return ADMIN_USAGE;
	m.name = span_str(name);
	m.version = cli_number(cli, "version", 0);
	return admin_show(cli, ADMIN_NEED_DATA, MSG_context_show, &m, NULL, NULL);
}

int
cmd_context_remove(struct cli *cli)
{
	const char *name = named(cli);
	MSG_INIT(context_remove, m);

	if (name == NULL)
		return ADMIN_USAGE;
	m.name = span_str(name);
	return admin_command(cli, MSG_context_remove, &m,
	    "SecurityContext %s is gone; calls under it are refused.", name);
}

/* How each rule up to the one that decided saw the call. */
static void
print_steps(const struct json_doc *d)
{
	static const struct column columns[] = {{"RULE", "rule", COLUMN_PLAIN},
	    {"TOOLS", "tool_pattern", COLUMN_PLAIN}, {"ENTRY", "entry", COLUMN_PLAIN},
	    {"RESULT", "result", COLUMN_PLAIN}, {"CODE", "code", COLUMN_PLAIN},
	    {"CONSTRAINT", "constraint", COLUMN_PLAIN},
	    {"REASON", "reason", COLUMN_PLAIN}, {NULL, NULL, COLUMN_PLAIN}};
	uint32_t steps = json_get(d, 0, "steps");
	struct table *t = table_new(columns);
	struct json_iter it;
	const uint8_t *p;
	size_t len;

	if (t == NULL)
		return;
	json_iter_init(&it, d, steps);
	while (json_iter_next(&it, d))
		if (json_raw(d, it.value, &p, &len) == 0)
			(void)table_add(t, p, len);
	table_print(t, stdout, "The context has no rules.");
	table_free(t);
}

static int
print_verdict(struct cli *cli, const struct admin_answer *a, const void *arg)
{
	int64_t code = 0, status = 0;
	char reason[512] = "";
	bool allowed = false;
	struct json_doc d;

	(void)arg;
	json_init(&d);
	if (json_parse(&d, a->json.p, a->json.len, NULL) != JSON_OK ||
	    json_bool(&d, json_get(&d, 0, "allowed"), &allowed) == -1) {
		json_free(&d);
		return ADMIN_FAILED;
	}
	(void)json_str_copy(&d, json_get(&d, 0, "reason"), reason, sizeof(reason), NULL);
	(void)json_int64(&d, json_get(&d, 0, "code"), &code);
	(void)json_int64(&d, json_get(&d, 0, "status"), &status);
	if (cli->json) {
		admin_print_json(a);
	} else {
		print_steps(&d);
		if (allowed)
			cli_ok("Allowed: %s", reason);
		else
			cli_error(NULL, "Refused with %lld (HTTP %lld): %s",
			    (long long)code, (long long)status, reason);
	}
	json_free(&d);
	return allowed ? ADMIN_OK : ADMIN_REFUSED;
}

/* NAME TOOL [ARGUMENTS], each also as a flag. Exit code 0 when the call would be allowed,
 * 3 when not. */
int
cmd_context_test(struct cli *cli)
{
	const char *words[3] = {
	    cli_text(cli, "name"), cli_text(cli, "tool"), cli_text(cli, "arguments")};
	unsigned used = 0;
	MSG_INIT(context_test, m);

	for (unsigned i = 0; i < 3; i++)
		if (words[i] == NULL && used < cli->nrest)
			words[i] = cli->rest[used++];
	if (words[0] == NULL || words[1] == NULL || used < cli->nrest) {
		cli_error("aegis context test reports fs.read '{\"path\": \"/etc\"}'",
		    "name the SecurityContext, the tool, and the arguments as JSON");
		return ADMIN_USAGE;
	}
	m.name = span_str(words[0]);
	m.tool = span_str(words[1]);
	m.arguments = span_str(words[2] == NULL ? "{}" : words[2]);
	m.session = span_str(cli_text_or(cli, "session", ""));
	return admin_do(cli, ADMIN_NEED_DATA, MSG_context_test, &m, print_verdict, NULL);
}
