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
show_token(struct cli *cli, const struct admin_answer *a, const void *what)
{
	char token[128], role[16];

	if (admin_answer_token(a, "token", token, sizeof(token)) == -1 ||
	    admin_answer_token(a, "role", role, sizeof(role)) == -1)
		return ADMIN_FAILED;
	cli_ok("%s", (const char *)what);
	printf("  Name: %s\n  Role: %s\n", cli_text(cli, "name"), role);
	printf("  API Key (shown ONCE, save it now):\n  %s\n\n", token);
	printf("  Use AEGIS_USER_TOKEN=<key> to authenticate CLI commands.\n");
	explicit_bzero(token, sizeof(token));
	return ADMIN_OK;
}

int
cmd_user_add(struct cli *cli)
{
	MSG_INIT(user_add, m);

	m.name = span_str(cli_text(cli, "name"));
	m.role = span_str(cli_text(cli, "role"));
	return admin_show(
	    cli, ADMIN_NEED_DATA, MSG_user_add, &m, show_token, "User added to Aegis");
}

int
cmd_user_regenerate(struct cli *cli)
{
	MSG_INIT(user_regenerate, m);

	m.name = span_str(cli_text(cli, "name"));
	return admin_show(cli, ADMIN_NEED_DATA, MSG_user_regenerate, &m, show_token,
	    "A new key; the old one is dead");
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
