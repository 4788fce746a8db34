/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the judge answers itself: attestation, sessions, keys, MCP. gated; the body goes
 * unread.
 */
#include "gated/answer.h"
#include "gated/ask.h"
#include "gated/conn.h"
#include "gated/fields.h"
#include "gated/media.h"
#include "gated/refuse.h"
#include "gated/req.h"

#define API_TARGET_MAX 2048
#define API_BODY_MAX 32768

/* Why it is refused, or NULL. */
const char *
api_keep_fields(struct req *r, const struct http1_head *h)
{
	const struct field fields[] = {
	    {"content-type", 128, &r->content_type},
	    {"authorization", 8192, &r->authorization},
	    {"x-aegis-agent", 160, &r->token},
	    {"host", 300, &r->host},
	    {"origin", 300, &r->origin},
	    {"x-zaru-security-context", 128, &r->context},
	};

	return fields_keep(r, h, fields, sizeof(fields) / sizeof(fields[0]),
	    "malformed Content-Type, Authorization, X-Aegis-Agent, Host, Origin or "
	    "X-Zaru-Security-Context");
}

void
api_begin(struct req *r, const struct http1_head *h)
{
	const char *why;

	if (r->target.len > API_TARGET_MAX) {
		refuse(r, REFUSAL_TARGET_TOO_LONG, 414, "request target too long");
		return;
	}
	if (span_eq(h->method, "POST") && !media_is_json(h)) {
		refuse(r, REFUSAL_UNSUPPORTED_MEDIA, 415,
		    "Content-Type must be application/json");
		return;
	}
	r->body.limit = API_BODY_MAX;
	if (r->body_len != BODY_LEN_UNKNOWN && r->body_len > API_BODY_MAX) {
		refuse(r, REFUSAL_BODY_TOO_LARGE, 413, "body too large");
		return;
	}
	why = api_keep_fields(r, h);
	if (why != NULL) {
		refuse(r, REFUSAL_BAD_REQUEST, 400, why);
		return;
	}
	r->state = REQ_COLLECT;
	if (r->body.done)
		api_collected(r);
	else
		(void)answer_continue(r);
}

void
api_collected(struct req *r)
{
	judge_ask_api(r);
}
