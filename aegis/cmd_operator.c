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

int
cmd_operator_token(struct cli *cli)
{
	static const struct config_key ttl = {
	    .path = "--ttl", .type = KEY_SECONDS, .min = 60, .max = 86400};
	const char *name = cli_text(cli, "name");
	int role = role_of(cli_text_or(cli, "role", "operator"));
	struct admin_answer a = {0};
	const struct passwd *user;
	char token[4200], err[200];
	unsigned seconds;
	int r;
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
	r = admin_open(cli, ADMIN_NEED_DATA);
	if (r != 0)
		return r;
	m.role = (uint8_t)role;
	m.ttl_s = seconds;
	m.name = span_str(name);
	if (admin_ask(MSG_operator_token, &m, NULL, NULL, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (cli->json)
		admin_print_json(&a);
	else if (!admin_answer_text(&a, "token", token, sizeof(token))) {
		cli_error(NULL, "the judge answered without a token");
		r = ADMIN_FAILED;
	} else {
		printf("%s\n", token);
		explicit_bzero(token, sizeof(token));
	}
	admin_answer_free(&a);
	admin_close();
	return r;
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
