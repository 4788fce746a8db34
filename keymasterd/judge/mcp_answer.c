/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to MCP clients: JSON-RPC 2.0 section 5. Judge only. */
#include <stdio.h>

#include "common/hex.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "keymasterd/judge/mcp.h"

static struct buf body, modern;

static void
open_reply(struct mcp *c, struct jsonw *w)
{
	buf_reset(&body);
	jsonw_init(w, &body);
	jsonw_obj_open(w);
	jsonw_key_str(w, "jsonrpc", "2.0");
	jsonw_key(w, "id");
	if (c->in.id.len > 0)
		jsonw_raw(w, c->in.id.p, c->in.id.len);
	else
		jsonw_null(w);
}

/* The members that 2026-07-28 wants in results of ours, which are objects and lists. */
static void
put_modern(struct jsonw *w, const void *json, size_t len)
{
	static const char more[] = "{\"resultType\":\"complete\",\"ttlMs\":0,"
				   "\"cacheScope\":\"private\"";
	const char *p = json;

	buf_reset(&modern);
	(void)buf_put(&modern, more, sizeof(more) - 1);
	if (len > 2)
		(void)buf_putc(&modern, ',');
	(void)buf_put(&modern, p + 1, len - 1);
	jsonw_raw(w, modern.p, modern.len);
}

void
mcp_result(struct mcp *c, const void *json, size_t len)
{
	struct jsonw w;

	open_reply(c, &w);
	jsonw_key(&w, "result");
	if (c->modern)
		put_modern(&w, json, len);
	else
		jsonw_raw(&w, json, len);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0) {
		mcp_error(c, 503, RPC_INTERNAL, "503", "The answer could not be written");
		return;
	}
	if (c->d.row.kind != 0)
		c->d.row.decision = LEDGER_ALLOWED;
	decide_answer(&c->d, 200, body.p, body.len);
}

void
mcp_error_data(struct mcp *c, uint32_t status, int rpc, const char *code,
    const char *message, struct span data)
{
	struct jsonw w;

	/* since 2026-07-28 some errors are HTTP's, too */
	if (c->modern && status == 200 && rpc == RPC_NO_METHOD)
		status = 404;
	else if (c->modern && status == 200 && rpc == RPC_BAD_PARAMS)
		status = 400;
	c->d.row.kind = LEDGER_DECISION;
	c->d.row.decision = LEDGER_BLOCKED;
	c->d.row.event = span_str(rpc >= 2000 ? "PolicyViolationBlocked" : NULL);
	c->d.row.code = span_str(code);
	c->d.row.reason = span_str(message);
	c->d.row.judged = NULL;
	open_reply(c, &w);
	jsonw_key(&w, "error");
	jsonw_obj_open(&w);
	jsonw_key_int(&w, "code", rpc);
	jsonw_key_str(&w, "message", message);
	if (data.len > 0) {
		jsonw_key(&w, "data");
		jsonw_raw(&w, data.p, data.len);
	}
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0)
		buf_reset(&body);
	decide_answer(&c->d, status, body.p, body.len);
}

void
mcp_error(struct mcp *c, uint32_t status, int rpc, const char *code, const char *message)
{
	mcp_error_data(c, status, rpc, code, message, (struct span){NULL, 0});
}

void
mcp_deny(struct mcp *c, unsigned code, const char *why, uint32_t retry_after)
{
	char id[2 * REQUEST_ID_LEN + 1], data[96];
	int n;

	(void)hex_encode(c->d.request_id, REQUEST_ID_LEN, id, sizeof(id));
	n = snprintf(data, sizeof(data), "{\"request_id\":\"%s\"", id);
	if (retry_after != 0)
		n += snprintf(data + n, sizeof(data) - (size_t)n, ",\"retry_after\":%u",
		    retry_after);
	data[n++] = '}';
	snprintf(c->code, sizeof(c->code), "%u", code);
	mcp_error_data(c, 200, (int)code, c->code, why, span_mem(data, (size_t)n));
}

void
mcp_accepted(struct mcp *c)
{
	c->d.row.kind = 0;
	decide_answer(&c->d, 202, NULL, 0);
}
