/* SPDX-License-Identifier: Apache-2.0 */
/* aegis session: who works under which SecurityContext, until when, with which key. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/keys.h"
#include "aegis/out.h"
#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/rfc3339.h"

#define TOKEN_SIZE 8193

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

static const char *
named(struct cli *cli)
{
	const char *id = cli_text(cli, "session");

	if (id == NULL && cli->nrest > 0)
		id = cli->rest[0];
	if (id == NULL)
		cli_error("aegis session list shows them.", "name the session");
	return id;
}

int
cmd_session_revoke(struct cli *cli)
{
	const char *id = named(cli);
	MSG_INIT(session_revoke, m);

	if (id == NULL)
		return ADMIN_USAGE;
	m.session = span_str(id);
	m.reason = span_str(cli_text(cli, "reason"));
	return admin_command(cli, MSG_session_revoke, &m, "Session %s is revoked.", id);
}

int
cmd_session_show(struct cli *cli)
{
	const char *id = named(cli);
	MSG_INIT(session_show, m);

	if (id == NULL)
		return ADMIN_USAGE;
	m.session = span_str(id);
	return admin_show(cli, ADMIN_NEED_DATA, MSG_session_show, &m, NULL, NULL);
}

/* "fs.*,web.get" as an array. */
static void
put_patterns(struct jsonw *w, const char *list)
{
	jsonw_key(w, "allowed_tool_patterns");
	jsonw_arr_open(w);
	for (;;) {
		size_t n = strcspn(list, ",");

		jsonw_strn(w, list, n);
		if (list[n] == '\0')
			break;
		list += n + 1;
	}
	jsonw_arr_close(w);
}

/* The flags as the API's body. 0, or an exit code after saying why. */
static int
put_body(struct cli *cli, struct buf *out)
{
	static const struct config_key ttl = {
	    .path = "--ttl", .type = KEY_SECONDS, .min = 10, .max = 86400};
	static const char *const flags[][2] = {{"agent", "sub"},
	    {"context", "security_context_name"}, {"execution", "execution_id"},
	    {"key", "public_key_b64"}, {"workload", "workload_id"},
	    {"task", "task_summary"}};
	char expires[RFC3339_SIZE], err[200];
	unsigned seconds;
	const char *text;
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if ((text = cli_text(cli, flags[i][0])) != NULL)
			jsonw_key_str(&w, flags[i][1], text);
	if ((text = cli_text(cli, "tools")) != NULL)
		put_patterns(&w, text);
	if ((text = cli_text(cli, "ttl")) != NULL) {
		if (key_set_text(&ttl, &seconds, text, NULL, err, sizeof(err)) == -1) {
			cli_error(NULL, "--ttl: %s", err);
			return ADMIN_USAGE;
		}
		if (rfc3339_format((int64_t)time(NULL) + seconds, 0, 0, expires,
			sizeof(expires)) > 0)
			jsonw_key_str(&w, "expires_at", expires);
	}
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0)
		return 0;
	cli_error(NULL, "the flags are no text in UTF-8");
	return ADMIN_USAGE;
}

static int
show_token(struct cli *cli, const struct admin_answer *a, const void *arg)
{
	char token[TOKEN_SIZE];

	(void)cli;
	(void)arg;
	if (admin_answer_token(a, "security_token", token, sizeof(token)) == -1)
		return ADMIN_FAILED;
	printf("%s\n", token);
	explicit_bzero(token, sizeof(token));
	return ADMIN_OK;
}

int
cmd_session_create(struct cli *cli)
{
	struct buf body;
	int r;
	MSG_INIT(session_create, m);

	buf_init(&body);
	r = put_body(cli, &body);
	m.json = span_mem(body.p, body.len);
	if (r == 0)
		r = admin_show(
		    cli, ADMIN_NEED_DATA, MSG_session_create, &m, show_token, NULL);
	buf_free(&body);
	return r;
}
