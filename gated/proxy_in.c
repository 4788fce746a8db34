/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a service. gated; decides nothing: keeps what the judge needs, leaves out
 * what no upstream may see. A body that fits a message is awaited first, so that the
 * grant does not age while an agent dawdles; for a larger one the judge is asked at once.
 */
#include <string.h>

#include "common/utf8.h"
#include "gated/ask.h"
#include "gated/conf.h"
#include "gated/conn.h"
#include "gated/headers.h"
#include "gated/refuse.h"
#include "gated/req.h"
#include "gated/wsock.h"

#define TOKEN_MAX 160
#define TARGET_HOST_MAX 300
#define HEADERS_MAX 16384

/* At most one of that name; -1 when there are more. */
static int
single(const struct http1_head *h, const char *name, struct span *value)
{
	const struct http1_header *found = NULL;
	size_t i;

	for (i = 0; i < h->nheaders; i++) {
		if (!span_ieq(h->headers[i].name, name))
			continue;
		if (found != NULL)
			return -1;
		found = &h->headers[i];
	}
	*value = found == NULL ? (struct span){NULL, 0} : found->value;
	return 0;
}

/* Why it is refused, or NULL. */
static const char *
keep_fields(struct req *r, const struct http1_head *h, bool *ws)
{
	struct span v;

	if (single(h, "x-aegis-agent", &v) == -1)
		return "more than one X-Aegis-Agent";
	if (v.len > TOKEN_MAX || !utf8_valid((const uint8_t *)v.p, v.len))
		v = span_str("?"); /* no token can look like this; the judge says so */
	if (req_keep(r, &r->token, v) != 0)
		return "no memory";
	if (single(h, "x-target-host", &v) == -1)
		return "more than one X-Target-Host";
	r->has_target_host = v.p != NULL;
	if (v.len > TARGET_HOST_MAX || !utf8_valid((const uint8_t *)v.p, v.len))
		return "malformed X-Target-Host";
	if (req_keep(r, &r->target_host, v) != 0)
		return "no memory";
	r->headers.off = (uint32_t)r->text.len;
	if (headers_forward(h, &r->text, ws) != 0)
		return "no memory";
	r->headers.len = (uint32_t)(r->text.len - r->headers.off);
	return NULL;
}

void
proxy_begin(struct req *r, const struct http1_head *h)
{
	bool ws = false;
	const char *why = keep_fields(r, h, &ws);

	if (why != NULL) {
		refuse(r, REFUSAL_BAD_REQUEST, 400, why);
		return;
	}
	if (r->headers.len > HEADERS_MAX) {
		refuse(r, REFUSAL_HEADERS_TOO_LARGE, 431, "fields too large");
		return;
	}
	if (ws && wsock_begin(r, h) == -1)
		return;
	if (r->body.done || r->wants_continue || r->body_len > INLINE_BODY_MAX) {
		judge_ask_proxy(r);
		return;
	}
	r->state = REQ_COLLECT;
}

void
proxy_collected(struct req *r)
{
	judge_ask_proxy(r);
}
