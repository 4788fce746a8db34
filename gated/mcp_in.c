/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to /mcp: the fields that the judge wants to see, and the body, unread. gated;
 * it decides nothing but what no message could carry.
 */
#include "gated/answer.h"
#include "gated/ask.h"
#include "gated/conf.h"
#include "gated/fields.h"
#include "gated/refuse.h"
#include "gated/req.h"

#define TARGET_MAX 2048

static const char *
keep_fields(struct req *r, const struct http1_head *h)
{
	const struct field fields[] = {
	    {"content-type", 128, &r->content_type},
	    {"accept", 512, &r->accept},
	    {"authorization", 512, &r->authorization},
	    {"x-aegis-agent", 160, &r->token},
	    {"host", 300, &r->host},
	    {"origin", 300, &r->origin},
	    {"mcp-session-id", 128, &r->session},
	    {"mcp-protocol-version", 64, &r->version},
	    {"x-aegis-context", 128, &r->context},
	    {"mcp-method", 128, &r->rpc_method},
	    {"mcp-name", 3072, &r->rpc_name},
	};

	return fields_keep(r, h, fields, sizeof(fields) / sizeof(fields[0]),
	    "a header field is too long or malformed");
}

void
mcp_begin(struct req *r, const struct http1_head *h)
{
	const char *why;

	if (r->target.len > TARGET_MAX) {
		refuse(r, REFUSAL_TARGET_TOO_LONG, 414, "request target too long");
		return;
	}
	if (r->body_len != BODY_LEN_UNKNOWN && r->body_len > gate_conf.max_body) {
		refuse(r, REFUSAL_BODY_TOO_LARGE, 413, "message too large");
		return;
	}
	why = keep_fields(r, h);
	if (why != NULL) {
		refuse(r, REFUSAL_BAD_REQUEST, 400, why);
		return;
	}
	r->state = REQ_COLLECT;
	if (r->body.done)
		judge_ask_mcp(r);
	else
		(void)answer_continue(r);
}
