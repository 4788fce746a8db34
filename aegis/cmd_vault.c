/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis vault: credentials. The secret, and what is sealed with it, goes to vault over
 * vault's own socket; what is allowed is the judge's to say, which records it first.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config_int.h"
#include "aegis/offer.h"
#include "aegis/out.h"
#include "common/access.h"
#include "common/credential_text.h"
#include "common/proto.h"

#define TTL_KEEP UINT32_MAX
#define GRACE_HOURS_MAX 8760

/*
 * Texts as vault is to seal them. What cannot be read is brought as it is: the judge
 * refuses it, with the reason.
 */
struct sealed {
	char domains[4097], scheme[8];
	char methods[ACCESS_METHODS_MAX + 1];
	char allow[ACCESS_PATHS_MAX + 1], deny[ACCESS_PATHS_MAX + 1];
};

static void
read_limits(const struct cli *cli, struct msg_secret_offer *o, struct sealed *t)
{
	o->methods = span_str(cli_text(cli, "allow-methods"));
	o->allow_paths = span_str(cli_text(cli, "allow-paths"));
	o->deny_paths = span_str(cli_text(cli, "deny-paths"));
	if (access_methods_text(o->methods, t->methods, sizeof(t->methods)) == NULL)
		o->methods = span_str(t->methods);
	if (access_paths_text(o->allow_paths, t->allow, sizeof(t->allow)) == NULL)
		o->allow_paths = span_str(t->allow);
	if (access_paths_text(o->deny_paths, t->deny, sizeof(t->deny)) == NULL)
		o->deny_paths = span_str(t->deny);
}

static void
read_texts(struct msg_secret_offer *o, struct sealed *t, const char *domains,
    const char *upstream)
{
	o->domains = span_str(domains);
	if (check_domains(o->domains, t->domains, sizeof(t->domains)) == NULL)
		o->domains = span_str(t->domains);
	if (upstream_parse(
		upstream != NULL ? upstream : "", t->scheme, NULL, 0, &o->port) == -1)
		o->port = 0;
	o->scheme = span_str(t->scheme);
}

/* Header and parameter of an auth type, its defaults where none is named. */
static void
read_auth(
    struct msg_secret_offer *o, struct span type, struct span header, struct span param)
{
	o->auth_type = type;
	o->header_name =
	    header.len > 0 ? header : span_str(credential_header_default(type));
	o->query_param = param.len > 0 ? param : span_str(credential_param_default(type));
}

/* Brings the offer to vault, then asks the judge, with `id` within msg. */
static int run(struct cli *cli, struct msg_secret_offer *offer, enum msg_type type,
    void *msg, uint8_t id[16], const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

static int
run(struct cli *cli, struct msg_secret_offer *offer, enum msg_type type, void *msg,
    uint8_t id[16], const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int r = admin_open(cli, ADMIN_NEED_DATA);

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r != 0) {
		msg_release(msg_desc_get(MSG_secret_offer), offer);
		return r;
	}
	r = offer_bring(cli, offer, id);
	if (r == 0)
		r = admin_tell(cli, type, msg, text);
	else
		admin_close();
	offer_close();
	return r;
}

/* 0; or -1 after saying what is wrong with --secret-ref. */
static int
read_reference(struct cli *cli, struct span *out)
{
	const char *text = cli_text(cli, "secret-ref"), *why;

	*out = span_str(text);
	if (text == NULL)
		return 0;
	if (cli->secret != NULL || cli->secret_stdin || cli_given(cli, "secret-stdin") ||
	    cli_given(cli, "secret-file")) {
		cli_error(NULL,
		    "more than one of --secret, --secret-file, "
		    "--secret-stdin, --secret-ref");
		return -1;
	}
	why = config_check_reference(cli_config(cli), text);
	if (why != NULL)
		cli_error(NULL, "--secret-ref %.80s: %s", text, why);
	return why == NULL ? 0 : -1;
}

int
cmd_vault_add(struct cli *cli)
{
	const char *name = cli_text(cli, "name"), *service = cli_text(cli, "service");
	const char *domains = cli_text(cli, "domains"),
		   *upstream = cli_text(cli, "upstream");
	struct sealed texts;
	MSG_INIT(credential_add, m);
	MSG_INIT(secret_offer, o);

	m.name = span_str(name);
	m.service = span_str(service);
	m.domains = span_str(domains);
	m.auth_type = span_str(cli_text_or(cli, "auth-type", "bearer"));
	m.header_name = span_str(cli_text(cli, "header-name"));
	m.query_param = span_str(cli_text(cli, "query-param"));
	m.scopes = span_str(cli_text_or(cli, "scopes", "*"));
	m.ttl_days = cli_number(cli, "ttl", 0);
	m.rate_limit = span_str(cli_text(cli, "rate-limit"));
	m.body_inspection = span_str(cli_text_or(cli, "body-inspection", "block"));
	m.upstream = span_str(upstream);
	m.allow_private = cli_given(cli, "allow-private");
	m.methods = span_str(cli_text(cli, "allow-methods"));
	m.allow_paths = span_str(cli_text(cli, "allow-paths"));
	m.deny_paths = span_str(cli_text(cli, "deny-paths"));
	o.add = 1;
	o.name = m.name;
	o.service = m.service;
	o.allow_private = m.allow_private;
	read_texts(&o, &texts, domains, upstream);
	read_limits(cli, &o, &texts);
	read_auth(&o, m.auth_type, m.header_name, m.query_param);
	if (read_reference(cli, &m.secret_ref) == -1)
		return ADMIN_USAGE;
	o.secret_ref = m.secret_ref;
	o.secret = -1;
	if (o.secret_ref.len == 0 && (o.secret = cli_secret_fd(cli)) == -1)
		return ADMIN_USAGE;
	return run(cli, &o, MSG_credential_add, &m, m.offer,
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
	    {"METHODS", "allow_methods", COLUMN_PLAIN},
	    {"PATHS", "allow_paths", COLUMN_PLAIN},
	    {"DENIED", "deny_paths", COLUMN_PLAIN},
	    {"BODY", "body_inspection", COLUMN_PLAIN},
	    {"UPSTREAM", "upstream", COLUMN_PLAIN},
	    {"SECRET AT", "secret_ref", COLUMN_PLAIN}, {"STATUS", "status", COLUMN_PLAIN},
	    {"EXPIRES", "expires_at", COLUMN_TIME},
	    {"OLD SECRET UNTIL", "grace_until", COLUMN_TIME}, {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(credential_list, m);

	return admin_list(cli, MSG_credential_list, &m, columns,
	    "No credentials. Add one: aegis vault add --name NAME --service SERVICE "
	    "--domains "
	    "DOMAIN");
}

struct wanted {
	const char *name;
	bool json, found;
};

static void
show_row(const void *json, size_t len, void *arg)
{
	static const struct {
		const char *label, *member;
		enum column_kind kind;
	} lines[] = {{"Name", "name", COLUMN_PLAIN}, {"Service", "service", COLUMN_PLAIN},
	    {"Secret at", "secret_ref", COLUMN_PLAIN},
	    {"Domains", "domains", COLUMN_PLAIN},
	    {"Auth type", "auth_type", COLUMN_PLAIN},
	    {"Header", "header_name", COLUMN_PLAIN},
	    {"Parameter", "query_param", COLUMN_PLAIN},
	    {"Scopes", "scopes", COLUMN_PLAIN},
	    {"Rate limit", "rate_limit", COLUMN_PLAIN},
	    {"Inspection", "body_inspection", COLUMN_PLAIN},
	    {"Upstream", "upstream", COLUMN_PLAIN},
	    {"Private", "allow_private", COLUMN_PLAIN},
	    {"Status", "status", COLUMN_PLAIN}, {"Expires", "expires_at", COLUMN_TIME},
	    {"Created", "created_at", COLUMN_TIME},
	    {"Updated", "updated_at", COLUMN_TIME},
	    {"Rotated", "rotated_at", COLUMN_TIME},
	    {"Old secret", "grace_until", COLUMN_TIME}};
	struct wanted *w = arg;
	struct json_doc d;
	struct buf text;
	char name[129];
	size_t i;

	json_init(&d);
	if (json_parse(&d, json, len, NULL) != JSON_OK ||
	    json_str_copy(&d, json_get(&d, 0, "name"), name, sizeof(name), NULL) != 0 ||
	    strcmp(name, w->name) != 0)
		goto out;
	w->found = true;
	if (w->json) {
		printf("%.*s\n", (int)len, (const char *)json);
		goto out;
	}
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (json_get(&d, 0, lines[i].member) == JSON_NONE)
			continue;
		buf_init(&text);
		out_member(&d, 0, lines[i].member, lines[i].kind, &text);
		printf("%-12s %.*s\n", lines[i].label, (int)text.len, (char *)text.p);
		buf_free(&text);
	}
out:
	json_free(&d);
}

int
cmd_vault_show(struct cli *cli)
{
	struct wanted w = {.name = cli_text(cli, "name"), .json = cli->json};
	struct admin_answer a = {0};
	MSG_INIT(credential_list, m);
	int r = admin_open(cli, ADMIN_NEED_DATA);

	if (r != 0)
		return r;
	if (admin_ask(MSG_credential_list, &m, show_row, &w, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (!w.found) {
		cli_error("aegis vault list shows them.", "there is no credential \"%s\"",
		    w.name);
		r = ADMIN_REFUSED;
	}
	admin_answer_free(&a);
	admin_close();
	return r;
}

int
cmd_vault_leases(struct cli *cli)
{
	static const struct column columns[] = {{"STATE", "state", COLUMN_PLAIN},
	    {"SERVER", "server", COLUMN_PLAIN}, {"EXECUTION", "execution", COLUMN_PLAIN},
	    {"REFERENCE", "reference", COLUMN_PLAIN},
	    {"OBTAINED", "obtained_at", COLUMN_PLAIN}, {"ENDS", "ends_at", COLUMN_PLAIN},
	    {"RENEWALS", "renewals", COLUMN_PLAIN}, {"LEASE", "lease", COLUMN_PLAIN},
	    {"TROUBLE", "trouble", COLUMN_PLAIN}, {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(lease_list, m);

	return admin_list(cli, MSG_lease_list, &m, columns, "No leases.");
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

	m.name = span_str(cli_text(cli, "name"));
	return admin_command(cli, MSG_vault_refresh, &m,
	    m.name.len > 0
		? "The secret of %s was read again; who has another one gets it now."
		: "Secrets in OpenBao are read again when they are next needed.",
	    cli_text(cli, "name"));
}

/* Hours, with a fraction perhaps, as seconds, rounded up. 0, or -1 after saying why. */
static int
read_grace(const struct cli *cli, uint32_t *seconds)
{
	const char *text = cli_text(cli, "grace-period");
	double hours;
	char *end;

	*seconds = 0;
	if (text == NULL)
		return 0;
	hours = strtod(text, &end);
	if (text[0] == '\0' || strspn(text, "0123456789.") != strlen(text) ||
	    *end != '\0' || hours > GRACE_HOURS_MAX) {
		cli_error(NULL, "--grace-period: found %s, expected hours, 0 to %d", text,
		    GRACE_HOURS_MAX);
		return -1;
	}
	*seconds = (uint32_t)(hours * 3600 + 0.999);
	return 0;
}

int
cmd_vault_rotate(struct cli *cli)
{
	MSG_INIT(credential_rotate, m);
	MSG_INIT(secret_offer, o);

	if (read_grace(cli, &m.grace_s) == -1)
		return ADMIN_USAGE;
	o.grace_s = m.grace_s;
	o.name = m.name = span_str(cli_text(cli, "name"));
	m.ttl_days = cli_number(cli, "ttl", TTL_KEEP);
	o.secret = cli_secret_fd(cli);
	if (o.secret == -1)
		return ADMIN_USAGE;
	return run(cli, &o, MSG_credential_rotate, &m, m.offer,
	    m.grace_s > 0 ? "Credential %s has its new secret; the one before serves for "
			    "%s hours where the new one is refused."
			  : "Credential %s has its new secret.",
	    cli_text(cli, "name"), cli_text(cli, "grace-period"));
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
	struct sealed texts;
	MSG_INIT(credential_update, m);
	MSG_INIT(secret_offer, o);
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
	m.methods = field(cli, "allow-methods", CREDENTIAL_METHODS, &set);
	m.allow_paths = field(cli, "allow-paths", CREDENTIAL_ALLOW_PATHS, &set);
	m.deny_paths = field(cli, "deny-paths", CREDENTIAL_DENY_PATHS, &set);
	(void)field(cli, "ttl", CREDENTIAL_TTL, &set);
	m.ttl_days = cli_number(cli, "ttl", 0);
	(void)field(cli, "allow-private", CREDENTIAL_PRIVATE, &set);
	(void)field(cli, "no-allow-private", CREDENTIAL_PRIVATE, &set);
	if (read_reference(cli, &m.secret_ref) == -1)
		return ADMIN_USAGE;
	if (m.secret_ref.len > 0)
		set |= CREDENTIAL_REFERENCE;
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
	if ((set & CREDENTIAL_SEALED) == 0)
		return admin_command(cli, MSG_credential_update, &m,
		    "Credential %s is changed.", cli_text(cli, "name"));
	o.name = m.name;
	o.set = set & CREDENTIAL_SEALED;
	o.allow_private = m.allow_private;
	o.secret_ref = m.secret_ref;
	o.header_name = m.header_name;
	o.query_param = m.query_param;
	read_texts(&o, &texts, cli_text(cli, "domains"), cli_text(cli, "upstream"));
	read_limits(cli, &o, &texts);
	if (set & CREDENTIAL_AUTH_TYPE) {
		/* names of the type before go with it */
		read_auth(&o, m.auth_type, m.header_name, m.query_param);
		o.set |= CREDENTIAL_HEADER_NAME | CREDENTIAL_QUERY_PARAM;
	}
	return run(cli, &o, MSG_credential_update, &m, m.offer,
	    "Credential %s is changed.", cli_text(cli, "name"));
}
