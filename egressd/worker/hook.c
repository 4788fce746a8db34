/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks; see hook.h. The judge's word is taken for what to say, not for where. */
#include "egressd/worker/hook.h"

#include <stdio.h>
#include <string.h>

#include "common/chan.h"
#include "common/loop.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/exchange.h"
#include "egressd/worker/respond.h"
#include "egressd/worker/worker.h"

#define TIMEOUT_MAX_MS 30000

/* Keeps target, header and body; the places are set once nothing more is added. */
static int
keep(struct exchange *ex, const struct msg_hook_send *m)
{
	struct buf *t = &ex->text;
	size_t head, target = m->target.len;

	if (buf_put(t, m->target.p, target) == -1 ||
	    buf_printf(t,
		"content-type: application/json\r\nuser-agent: Aegis-Webhook/%s\r\n"
		"x-aegis-event: %.*s\r\nx-aegis-delivery: %.*s\r\n",
		PACKAGE_VERSION, (int)m->event.len, m->event.p, (int)m->delivery.len,
		m->delivery.p) == -1)
		return -1;
	head = t->len - target;
	if (buf_put(t, m->body.p, m->body.len) == -1)
		return -1;
	ex->request.method = span_str("POST");
	ex->request.target = span_mem(t->p, target);
	ex->request.headers = span_mem(t->p + target, head);
	ex->request.body = span_mem(t->p + target + head, m->body.len);
	ex->request.body_len = m->body.len;
	ex->request.signed_s = loop_unix_ms() / 1000;
	ex->request.to = &ex->to;
	return inject_check(&ex->request);
}

int
hook_send(struct chan *judge, uint64_t reqid, void *msg)
{
	const struct msg_hook_send *m = msg;
	struct exchange *ex = exchange_new();

	if (ex == NULL)
		return chan_answer_error(judge, reqid, 0, "out of memory");
	ex->hook = true;
	ex->gate = judge;
	ex->reqid = reqid;
	ex->began_us = loop_unix_us();
	ex->timeout_ms = m->timeout_ms < TIMEOUT_MAX_MS ? m->timeout_ms : TIMEOUT_MAX_MS;
	exchange_touch(ex);
	if (worker_credential == NULL || worker_credential->kind != INJECT_WEBHOOK) {
		exchange_fail(ex, OUTCOME_GRANT_REFUSED, 403, "",
		    "this worker has no webhook's secret", NULL);
		return 0;
	}
	ex->credential = credential_ref(worker_credential);
	/* the host is the one that was sealed with the secret */
	if (worker_target(&ex->to, ex->credential, span_str(ex->credential->domains)) !=
		TARGET_GOOD ||
	    keep(ex, m) == -1) {
		exchange_fail(ex, OUTCOME_DOMAIN_REFUSED, 403, "",
		    "the request cannot be sent as it is", NULL);
		return 0;
	}
	http1_parser_init(&ex->parser, HTTP1_RESPONSE, &respond_limits);
	exchange_begin(ex, true);
	return 0;
}

void
hook_done(struct exchange *ex, enum outcome outcome)
{
	MSG_INIT(hook_sent, m);

	ex->keep = false;
	if (ex->gate == NULL || ex->reqid == 0)
		return;
	m.outcome = (uint8_t)outcome;
	m.status = ex->status;
	m.duration_us = loop_unix_us() - ex->began_us;
	m.detail = span_str(ex->detail);
	(void)chan_answer(ex->gate, ex->reqid, MSG_hook_sent, &m);
	ex->reqid = 0;
}
