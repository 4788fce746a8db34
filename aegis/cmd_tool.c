/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis tool ..., aegis status: what the judge knows about tool servers and the rest.
 * What tool servers say of themselves is hostile; it is printed cleaned.
 */
#include <stdio.h>
#include <string.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/out.h"
#include "common/json.h"
#include "common/proto.h"

/* One line of "TITLE  value"; members that are absent are left out. */
static void
line(const struct json_doc *d, uint32_t object, const char *title, const char *member)
{
	struct buf text;

	if (json_get(d, object, member) == JSON_NONE)
		return;
	buf_init(&text);
	out_member(d, object, member, COLUMN_PLAIN, &text);
	printf("%-14s %.*s\n", title, (int)text.len, (char *)text.p);
	buf_free(&text);
}

static const char *
named(const struct cli *cli)
{
	if (cli->nrest > 0)
		return cli->rest[0];
	cli_error("aegis tool list shows them.", "name the tool server");
	return NULL;
}

int
cmd_tool_list(struct cli *cli)
{
	static const struct column columns[] = {{"SERVER", "server", COLUMN_PLAIN},
	    {"STATE", "state", COLUMN_PLAIN}, {"SINCE", "since", COLUMN_PLAIN},
	    {"PID", "pid", COLUMN_PLAIN}, {"PROCESSES", "processes", COLUMN_PLAIN},
	    {"RESTARTS", "restarts", COLUMN_PLAIN}, {"TOOLS", "tool_count", COLUMN_PLAIN},
	    {"CALLS", "calls", COLUMN_PLAIN}, {"FAILED", "failed", COLUMN_PLAIN},
	    {"LAST ERROR", "last_error", COLUMN_PLAIN}, {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(tool_list, m);

	return admin_list(cli, MSG_tool_list, &m, columns,
	    "No tool servers. They are configured under tools.mcp_servers.");
}

struct wanted {
	const char *name;
	bool json, found;
};

static void
show_row(const void *json, size_t len, void *arg)
{
	struct wanted *w = arg;
	struct json_doc d;
	char name[65];

	json_init(&d);
	if (json_parse(&d, json, len, NULL) != JSON_OK ||
	    json_str_copy(&d, json_get(&d, 0, "server"), name, sizeof(name), NULL) != 0 ||
	    strcmp(name, w->name) != 0)
		goto out;
	w->found = true;
	if (w->json) {
		printf("%.*s\n", (int)len, (const char *)json);
		goto out;
	}
	line(&d, 0, "Server", "server");
	line(&d, 0, "State", "state");
	line(&d, 0, "Since", "since");
	line(&d, 0, "Because", "message");
	line(&d, 0, "Last error", "last_error");
	line(&d, 0, "Pid", "pid");
	line(&d, 0, "Processes", "processes");
	line(&d, 0, "Restarts", "restarts");
	line(&d, 0, "Calls", "calls");
	line(&d, 0, "Failed", "failed");
	line(&d, 0, "Under way", "in_flight");
	line(&d, 0, "Instances", "instances");
	line(&d, 0, "Room", "room");
	line(&d, 0, "Capabilities", "capabilities");
	line(&d, 0, "Tools", "tools");
out:
	json_free(&d);
}

int
cmd_tool_show(struct cli *cli)
{
	struct wanted w = {.name = named(cli), .json = cli->json};
	struct admin_answer a = {0};
	MSG_INIT(tool_list, m);
	int r;

	if (w.name == NULL)
		return ADMIN_USAGE;
	if ((r = admin_open(cli, ADMIN_NEED_DATA)) != 0)
		return r;
	if (admin_ask(MSG_tool_list, &m, show_row, &w, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (!w.found) {
		cli_error("aegis tool list shows them.", "there is no tool server \"%s\"",
		    w.name);
		r = ADMIN_REFUSED;
	}
	admin_answer_free(&a);
	admin_close();
	return r;
}

static void
print_attempts(const struct json_doc *d)
{
	uint32_t list = json_get(d, 0, "attempts");
	struct json_iter it;
	struct buf attempt, result;
	bool reached;

	if (json_type(d, list) != JT_ARRAY)
		return;
	printf("\nFrom inside its room:\n");
	json_iter_init(&it, d, list);
	while (json_iter_next(&it, d)) {
		buf_init(&attempt);
		buf_init(&result);
		out_member(d, it.value, "attempt", COLUMN_PLAIN, &attempt);
		out_member(d, it.value, "result", COLUMN_PLAIN, &result);
		if (json_bool(d, json_get(d, it.value, "reached"), &reached) == 0)
			printf("  %s%-3s%s %-40.*s %.*s\n",
			    out_colour(stdout, reached ? OUT_YELLOW : OUT_GREEN),
			    reached ? "yes" : "no", out_colour(stdout, OUT_PLAIN),
			    (int)attempt.len, (char *)attempt.p, (int)result.len,
			    (char *)result.p);
		buf_free(&attempt);
		buf_free(&result);
	}
}

static int
print_test(struct cli *cli, const struct admin_answer *a, const void *arg)
{
	struct json_doc d;
	bool read, starts = false;

	(void)arg;
	json_init(&d);
	read = json_parse(&d, a->json.p, a->json.len, NULL) == JSON_OK;
	if (read)
		(void)json_bool(&d, json_get(&d, 0, "starts"), &starts);
	if (cli->json) {
		admin_print_json(a);
	} else if (read) {
		line(&d, 0, "Server", "server");
		line(&d, 0, "Room", "room");
		print_attempts(&d);
		printf("\n");
		if (starts) {
			line(&d, 0, "Started in ms", "start_ms");
			line(&d, 0, "Tools", "tools");
		} else {
			line(&d, 0, "Not started", "message");
		}
	}
	json_free(&d);
	return starts ? ADMIN_OK : ADMIN_FAILED;
}

int
cmd_tool_test(struct cli *cli)
{
	const char *name = named(cli);
	MSG_INIT(tool_test, m);

	if (name == NULL)
		return ADMIN_USAGE;
	m.name = span_str(name);
	return admin_do(cli, ADMIN_NEED_GATE, MSG_tool_test, &m, print_test, NULL);
}

static int
print_status(struct cli *cli, const struct admin_answer *a, const void *arg)
{
	static const char *const lines[][2] = {{"Version", "version"},
	    {"Tenant", "tenant"}, {"Gate", "gate_url"}, {"Up (s)", "uptime_s"},
	    {"Agents", "agents"}, {"In flight", "in_flight"}, {"Workers", "workers"},
	    {"Dispatcher", "dispatcher"}, {"Tool host", "toolhost"}};
	struct json_doc d;
	struct json_iter it;
	struct buf name, state;
	uint32_t list;
	size_t i;

	(void)cli;
	(void)arg;
	json_init(&d);
	if (json_parse(&d, a->json.p, a->json.len, NULL) != JSON_OK)
		goto out;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		line(&d, 0, lines[i][0], lines[i][1]);
	line(&d, json_get(&d, 0, "vault"), "Sealed", "sealed");
	line(&d, json_get(&d, 0, "vault"), "Key shares", "shares");
	line(&d, json_get(&d, 0, "ledger"), "Ledger rows", "rows");
	line(&d, json_get(&d, 0, "policies"), "Policies", "mode");
	line(&d, json_get(&d, 0, "policies"), "  refused", "refused");
	list = json_get(&d, 0, "tool_servers");
	if (json_type(&d, list) != JT_ARRAY)
		goto out;
	json_iter_init(&it, &d, list);
	while (json_iter_next(&it, &d)) {
		buf_init(&name);
		buf_init(&state);
		out_member(&d, it.value, "server", COLUMN_PLAIN, &name);
		out_member(&d, it.value, "state", COLUMN_PLAIN, &state);
		printf("%-14s %.*s %.*s\n", "Tool server", (int)name.len, (char *)name.p,
		    (int)state.len, (char *)state.p);
		buf_free(&name);
		buf_free(&state);
	}
out:
	json_free(&d);
	return ADMIN_OK;
}

int
cmd_status(struct cli *cli)
{
	MSG_INIT(status, m);

	return admin_show(cli, ADMIN_NEED_GATE, MSG_status, &m, print_status, NULL);
}
