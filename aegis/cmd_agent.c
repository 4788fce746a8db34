/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis agent: who may use what.
 */
#include <stdio.h>
#include <string.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/out.h"
#include "common/proto.h"

/* Asks for something that comes with a token, and shows it. */
static int
show_token(struct cli *cli, enum msg_type type, void *msg, const char *what)
{
	struct admin_answer a = {0};
	char token[256];
	int r = admin_open(cli, ADMIN_NEED_DATA);

	if (r != 0)
		return r;
	if (admin_ask(type, msg, NULL, NULL, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (cli->json)
		admin_print_json(&a);
	else if (!admin_answer_text(&a, "token", token, sizeof(token))) {
		cli_error(NULL, "the judge answered without a token");
		r = ADMIN_FAILED;
	} else {
		cli_ok("Agent %s %s.", cli_text(cli, "name"), what);
		printf("  Token, shown this once: %s\n", token);
		printf("  The agent sends it as X-Aegis-Agent.\n");
		explicit_bzero(token, sizeof(token));
	}
	admin_answer_free(&a);
	admin_close();
	return r;
}

int
cmd_agent_add(struct cli *cli)
{
	MSG_INIT(agent_add, m);

	m.name = span_str(cli_text(cli, "name"));
	m.rate_limit = span_str(cli_text(cli, "rate-limit"));
	return show_token(cli, MSG_agent_add, &m, "is registered");
}

int
cmd_agent_regenerate(struct cli *cli)
{
	MSG_INIT(agent_regenerate, m);

	m.name = span_str(cli_text(cli, "name"));
	return show_token(
	    cli, MSG_agent_regenerate, &m, "has a new token; the old one is dead");
}

int
cmd_agent_list(struct cli *cli)
{
	static const struct column columns[] = {{"NAME", "name", COLUMN_PLAIN},
	    {"TOKEN", "token_prefix", COLUMN_PLAIN}, {"RATE", "rate_limit", COLUMN_PLAIN},
	    {"CREDENTIALS", "credentials", COLUMN_PLAIN},
	    {"CONTEXTS", "contexts", COLUMN_PLAIN},
	    {"CREATED", "created_at", COLUMN_TIME}, {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(agent_list, m);

	return admin_list(cli, MSG_agent_list, &m, columns,
	    "No agents. Register one: aegis agent add --name NAME");
}

int
cmd_agent_remove(struct cli *cli)
{
	MSG_INIT(agent_remove, m);

	m.name = span_str(cli_text(cli, "name"));
	return admin_command(
	    cli, MSG_agent_remove, &m, "Agent %s is gone.", cli_text(cli, "name"));
}

static int
grant(struct cli *cli, bool revoke)
{
	MSG_INIT(agent_grant, m);

	m.agent = span_str(cli_text(cli, "agent"));
	m.credential = span_str(cli_text(cli, "credential"));
	m.revoke = revoke;
	return admin_command(cli, MSG_agent_grant, &m, "Agent %s may %suse %s.",
	    cli_text(cli, "agent"), revoke ? "no longer " : "",
	    cli_text(cli, "credential"));
}

int
cmd_agent_grant(struct cli *cli)
{
	return grant(cli, false);
}

int
cmd_agent_revoke(struct cli *cli)
{
	return grant(cli, true);
}

int
cmd_agent_set_rate_limit(struct cli *cli)
{
	MSG_INIT(agent_limit, m);

	m.name = span_str(cli_text(cli, "agent"));
	m.rate_limit = span_str(cli_text(cli, "limit"));
	return admin_command(cli, MSG_agent_limit, &m, "Agent %s has the rate limit %s.",
	    cli_text(cli, "agent"), cli_text(cli, "limit"));
}

int
cmd_agent_context(struct cli *cli)
{
	bool revoke = cli_given(cli, "revoke");
	MSG_INIT(agent_context, m);

	m.agent = span_str(cli_text(cli, "agent"));
	m.context = span_str(cli_text(cli, "context"));
	m.revoke = revoke;
	return admin_command(cli, MSG_agent_context, &m, "Agent %s may %sattest into %s.",
	    cli_text(cli, "agent"), revoke ? "no longer " : "", cli_text(cli, "context"));
}
