/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A granted request to its worker. gated carries the grant and can change nothing that it
 * was given for.
 */
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "gated/answer.h"
#include "gated/ask.h"
#include "gated/body.h"
#include "gated/refuse.h"

#define SLACK_MS 5000
#define UPLOAD_MS 86400000 /* as long as the body makes progress; req.timer watches */
#define WAIT_DEFAULT 60000

static void
on_head(struct chan *chan, enum chan_status status, void *msg, void *arg)
{
	const struct msg_error *e = msg;
	struct req *r = arg;
	char why[257];

	(void)chan;
	r->ask = 0;
	if (r->conn == NULL) {
		req_free(r); /* the agent left; now the worker knows */
		return;
	}
	switch (status) {
	case CHAN_OK:
		answer_proxied(r, msg);
		return;
	case CHAN_TIMEOUT:
		refuse(r, REFUSAL_UPSTREAM_TIMEOUT, 504,
		    "the worker did not answer in time");
		return;
	case CHAN_ERROR:
		if (r->body.fd < 0)
			redeemer_leave(r); /* it has let go already */
		if (span_copy(e->message, why, sizeof(why)) == -1)
			why[0] = '\0';
		refuse(r, REFUSAL_REDEEMER_GONE, 502, why);
		return;
	default:
		refuse(
		    r, REFUSAL_REDEEMER_GONE, 502, "the worker ended before it answered");
	}
}

void
worker_ask(struct req *r, struct redeemer *d, const struct grant_view *g)
{
	uint32_t patience =
	    (g->timeout_ms != 0 ? g->timeout_ms : WAIT_DEFAULT) + SLACK_MS;
	bool whole = r->body.done && r->body.held.len <= INLINE_BODY_MAX;
	MSG_INIT(proxy_open, m);

	memcpy(m.request_id, r->id, sizeof(m.request_id));
	memcpy(m.grant, g->id, sizeof(m.grant));
	m.not_after = g->not_after;
	memcpy(m.mac, g->mac, sizeof(m.mac));
	m.method = req_method(r);
	m.authority = g->authority;
	m.target = g->target;
	m.headers = req_part(r, r->headers);
	m.body_len = r->body_len;
	m.max_body = g->max_body;
	m.timeout_ms = g->timeout_ms;
	m.upgrade = r->ws != NULL;
	m.idle_ms = g->idle_ms;
	if (whole)
		m.body = req_body(r);
	else if ((m.stream = body_stream_open(r)) == -1)
		goto fail;
	r->chan = d->chan;
	r->ask = chan_ask(
	    d->chan, MSG_proxy_open, &m, whole ? patience : UPLOAD_MS, on_head, r);
	if (r->ask == 0)
		goto fail;
	if (whole)
		body_free(&r->body);
	else
		body_stream_go(r);
	return;
fail:
	body_stream_close(&r->body);
	redeemer_leave(r);
	refuse(r, REFUSAL_REDEEMER_GONE, 502, "the worker cannot be asked");
}

void
worker_cancel(struct req *r)
{
	MSG_INIT(proxy_cancel, m);

	memcpy(m.request_id, r->id, sizeof(m.request_id));
	(void)chan_note(r->redeemer->chan, MSG_proxy_cancel, &m);
}

int
on_proxy_end(struct chan *chan, uint64_t reqid, void *msg)
{
	const struct msg_proxy_end *m = msg;
	struct req *r = flow_find(m->request_id);

	(void)reqid;
	/* unknown: cancelled meanwhile; of another worker: none of its business */
	if (r != NULL && r->redeemer != NULL && r->redeemer->chan == chan)
		flow_end(r, m->complete == 1, m->bytes);
	return 0;
}
