/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis vault: credentials. What is allowed is the judge's to say; the secret travels as
 * a descriptor and is seen by vault alone.
 */
#include <string.h>
#include <unistd.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/out.h"
#include "common/proto.h"

#define TTL_KEEP UINT32_MAX

int
cmd_vault_add(struct cli *cli)
{
	const char *name = cli_text(cli, "name"), *service = cli_text(cli, "service");
	MSG_INIT(credential_add, m);

	m.name = span_str(name);
	m.service = span_str(service);
	m.domains = span_str(cli_text(cli, "domains"));
	m.auth_type = span_str(cli_text_or(cli, "auth-type", "bearer"));
	m.header_name = span_str(cli_text(cli, "header-name"));
	m.query_param = span_str(cli_text(cli, "query-param"));
	m.scopes = span_str(cli_text_or(cli, "scopes", "*"));
	m.ttl_days = cli_number(cli, "ttl", 0);
	m.rate_limit = span_str(cli_text(cli, "rate-limit"));
	m.body_inspection = span_str(cli_text_or(cli, "body-inspection", "block"));
	m.upstream = span_str(cli_text(cli, "upstream"));
	m.allow_private = cli_given(cli, "allow-private");
	m.secret = cli_secret_fd(cli);
	if (m.secret == -1)
		return ADMIN_USAGE;
	return admin_command(cli, MSG_credential_add, &m,
	    "Credential %s is in the vault.\n  Agents reach it at /%s/... once one is "
	    "granted "
	    "it: aegis agent grant --agent NAME --credential %s",
	    name, service, name);
}

int
cmd_vault_list(struct cli *cli)
{
	static const struct column columns[] = {{"NAME", "name", COLUMN_PLAIN},
	    {"SERVICE", "service", COLUMN_PLAIN}, {"DOMAINS", "domains", COLUMN_PLAIN},
	    {"AUTH", "auth_type", COLUMN_PLAIN}, {"SCOPES", "scopes", COLUMN_PLAIN},
	    {"RATE", "rate_limit", COLUMN_PLAIN},
	    {"BODY", "body_inspection", COLUMN_PLAIN},
	    {"UPSTREAM", "upstream", COLUMN_PLAIN}, {"STATUS", "status", COLUMN_PLAIN},
	    {"EXPIRES", "expires_at", COLUMN_TIME}, {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(credential_list, m);

	return admin_list(cli, MSG_credential_list, &m, columns,
	    "No credentials. Add one: aegis vault add --name NAME --service SERVICE "
	    "--domains "
	    "DOMAIN");
}

int
cmd_vault_remove(struct cli *cli)
{
	MSG_INIT(credential_remove, m);

	m.name = span_str(cli_text(cli, "name"));
	return admin_command(cli, MSG_credential_remove, &m, "Credential %s is gone.",
	    cli_text(cli, "name"));
}

int
cmd_vault_refresh(struct cli *cli)
{
	MSG_INIT(vault_refresh, m);

	return admin_command(cli, MSG_vault_refresh, &m,
	    "Secrets in OpenBao are read again when they are next needed.");
}

int
cmd_vault_rotate(struct cli *cli)
{
	MSG_INIT(credential_rotate, m);

	m.name = span_str(cli_text(cli, "name"));
	m.ttl_days = cli_number(cli, "ttl", TTL_KEEP);
	m.secret = cli_secret_fd(cli);
	if (m.secret == -1)
		return ADMIN_USAGE;
	return admin_command(cli, MSG_credential_rotate, &m,
	    "Credential %s has its new secret.", cli_text(cli, "name"));
}

/* Notes that a field is meant; its text, or an empty one. */
static struct span
field(const struct cli *cli, const char *flag, enum credential_field bit, uint32_t *set)
{
	if (cli_given(cli, flag))
		*set |= bit;
	return span_str(cli_text(cli, flag));
}

int
cmd_vault_update(struct cli *cli)
{
	MSG_INIT(credential_update, m);
	uint32_t set = 0;

	m.name = span_str(cli_text(cli, "name"));
	m.domains = field(cli, "domains", CREDENTIAL_DOMAINS, &set);
	m.auth_type = field(cli, "auth-type", CREDENTIAL_AUTH_TYPE, &set);
	m.header_name = field(cli, "header-name", CREDENTIAL_HEADER_NAME, &set);
	m.query_param = field(cli, "query-param", CREDENTIAL_QUERY_PARAM, &set);
	m.scopes = field(cli, "scopes", CREDENTIAL_SCOPES, &set);
	m.rate_limit = field(cli, "rate-limit", CREDENTIAL_RATE_LIMIT, &set);
	m.body_inspection = field(cli, "body-inspection", CREDENTIAL_INSPECTION, &set);
	m.upstream = field(cli, "upstream", CREDENTIAL_UPSTREAM, &set);
	(void)field(cli, "ttl", CREDENTIAL_TTL, &set);
	m.ttl_days = cli_number(cli, "ttl", 0);
	(void)field(cli, "allow-private", CREDENTIAL_PRIVATE, &set);
	(void)field(cli, "no-allow-private", CREDENTIAL_PRIVATE, &set);
	m.allow_private = cli_given(cli, "allow-private");
	if (m.allow_private && cli_given(cli, "no-allow-private")) {
		cli_error(
		    NULL, "--allow-private and --no-allow-private exclude each other");
		return ADMIN_USAGE;
	}
	if (set == 0) {
		cli_error("Name what to change, such as --domains or --rate-limit.",
		    "there is nothing to change");
		return ADMIN_USAGE;
	}
	m.set = set;
	return admin_command(cli, MSG_credential_update, &m, "Credential %s is changed.",
	    cli_text(cli, "name"));
}
