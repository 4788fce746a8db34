/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis user: who may administer, in which role.
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
	char token[128], role[16];
	int r = admin_open(cli, ADMIN_NEED_DATA);

	if (r != 0)
		return r;
	if (admin_ask(type, msg, NULL, NULL, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (cli->json)
		admin_print_json(&a);
	else if (!admin_answer_text(&a, "token", token, sizeof(token)) ||
	    !admin_answer_text(&a, "role", role, sizeof(role))) {
		cli_error(NULL, "the judge answered without a token");
		r = ADMIN_FAILED;
	} else {
		cli_ok("%s", what);
		printf("  Name: %s\n  Role: %s\n", cli_text(cli, "name"), role);
		printf("  API Key (shown ONCE, save it now):\n  %s\n\n", token);
		printf("  Use AEGIS_USER_TOKEN=<key> to authenticate CLI commands.\n");
		explicit_bzero(token, sizeof(token));
	}
	admin_answer_free(&a);
	admin_close();
	return r;
}

int
cmd_user_add(struct cli *cli)
{
	MSG_INIT(user_add, m);

	m.name = span_str(cli_text(cli, "name"));
	m.role = span_str(cli_text(cli, "role"));
	return show_token(cli, MSG_user_add, &m, "User added to Aegis");
}

int
cmd_user_regenerate(struct cli *cli)
{
	MSG_INIT(user_regenerate, m);

	m.name = span_str(cli_text(cli, "name"));
	return show_token(cli, MSG_user_regenerate, &m, "A new key; the old one is dead");
}

int
cmd_user_list(struct cli *cli)
{
	static const struct column columns[] = {{"NAME", "name", COLUMN_PLAIN},
	    {"ROLE", "role", COLUMN_PLAIN}, {"KEY", "token_prefix", COLUMN_PLAIN},
	    {"CREATED", "created_at", COLUMN_TIME},
	    {"CHANGED", "updated_at", COLUMN_TIME}, {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(user_list, m);

	return admin_list(cli, MSG_user_list, &m, columns,
	    "No users: whoever reaches the admin socket may do everything. Make the "
	    "first admin: aegis user add --name NAME --role admin");
}

int
cmd_user_role(struct cli *cli)
{
	MSG_INIT(user_role, m);

	m.name = span_str(cli_text(cli, "name"));
	m.role = span_str(cli_text(cli, "role"));
	return admin_command(cli, MSG_user_role, &m, "User %s has the role %s now.",
	    cli_text(cli, "name"), cli_text(cli, "role"));
}

int
cmd_user_remove(struct cli *cli)
{
	MSG_INIT(user_remove, m);

	if (!cli_given(cli, "confirm")) {
		cli_error("Say so with --confirm.",
		    "this removes user %s, whose key is dead from then on",
		    cli_text(cli, "name"));
		return ADMIN_USAGE;
	}
	m.name = span_str(cli_text(cli, "name"));
	return admin_command(
	    cli, MSG_user_remove, &m, "User %s is gone.", cli_text(cli, "name"));
}
