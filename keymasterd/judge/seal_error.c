/* SPDX-License-Identifier: Apache-2.0 */
/* The error bodies of SEAL (sections 5, 6.4 and 9 of the protocol notes). Judge only. */
#include "keymasterd/judge/seal_error.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/decide.h"

static struct buf body;

uint32_t
seal_status(unsigned code)
{
	if (code < 1000)
		return code;
	if (code == SEAL_RATE)
		return 429;
	return code >= 2000 && code < 3000 ? 403 : 401;
}

int
seal_error_body(struct buf *out, const struct seal_refusal *r,
    const uint8_t request_id[16], uint64_t unix_us)
{
	char now[RFC3339_SIZE], id[33];
	struct jsonw w;

	(void)hex_encode(request_id, 16, id, sizeof id);
	(void)rfc3339_format((int64_t)(unix_us / 1000000),
	    (uint32_t)(unix_us % 1000000) * 1000, 3, now, sizeof now);
	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "protocol", "seal/v1");
	jsonw_key_str(&w, "status", "error");
	if (r->flat) {
		jsonw_key_int(&w, "error_code", r->code);
		jsonw_key_str(&w, "message", r->message);
	}
	jsonw_key(&w, "error");
	jsonw_obj_open(&w);
	jsonw_key_int(&w, "code", r->code);
	jsonw_key_str(&w, "message", r->message);
	jsonw_key_str(&w, "timestamp", now);
	jsonw_key(&w, "request_id");
	if (r->request.p != NULL)
		jsonw_raw(&w, r->request.p, r->request.len);
	else
		jsonw_str(&w, id);
	if (r->reason != NULL || r->retry_after != 0 || r->limit != 0) {
		jsonw_key(&w, "details");
		jsonw_obj_open(&w);
		if (r->reason != NULL)
			jsonw_key_str(&w, "reason", r->reason);
		if (r->retry_after != 0)
			jsonw_key_int(&w, "retry_after", r->retry_after);
		if (r->limit != 0)
			jsonw_key_int(&w, "limit", (int64_t)r->limit);
		jsonw_obj_close(&w);
	}
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
	return jsonw_done(&w);
}

void
seal_refuse(struct decide *d, const struct seal_refusal *r)
{
	char code[16], headers[128];
	uint32_t status = r->status != 0 ? r->status : seal_status(r->code);

	snprintf(code, sizeof code, "%u", r->code);
	d->row.decision = LEDGER_BLOCKED;
	d->row.code = span_str(code);
	d->row.status = status;
	d->row.reason = span_str(r->message);
	if (d->row.detail.p == NULL && r->reason != NULL)
		d->row.detail = span_str(r->reason);
	if (r->retry_after != 0) {
		snprintf(headers, sizeof headers, "%sRetry-After: %u\r\n",
		    d->headers == NULL ? "" : d->headers, r->retry_after);
		d->headers = headers;
	}
	buf_reset(&body);
	if (seal_error_body(&body, r, d->request_id, loop_unix_us()) != 0) {
		buf_reset(&body);
		(void)buf_puts(&body,
		    "{\"protocol\":\"seal/v1\",\"status\":\"error\","
		    "\"error\":{\"code\":503,\"message\":\"out of memory\"}}");
	}
	decide_answer(d, status, body.p, body.len);
	d->headers = NULL;
	d->row.code = (struct span){NULL, 0};
}
