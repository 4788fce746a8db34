/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEAL calls: the envelope goes to the judge as it is. gated; nothing of it is read here.
 */
#include "gated/ask.h"
#include "gated/answer.h"
#include "gated/body.h"
#include "gated/conf.h"
#include "gated/conn.h"
#include "gated/media.h"
#include "gated/refuse.h"
#include "gated/req.h"

#define TARGET_MAX 1024

void
seal_begin(struct req *r, const struct http1_head *h)
{
	r->seal = true;
	if (r->target.len > TARGET_MAX) {
		refuse(r, REFUSAL_TARGET_TOO_LONG, 414, "request target too long");
		return;
	}
	if (!media_is_json(h)) {
		refuse(r, REFUSAL_UNSUPPORTED_MEDIA, 415,
		    "Content-Type must be application/json");
		return;
	}
	if (r->body_len != BODY_LEN_UNKNOWN && r->body_len > gate_conf.max_body) {
		refuse(r, REFUSAL_BODY_TOO_LARGE, 413, "envelope too large");
		return;
	}
	r->state = REQ_COLLECT;
	if (r->body.done)
		seal_collected(r);
	else
		(void)answer_continue(r);
}

void
seal_collected(struct req *r)
{
	judge_ask_seal(r);
}
