/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis context, session and tool: SecurityContexts, who works under them, and the tool
 * servers they name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/out.h"
#include "aegis/problem.h"
#include "aegis/yaml.h"
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

/* JSON as it stands, or YAML made into it. 0, or -1 after saying why. */
static int
read_context(const char *path, struct buf *json)
{
	struct yaml_node *root = NULL;
	struct problems problems;
	struct json_doc d;
	struct buf text;
	int r = -1;

	buf_init(&text);
	json_init(&d);
	problems_init(&problems, path);
	if (read_input(path, &text) == -1)
		goto out;
	if (json_parse(&d, text.p, text.len, NULL) == JSON_OK) {
		r = buf_put(json, text.p, text.len);
		goto out;
	}
	root = ytree_parse(text.p != NULL ? (char *)text.p : "", text.len, &problems);
	if (problems.count == 0 && root != NULL && root->kind == YAML_MAP)
		r = ytree_to_json(root, json);
	else if (problems.count > 0)
		fprintf(stderr, "%.*s", (int)problems.text.len, (char *)problems.text.p);
	if (r == -1)
		cli_error(NULL, "%s holds no SecurityContext in YAML or JSON", path);
out:
	ytree_free(root);
	problems_free(&problems);
	json_free(&d);
	buf_free(&text);
	return r;
}

static int
put_context(struct cli *cli, bool replace)
{
	struct buf json;
	int r = ADMIN_USAGE;
	MSG_INIT(context_put, m);

	if (cli->nrest == 0) {
		cli_error(NULL,
		    "name the file with the SecurityContext, or - for standard input");
		return ADMIN_USAGE;
	}
	buf_init(&json);
	if (read_context(cli->rest[0], &json) == 0) {
		m.json = span_mem(json.p, json.len);
		m.replace = replace;
		r = admin_command(
		    cli, MSG_context_put, &m, "The SecurityContext is in force.");
	}
	buf_free(&json);
	return r;
}

int
cmd_context_add(struct cli *cli)
{
	return put_context(cli, false);
}

int
cmd_context_update(struct cli *cli)
{
	return put_context(cli, true);
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
	struct admin_answer a = {0};
	int r;
	MSG_INIT(context_show, m);

	if (name == NULL)
		return ADMIN_USAGE;
	r = admin_open(cli, ADMIN_NEED_DATA);
	if (r != 0)
		return r;
	m.name = span_str(name);
	if (admin_ask(MSG_context_show, &m, NULL, NULL, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else
		admin_print_json(&a);
	admin_answer_free(&a);
	admin_close();
	return r;
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
	    "SecurityContext %s is gone; its sessions end.", name);
}

/* Exit code 0 when the call would be allowed, 3 when not. */
int
cmd_context_test(struct cli *cli)
{
	const char *name = named(cli);
	struct admin_answer a = {0};
	char reason[512] = "";
	bool allowed = false;
	struct json_doc d;
	int r;
	MSG_INIT(context_test, m);

	if (name == NULL)
		return ADMIN_USAGE;
	r = admin_open(cli, ADMIN_NEED_DATA);
	if (r != 0)
		return r;
	m.name = span_str(name);
	m.tool = span_str(cli_text(cli, "tool"));
	m.arguments = span_str(cli_text_or(cli, "arguments", "{}"));
	json_init(&d);
	if (admin_ask(MSG_context_test, &m, NULL, NULL, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (json_parse(&d, a.json.p, a.json.len, NULL) != JSON_OK ||
	    json_bool(&d, json_get(&d, 0, "allowed"), &allowed) == -1)
		r = ADMIN_FAILED;
	else {
		(void)json_str_copy(
		    &d, json_get(&d, 0, "reason"), reason, sizeof(reason), NULL);
		r = allowed ? ADMIN_OK : ADMIN_REFUSED;
		if (cli->json)
			admin_print_json(&a);
		else if (allowed)
			cli_ok("Allowed: %s", reason);
		else
			cli_error(NULL, "Refused: %s", reason);
	}
	json_free(&d);
	admin_answer_free(&a);
	admin_close();
	return r;
}

int
cmd_session_list(struct cli *cli)
{
	static const struct column columns[] = {{"SESSION", "session", COLUMN_PLAIN},
	    {"AGENT", "agent", COLUMN_PLAIN}, {"CONTEXT", "context", COLUMN_PLAIN},
	    {"STATE", "state", COLUMN_PLAIN}, {"CREATED", "created_at", COLUMN_TIME},
	    {"EXPIRES", "expires_at", COLUMN_TIME}, {"REASON", "reason", COLUMN_PLAIN},
	    {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(session_list, m);

	return admin_list(cli, MSG_session_list, &m, columns, "No sessions.");
}

int
cmd_session_revoke(struct cli *cli)
{
	const char *id = cli_text(cli, "session");
	MSG_INIT(session_revoke, m);

	if (id == NULL && cli->nrest > 0)
		id = cli->rest[0];
	if (id == NULL) {
		cli_error("aegis session list shows them.", "name the session");
		return ADMIN_USAGE;
	}
	m.session = span_str(id);
	m.reason = span_str(cli_text(cli, "reason"));
	return admin_command(cli, MSG_session_revoke, &m, "Session %s is revoked.", id);
}

int
cmd_tool_list(struct cli *cli)
{
	static const struct column columns[] = {{"SERVER", "server", COLUMN_PLAIN},
	    {"STATE", "state", COLUMN_PLAIN},
	    {"CAPABILITIES", "capabilities", COLUMN_PLAIN},
	    {"TOOLS", "tools", COLUMN_PLAIN}, {"MESSAGE", "message", COLUMN_PLAIN},
	    {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(tool_list, m);

	return admin_list(cli, MSG_tool_list, &m, columns,
	    "No tool servers. They are configured under tools.mcp_servers.");
}
