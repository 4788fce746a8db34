/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis ledger: show, stats, key. Exporting is in cmd_export.c, verifying in
 * cmd_verify.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/ledger_read.h"
#include "aegis/out.h"
#include "common/b64.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/proto.h"

/* -- show -- */

struct showing {
	bool json;
	unsigned rows;
};

static bool
has(const struct json_doc *d, const char *member)
{
	return json_get(d, 0, member) != JSON_NONE;
}

static void
put_if(const struct json_doc *d, const char *before, const char *member,
    const char *after, struct buf *out)
{
	if (!has(d, member))
		return;
	(void)buf_puts(out, before);
	out_member(d, 0, member, COLUMN_PLAIN, out);
	(void)buf_puts(out, after);
}

/* ✓ 2031-05-06T07:08:09.123456Z GET slack/api/x → api.slack.com [200] [bot] (reason) */
static void
show_row(const struct json_doc *d)
{
	bool blocked = json_str_eq(d, json_get(d, 0, "decision"), "blocked");
	bool allowed = json_str_eq(d, json_get(d, 0, "decision"), "allowed");
	struct buf line;

	buf_init(&line);
	(void)buf_printf(&line, "%s%s%s ",
	    out_colour(stdout,
		blocked       ? OUT_RED
		    : allowed ? OUT_GREEN
			      : OUT_DIM),
	    blocked       ? "✗"
		: allowed ? "✓"
			  : "●",
	    out_colour(stdout, OUT_PLAIN));
	put_if(d, "", "time", "", &line);
	put_if(d, " ", "event", "", &line);
	put_if(d, " ", "method", "", &line);
	put_if(d, " ", "service", "", &line);
	put_if(d, has(d, "service") ? "" : " ", "path", "", &line);
	put_if(d, " tool ", "tool", "", &line);
	put_if(d, " credential ", "credential", "", &line);
	put_if(d, " → ", "domain", "", &line);
	put_if(d, " → ", "server", "", &line);
	put_if(d, " [", "status", "]", &line);
	put_if(d, " [", "agent", "]", &line);
	put_if(d, " (", "reason", ")", &line);
	put_if(d, " ", "detail", "", &line);
	if (json_str_eq(d, json_get(d, 0, "kind"), "completion"))
		(void)buf_puts(&line, " done");
	printf("%.*s\n", (int)line.len, (char *)line.p);
	buf_free(&line);
}

static int
on_show(const char *text, size_t len, void *arg)
{
	struct showing *s = arg;
	struct json_doc d;

	if (s->json) {
		printf("%s\n  %.*s", s->rows > 0 ? "," : "", (int)len, text);
	} else {
		json_init(&d);
		if (json_parse(&d, text, len, NULL) == JSON_OK)
			show_row(&d);
		json_free(&d);
	}
	s->rows++;
	return 0;
}

int
cmd_ledger_show(struct cli *cli)
{
	struct showing s = {.json = cli->json};
	const struct ledger_query q = {.since = cli_text(cli, "since"),
	    .service = cli_text(cli, "service"),
	    .agent = cli_text(cli, "agent"),
	    .request = cli_text(cli, "request"),
	    .kind = cli_given(cli, "blocked") ? "blocked"
		: cli_given(cli, "system")    ? "system"
		: cli_given(cli, "admin")     ? "admin"
					      : NULL,
	    .newest_first = true,
	    .limit = cli_number(cli, "limit", 20)};
	int r;

	if (cli_given(cli, "blocked") + cli_given(cli, "system") +
		cli_given(cli, "admin") >
	    1) {
		cli_error(NULL, "--blocked, --system and --admin exclude each other");
		return ADMIN_USAGE;
	}
	if (q.limit == 0) {
		cli_error(NULL, "--limit: found 0, expected 1 or more");
		return ADMIN_USAGE;
	}
	r = admin_open(cli, ADMIN_NEED_DATA);
	if (r != 0)
		return r;
	if (cli->json)
		printf("[");
	r = ledger_read_rows(&q, on_show, &s);
	if (cli->json)
		printf("%s]\n", s.rows > 0 ? "\n" : "");
	else if (r == 0 && s.rows == 0)
		printf("No rows.\n");
	admin_close();
	return r;
}

/* -- stats -- */

static void
show_counts(const struct json_doc *d, uint32_t object, const char *indent)
{
	struct json_iter it;
	struct buf name;
	const uint8_t *raw;
	size_t len;

	json_iter_init(&it, d, object);
	while (json_iter_next(&it, d)) {
		buf_init(&name);
		if (json_str_put(d, it.name, &name) == 0 &&
		    json_raw(d, it.value, &raw, &len) == 0) {
			struct buf clean;

			buf_init(&clean);
			out_clean(&clean, name.p, name.len);
			if (json_type(d, it.value) == JT_NUMBER)
				printf("%s%-28.*s %.*s\n", indent, (int)clean.len,
				    clean.p != NULL ? (char *)clean.p : "", (int)len,
				    (const char *)raw);
			else if (json_count(d, it.value) > 0)
				printf("%s%.*s\n", indent, (int)clean.len,
				    clean.p != NULL ? (char *)clean.p : "");
			buf_free(&clean);
		}
		buf_free(&name);
		if (json_type(d, it.value) == JT_OBJECT)
			show_counts(d, it.value, "  ");
	}
}

static int
show_stats(struct cli *cli, const struct admin_answer *a, const void *arg)
{
	struct json_doc d;

	(void)cli;
	(void)arg;
	json_init(&d);
	if (json_parse(&d, a->json.p, a->json.len, NULL) == JSON_OK)
		show_counts(&d, 0, "");
	json_free(&d);
	return ADMIN_OK;
}

int
cmd_ledger_stats(struct cli *cli)
{
	MSG_INIT(ledger_stats, m);

	m.since = span_str(cli_text(cli, "since"));
	m.agent = span_str(cli_text(cli, "agent"));
	return admin_show(cli, ADMIN_NEED_DATA, MSG_ledger_stats, &m, show_stats, NULL);
}

/* -- key -- */

int
cmd_ledger_key(struct cli *cli)
{
	char kid[65], hex[65], b64[64];
	uint8_t key[32];
	int r = admin_open(cli, ADMIN_NEED_DATA);

	if (r != 0)
		return r;
	r = ledger_read_key(key, kid, sizeof(kid));
	admin_close();
	if (r != ADMIN_OK)
		return r;
	(void)hex_encode(key, 32, hex, sizeof(hex));
	(void)b64_encode(B64_STD, key, 32, b64, sizeof(b64));
	if (cli->json)
		printf(
		    "{\"kid\":\"%s\",\"hex\":\"%s\",\"base64\":\"%s\"}\n", kid, hex, b64);
	else
		printf("%s\n", b64);
	return ADMIN_OK;
}
