/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis operator and aegis key: tokens for the API of the gate, and the keys of tokens.
 */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/keys.h"
#include "aegis/out.h"
#include "common/proto.h"

static int
role_of(const char *name)
{
	static const char *const names[] = {"readonly", "operator", "admin"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return (int)(OPERATOR_READONLY + i);
	return -1;
}

static int
show_token(struct cli *cli, const struct admin_answer *a, const void *arg)
{
	char token[4200];

	(void)cli;
	(void)arg;
	if (admin_answer_token(a, "token", token, sizeof(token)) == -1)
		return ADMIN_FAILED;
	printf("%s\n", token);
	explicit_bzero(token, sizeof(token));
	return ADMIN_OK;
}

int
cmd_operator_token(struct cli *cli)
{
	static const struct config_key ttl = {
	    .path = "--ttl", .type = KEY_SECONDS, .min = 60, .max = 86400};
	const char *name = cli_text(cli, "name");
	int role = role_of(cli_text_or(cli, "role", "operator"));
	const struct passwd *user;
	unsigned seconds;
	char err[200];
	MSG_INIT(operator_token, m);

	if (role < 0) {
		cli_error(NULL, "--role is readonly, operator or admin");
		return ADMIN_USAGE;
	}
	if (key_set_text(&ttl, &seconds, cli_text_or(cli, "ttl", "1h"), NULL, err,
		sizeof(err)) == -1) {
		cli_error(NULL, "--ttl: %s", err);
		return ADMIN_USAGE;
	}
	if (name == NULL)
		name = (user = getpwuid(getuid())) != NULL ? user->pw_name : "operator";
	m.role = (uint8_t)role;
	m.ttl_s = seconds;
	m.name = span_str(name);
	return admin_show(cli, ADMIN_NEED_DATA, MSG_operator_token, &m, show_token, NULL);
}

int
cmd_operator_list(struct cli *cli)
{
	static const struct column columns[] = {{"ID", "id", COLUMN_PLAIN},
	    {"NAME", "name", COLUMN_PLAIN}, {"ROLE", "role", COLUMN_PLAIN},
	    {"CREATED", "created_at", COLUMN_TIME}, {"UNTIL", "expires_at", COLUMN_TIME},
	    {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(operator_list, m);

	return admin_list(cli, MSG_operator_list, &m, columns,
	    "No tokens. Make one: aegis operator token");
}

int
cmd_operator_revoke(struct cli *cli)
{
	MSG_INIT(operator_revoke, m);

	m.id = span_str(cli_text(cli, "id"));
	m.name = span_str(cli_text(cli, "name"));
	if ((m.id.len > 0) == (m.name.len > 0)) {
		cli_error("See \"aegis operator list\".",
		    "name one token with --id, or all of somebody with --name");
		return ADMIN_USAGE;
	}
	return admin_command(cli, MSG_operator_revoke, &m, "It is good no more.");
}

int
cmd_key_rotate(struct cli *cli)
{
	static const struct config_key overlap = {
	    .path = "--overlap", .type = KEY_SECONDS, .min = 0, .max = 30 * 86400};
	unsigned seconds;
	char err[200];
	MSG_INIT(token_key_rotate, m);

	if (key_set_text(&overlap, &seconds, cli_text_or(cli, "overlap", "24h"), NULL,
		err, sizeof(err)) == -1) {
		cli_error(NULL, "--overlap: %s", err);
		return ADMIN_USAGE;
	}
	m.overlap_s = seconds;
	return admin_command(
	    cli, MSG_token_key_rotate, &m, "A new key signs tokens from now on.");
}

int
cmd_key_list(struct cli *cli)
{
	static const struct column columns[] = {{"KEY", "kid", COLUMN_PLAIN},
	    {"STATE", "state", COLUMN_PLAIN}, {"UNTIL", "retires_at", COLUMN_TIME},
	    {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(token_key_list, m);

	return admin_list(cli, MSG_token_key_list, &m, columns, "No keys.");
}
