/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis daemon: what is said to a gate that runs. It reads its configuration itself; what
 * is read here is where its admin socket is.
 */
#include <stdio.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "common/json.h"
#include "common/proto.h"

static unsigned
print_list(
    const struct json_doc *doc, const char *name, const char *before, const char *behind)
{
	struct json_iter it;
	unsigned n = 0;
	char text[1100];
	size_t len;

	json_iter_init(&it, doc, json_get(doc, json_root(doc), name));
	while (json_iter_next(&it, doc)) {
		if (json_str_copy(doc, it.value, text, sizeof(text), &len) == -1)
			continue;
		fprintf(stderr, "%s%s%s\n", before, text, behind);
		n++;
	}
	return n;
}

static void
print_result(const struct admin_answer *a)
{
	struct json_doc doc;

	json_init(&doc);
	if (json_parse(&doc, a->json.p, a->json.len, NULL) == JSON_OK) {
		if (a->code == ADMIN_OK) {
			cli_ok("The configuration was read again.");
			fflush(stdout);
			if (print_list(&doc, "changed", "  ", ": in force") == 0)
				fprintf(
				    stderr, "  nothing that can be applied changed\n");
			(void)print_list(
			    &doc, "restart", "  ", " changed: restart needed");
		} else {
			(void)print_list(&doc, "errors", "", "");
		}
	}
	json_free(&doc);
}

int
cmd_daemon_reload(struct cli *cli)
{
	struct admin_answer a = {0};
	int r = admin_open(cli, ADMIN_NEED_GATE);
	MSG_INIT(daemon_reload, m);

	if (r != 0)
		return r;
	if (admin_ask(MSG_daemon_reload, &m, NULL, NULL, &a) == -1) {
		r = ADMIN_UNREACHABLE;
	} else {
		if (cli->json)
			admin_print_json(&a);
		else
			print_result(&a);
		r = a.code == ADMIN_OK ? ADMIN_OK : admin_refused(&a);
	}
	admin_answer_free(&a);
	admin_close();
	return r;
}
