/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of server-sent events: the answer of a call that has something to say before
 * its result, and the stream an agent opens with GET. gated.
 */
#ifndef AEGIS_GATED_MCP_STREAM_H
#define AEGIS_GATED_MCP_STREAM_H

#include <sys/uio.h>

#include "common/chan.h"
#include "gated/req.h"

/* The judge has granted a stream: it stays open until one side ends it. */
void mcp_stream_open(struct req *);
/* Events may come for this call. */
void mcp_stream_watch(struct req *);
void mcp_stream_unwatch(struct req *);
/* The result of a call, as JSON or as the last event. Empty: `status` alone. */
void mcp_stream_result(struct req *, const struct iovec *, unsigned status);
/* Nothing went down the stream for a while: shows that it is there. */
void mcp_stream_alive(struct req *);
/* The agent has left; the judge is told if the stream was its. */
void mcp_stream_gone(struct req *);
/* Tells the judge that a stream is not wanted any more. */
void mcp_stream_tell_gone(const uint8_t id[REQUEST_ID_LEN]);
/* Ends the streams that agents opened; calls under way go on. */
void mcp_stream_drain(void);

/* Callbacks. */
int on_mcp_event(struct chan *, uint64_t reqid, void *msg);
int on_tool_event(struct chan *, uint64_t reqid, void *msg);
void mcp_stream_judge_gone(struct chan *, void *owner);

#endif
