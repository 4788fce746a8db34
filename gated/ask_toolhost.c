/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A granted tool call: cuts the judged slice out of what the agent sent, and wraps what
 * comes back. gated reads neither.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/log.h"
#include "gated/answer.h"
#include "gated/ask.h"
#include "gated/body.h"
#include "gated/mcp_stream.h"
#include "gated/refuse.h"

#define SLACK_MS 5000
#define WAIT_DEFAULT 60000
#define RESULT_MAX (64u * 1024 * 1024)
#define SEALS (F_SEAL_SHRINK | F_SEAL_WRITE)

/* A large result comes in a memfd that nobody can change any more. 0 or -1. */
static int
read_big(int fd, uint64_t max, struct buf *out)
{
	struct stat st;
	ssize_t n;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals == -1 || (seals & SEALS) != SEALS || fstat(fd, &st) == -1)
		return -1;
	if (st.st_size < 0 ||
	    (uint64_t)st.st_size > (max != 0 && max < RESULT_MAX ? max : RESULT_MAX))
		return -1;
	if (buf_reserve(out, (size_t)st.st_size) != 0)
		return -1;
	while (out->len < (size_t)st.st_size) {
		n = pread(fd, out->p + out->len, (size_t)st.st_size - out->len,
		    (off_t)out->len);
		if (n == 0 || (n < 0 && errno != EINTR))
			return -1;
		if (n > 0)
			out->len += (size_t)n;
	}
	return 0;
}

static void
answer_result(struct req *r, const struct msg_tool_result *m)
{
	static char before[] =
	    "{\"protocol\":\"seal/v1\",\"status\":\"success\",\"payload\":";
	static char after[] = "}\n";
	struct iovec iov[3] = {{before, sizeof(before) - 1}, {NULL, m->body.len},
	    {after, sizeof(after) - 1}};
	struct buf big;

	buf_init(&big);
	if (m->big >= 0) {
		if (read_big(m->big, r->max_response, &big) == -1) {
			buf_free(&big);
			refuse(r, REFUSAL_REDEEMER_GONE, 502, "unreadable result");
			return;
		}
		iov[1] = (struct iovec){big.p, big.len};
	} else {
		memcpy(&iov[1].iov_base, &m->body.p, sizeof(m->body.p));
	}
	if (r->wrap >= WRAP_MCP)
		mcp_stream_result(r, iov + 1, m->status);
	else if (r->wrap == WRAP_SEAL)
		answer_json(r, 200, (struct span){"", 0}, iov, 3);
	else
		answer_json(r, 200, (struct span){"", 0}, iov + 1, 1);
	buf_free(&big);
}

static void
on_result(struct chan *chan, enum chan_status status, void *msg, void *arg)
{
	const struct msg_tool_result *m = msg;
	const struct msg_error *e = msg;
	struct req *r = arg;
	char why[257] = "";

	(void)chan;
	r->ask = 0;
	if (status == CHAN_OK)
		redeemer_leave(r);
	/* to MCP clients toolhost words failures, too */
	if (status == CHAN_OK &&
	    (m->outcome == OUTCOME_OK || (r->wrap >= WRAP_MCP && m->body.len > 0))) {
		answer_result(r, m);
		return;
	}
	if (status == CHAN_OK && m->outcome == OUTCOME_TOO_LARGE) {
		if (r->max_response < UINT64_MAX)
			(void)snprintf(why, sizeof(why), "%" PRIu64, r->max_response);
		refuse(r, REFUSAL_ANSWER_TOO_LARGE, 403, why);
		return;
	}
	if (status == CHAN_OK) {
		(void)span_copy(m->message, why, sizeof(why));
		refuse(r,
		    m->outcome == OUTCOME_TOOL_TIMEOUT ? REFUSAL_UPSTREAM_TIMEOUT
						       : REFUSAL_REDEEMER_GONE,
		    m->status >= 400 && m->status <= 599 ? m->status : 502, why);
		return;
	}
	if (status == CHAN_TIMEOUT) {
		refuse(
		    r, REFUSAL_UPSTREAM_TIMEOUT, 504, "the tool did not answer in time");
		return;
	}
	if (status == CHAN_ERROR)
		(void)span_copy(e->message, why, sizeof(why));
	refuse(r, REFUSAL_REDEEMER_GONE, 502,
	    status == CHAN_ERROR ? why : "toolhost ended before it answered");
}

void
toolhost_ask(struct req *r, struct redeemer *d, const struct grant_view *g)
{
	struct span body = req_body(r), payload;
	MSG_INIT(tool_call, m);

	if (g->payload_off > body.len || g->payload_len > body.len - g->payload_off)
		goto fail;
	payload = (struct span){body.p + g->payload_off, g->payload_len};
	memcpy(m.request_id, r->id, sizeof(m.request_id));
	memcpy(m.grant, g->id, sizeof(m.grant));
	m.not_after = g->not_after;
	memcpy(m.mac, g->mac, sizeof(m.mac));
	m.server = g->server;
	m.execution = g->execution;
	m.timeout_ms = g->timeout_ms;
	m.max_response = g->max_response;
	m.mcp = r->wrap == WRAP_MCP_2026 ? TOOL_MCP_2026
	    : r->wrap == WRAP_MCP        ? TOOL_MCP_SESSION
					 : TOOL_MCP_NO;
	m.log_level = g->log_level;
	if (payload.len <= INLINE_JSON_MAX)
		m.payload = payload;
	else if ((m.big = body_memfd(payload.p, payload.len)) == -1)
		goto fail;
	r->chan = d->chan;
	r->ask = chan_ask(d->chan, MSG_tool_call, &m,
	    (g->timeout_ms != 0 ? g->timeout_ms : WAIT_DEFAULT) + SLACK_MS, on_result, r);
	if (r->ask == 0)
		goto fail;
	if (m.mcp)
		mcp_stream_watch(r);
	body_free(&r->body);
	return;
fail:
	redeemer_leave(r);
	refuse(r, REFUSAL_REDEEMER_GONE, 502, "toolhost cannot be asked");
}

void
toolhost_cancel(struct req *r)
{
	MSG_INIT(tool_cancel, m);

	memcpy(m.request_id, r->id, sizeof(m.request_id));
	(void)chan_note(r->redeemer->chan, MSG_tool_cancel, &m);
}
