/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis ledger receipt: the proof that the ledger holds a row, as a file that anybody can
 * verify who has the public key.
 */
#include <stdio.h>
#include <string.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/out_file.h"
#include "common/buf.h"
#include "common/proto.h"

#define ID_MAX 40

static void
on_piece(const void *json, size_t len, void *arg)
{
	(void)buf_put(arg, json, len);
}

static int
ask(const char *id, struct buf *receipt)
{
	MSG_INIT(ledger_receipt, m);

	m.id = span_str(id);
	return admin_ask_ok(MSG_ledger_receipt, &m, on_piece, receipt);
}

int
cmd_ledger_receipt(struct cli *cli)
{
	struct out_file out;
	struct buf receipt;
	int r;

	if (cli->nrest != 1 || strlen(cli->rest[0]) > ID_MAX) {
		cli_error(
		    "\"aegis ledger show\" lists rows; --json shows their request ids.",
		    "expected a request's id (X-Aegis-Request-Id) or a row's number");
		return ADMIN_USAGE;
	}
	r = admin_open(cli, ADMIN_NEED_DATA);
	if (r != 0)
		return r;
	buf_init(&receipt);
	r = ask(cli->rest[0], &receipt);
	admin_close();
	if (r == ADMIN_OK && out_file_open(&out, cli_text(cli, "out")) == -1) {
		r = ADMIN_FAILED;
	} else if (r == ADMIN_OK) {
		(void)fwrite(receipt.p, 1, receipt.len, out.f);
		(void)fputc('\n', out.f);
		r = out_file_close(&out, true) == 0 ? ADMIN_OK : ADMIN_FAILED;
	}
	buf_free(&receipt);
	return r;
}
