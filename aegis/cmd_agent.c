/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis agent: who may use what.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/out.h"
#include "common/hex.h"
#include "common/proto.h"

/* Asks for something that comes with a token, and shows it. */
static int
show_token(struct cli *cli, const struct admin_answer *a, const void *what)
{
	char token[256];

	if (admin_answer_token(a, "token", token, sizeof(token)) == -1)
		return ADMIN_FAILED;
	cli_ok("Agent %s %s.", cli_text(cli, "name"), (const char *)what);
	printf("  Token, shown this once: %s\n", token);
	printf("  The agent sends it as X-Aegis-Agent.\n");
	explicit_bzero(token, sizeof(token));
	return ADMIN_OK;
}

int
cmd_agent_add(struct cli *cli)
{
	MSG_INIT(agent_add, m);

	m.name = span_str(cli_text(cli, "name"));
	m.rate_limit = span_str(cli_text(cli, "rate-limit"));
	return admin_show(
	    cli, ADMIN_NEED_DATA, MSG_agent_add, &m, show_token, "is registered");
}

int
cmd_agent_regenerate(struct cli *cli)
{
	MSG_INIT(agent_regenerate, m);

	m.name = span_str(cli_text(cli, "name"));
	return admin_show(cli, ADMIN_NEED_DATA, MSG_agent_regenerate, &m, show_token,
	    "has a new token; the old one is dead");
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

/* The SHA-256 of a file in hexadecimal. 0, or -1: it was said why. */
static int
hash_program(const char *path, char hex[65])
{
	uint8_t octets[65536], digest[32];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	FILE *f = fopen(path, "re");
	size_t n;
	int r = -1;

	if (f == NULL || ctx == NULL) {
		cli_error(NULL, "%s: %s", path, strerror(errno));
		goto out;
	}
	r = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? 0 : -1;
	while (r == 0 && (n = fread(octets, 1, sizeof(octets), f)) > 0)
		if (EVP_DigestUpdate(ctx, octets, n) != 1)
			r = -1;
	if (r == -1 || ferror(f) || EVP_DigestFinal_ex(ctx, digest, NULL) != 1 ||
	    hex_encode(digest, sizeof(digest), hex, 65) < 0) {
		cli_error(NULL, "%s: cannot be read", path);
		r = -1;
	}
out:
	if (f != NULL)
		fclose(f);
	EVP_MD_CTX_free(ctx);
	return r;
}

int
cmd_agent_set_process(struct cli *cli)
{
	const char *uid = cli_text(cli, "uid"), *exe = cli_text(cli, "exe");
	char *end = NULL, hex[65] = "", *real = NULL;
	unsigned long long number = 0;
	int r;
	MSG_INIT(agent_process, m);

	if (uid != NULL) {
		number = strtoull(uid, &end, 10);
		if (uid[0] < '0' || uid[0] > '9' || *end != '\0' ||
		    number >= UINT32_MAX) {
			cli_error("Find it with: id -u USER", "--uid wants a number");
			return ADMIN_USAGE;
		}
	}
	if (cli_given(cli, "exe-sha256") && exe == NULL) {
		cli_error("aegis agent set-process --name NAME --exe PATH --exe-sha256",
		    "--exe-sha256 wants --exe as well");
		return ADMIN_USAGE;
	}
	/* the kernel names programs by the path without symbolic links */
	if (exe != NULL && (real = realpath(exe, NULL)) == NULL) {
		cli_error(NULL, "%s: %s", exe, strerror(errno));
		return ADMIN_FAILED;
	}
	if (cli_given(cli, "exe-sha256") && hash_program(real, hex) == -1) {
		free(real);
		return ADMIN_FAILED;
	}
	m.name = span_str(cli_text(cli, "name"));
	m.has_uid = uid != NULL;
	m.uid = (uint32_t)number;
	m.exe = span_str(real);
	m.sha256 = span_str(hex);
	m.cgroup = span_str(cli_text(cli, "cgroup"));
	r = admin_command(cli, MSG_agent_process, &m,
	    uid == NULL && exe == NULL && m.cgroup.len == 0
		? "Agent %s may be any process."
		: "Agent %s has to be that process, over the gate's local socket.",
	    cli_text(cli, "name"));
	free(real);
	return r;
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
