/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis webhook: who is told of what. The signing secret goes to vault by vault's own
 * socket, as a credential's does; the judge never sees it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/offer.h"
#include "aegis/out.h"
#include "common/hex.h"
#include "common/hook_url.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/secret.h"

#define SECRET_RAW 32

struct made {
	char id[HOOK_ID_LEN + 1], name[sizeof(HOOK_NAME) + HOOK_ID_LEN];
	char secret[2 * SECRET_RAW + 1]; /* "" when the caller brought one */
};

/* An id, and a secret unless one was given. 0 or -1. */
static int
make(struct cli *cli, struct made *m)
{
	uint8_t raw[HOOK_ID_LEN / 2], key[SECRET_RAW];
	bool given = cli->secret != NULL || cli->secret_stdin ||
	    cli_given(cli, "secret-stdin") || cli_given(cli, "secret-file");

	memset(m, 0, sizeof(*m));
	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw) ||
	    getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -1;
	(void)hex_encode(raw, sizeof(raw), m->id, sizeof(m->id));
	snprintf(m->name, sizeof(m->name), HOOK_NAME "%s", m->id);
	if (given)
		return 0;
	(void)hex_encode(key, sizeof(key), m->secret, sizeof(m->secret));
	explicit_bzero(key, sizeof(key));
	(void)secret_init(2u * 1024 * 1024);
	cli->secret = secret_new(m->secret, strlen(m->secret));
	return cli->secret != NULL ? 0 : -1;
}

static void
show(struct cli *cli, const struct made *made)
{
	struct jsonw w;
	struct buf json;

	if (!cli->json) {
		cli_ok("Webhook %s is added.", made->id);
		if (made->secret[0] != '\0')
			printf("  Its signing secret, shown once: %s\n", made->secret);
		printf("  Try it: aegis webhook test --id %s\n", made->id);
		return;
	}
	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "id", made->id);
	if (made->secret[0] != '\0')
		jsonw_key_str(&w, "secret", made->secret);
	jsonw_obj_close(&w);
	printf("%.*s\n", (int)json.len, (const char *)json.p);
	buf_wipe_free(&json);
}

int
cmd_webhook_add(struct cli *cli)
{
	struct admin_answer a = {0};
	struct hook_url url;
	struct made made;
	const char *why;
	int r;
	MSG_INIT(webhook_add, m);
	MSG_INIT(secret_offer, o);

	m.url = span_str(cli_text(cli, "url"));
	m.events = span_str(cli_text(cli, "events"));
	m.label = span_str(cli_text(cli, "label"));
	m.allow_private = cli_given(cli, "allow-private");
	if ((why = hook_url_parse(m.url, &url)) != NULL) {
		cli_error("Write it as https://host/path.", "--url: %s", why);
		return ADMIN_USAGE;
	}
	if (make(cli, &made) == -1) {
		cli_error(NULL, "no random numbers, or no memory");
		return ADMIN_FAILED;
	}
	m.id = span_str(made.id);
	o.add = 1;
	o.name = o.service = span_str(made.name);
	o.domains = span_str(url.host);
	o.auth_type = span_str("webhook");
	o.scheme = span_str(url.scheme);
	o.port = url.port;
	o.allow_private = m.allow_private;
	o.secret = cli_secret_fd(cli);
	if (o.secret == -1)
		return ADMIN_USAGE;
	r = admin_open(cli, ADMIN_NEED_DATA);
	if (r != 0) {
		msg_release(msg_desc_get(MSG_secret_offer), &o);
		return r;
	}
	r = offer_bring(cli, &o, m.offer);
	if (r == 0 && admin_ask(MSG_webhook_add, &m, NULL, NULL, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (r == 0 && a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (r == 0)
		show(cli, &made);
	admin_answer_free(&a);
	admin_close();
	offer_close();
	explicit_bzero(&made, sizeof(made));
	return r;
}

int
cmd_webhook_list(struct cli *cli)
{
	static const struct column columns[] = {{"ID", "id", COLUMN_PLAIN},
	    {"URL", "url", COLUMN_PLAIN}, {"EVENTS", "events", COLUMN_PLAIN},
	    {"LABEL", "label", COLUMN_PLAIN}, {"WAITING", "pending", COLUMN_PLAIN},
	    {"DEAD", "dead", COLUMN_PLAIN}, {NULL, NULL, COLUMN_PLAIN}};
	static const struct column dead[] = {{"DELIVERY", "id", COLUMN_PLAIN},
	    {"WEBHOOK", "webhook", COLUMN_PLAIN}, {"EVENT", "event", COLUMN_PLAIN},
	    {"CREATED", "created_at", COLUMN_PLAIN},
	    {"ATTEMPTS", "attempts", COLUMN_PLAIN}, {"LAST", "last", COLUMN_PLAIN},
	    {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(webhook_list, m);

	m.dead = cli_given(cli, "dead");
	return admin_list(cli, MSG_webhook_list, &m, m.dead ? dead : columns,
	    m.dead ? "No delivery was given up."
		   : "No webhooks. Add one: aegis webhook add --url URL --events LIST");
}

int
cmd_webhook_remove(struct cli *cli)
{
	MSG_INIT(webhook_remove, m);

	m.id = span_str(cli_text(cli, "id"));
	return admin_command(cli, MSG_webhook_remove, &m,
	    "Webhook %s is gone, and what waited for it.", cli_text(cli, "id"));
}

static bool
is_true(const struct admin_answer *a, const char *member)
{
	struct json_doc doc;
	bool yes = false;

	json_init(&doc);
	if (json_parse(&doc, a->json.p, a->json.len, NULL) != JSON_OK ||
	    json_bool(&doc, json_get(&doc, json_root(&doc), member), &yes) != 0)
		yes = false;
	json_free(&doc);
	return yes;
}

int
cmd_webhook_test(struct cli *cli)
{
	struct admin_answer a = {0};
	char detail[512] = "";
	bool delivered;
	int r = admin_open(cli, ADMIN_NEED_GATE);
	MSG_INIT(webhook_test, m);

	if (r != 0)
		return r;
	m.id = span_str(cli_text(cli, "id"));
	if (admin_ask(MSG_webhook_test, &m, NULL, NULL, &a) == -1) {
		r = ADMIN_UNREACHABLE;
	} else if (a.code != ADMIN_OK) {
		r = admin_refused(&a);
	} else {
		delivered = is_true(&a, "delivered");
		(void)admin_answer_text(&a, "detail", detail, sizeof(detail));
		if (cli->json)
			admin_print_json(&a);
		else if (delivered)
			printf("Delivered: %s\n", detail);
		else
			cli_error("See where it leads with: aegis webhook list",
			    "not delivered: %s", detail);
		r = delivered ? 0 : ADMIN_FAILED;
	}
	admin_answer_free(&a);
	admin_close();
	return r;
}

int
cmd_webhook_check_expiry(struct cli *cli)
{
	static const struct column columns[] = {
	    {"CREDENTIAL", "credential", COLUMN_PLAIN},
	    {"SERVICE", "service", COLUMN_PLAIN}, {"STATUS", "status", COLUMN_PLAIN},
	    {"DAYS", "daysRemaining", COLUMN_PLAIN},
	    {"EXPIRES", "expiresAt", COLUMN_PLAIN},
	    {"EXPIRED", "expiredAt", COLUMN_PLAIN}, {NULL, NULL, COLUMN_PLAIN}};
	MSG_INIT(webhook_check, m);

	m.days = cli_number(cli, "threshold", 7);
	return admin_list(cli, MSG_webhook_check, &m, columns,
	    "No credential expires within the threshold (--threshold DAYS).");
}
