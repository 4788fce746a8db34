/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to agents. gated. After any of these functions the request may be gone.
 */
#ifndef AEGIS_GATED_ANSWER_H
#define AEGIS_GATED_ANSWER_H

#include <sys/uio.h>

#include "common/msg.h"
#include "gated/req.h"

/* A JSON answer from memory; `lines` are more fields, each with CRLF. At most 4 pieces.
 */
void answer_json(
    struct req *, unsigned status, struct span lines, const struct iovec *body, int n);
/* The head of an answer that is a stream of events. 0, or -1: the connection is closed.
 */
int answer_events(struct req *);
/* 100 Continue, when the agent waits for it. 0, or -1: the connection is closed. */
int answer_continue(struct req *);
/* 101, to a WebSocket; `lines` are a worker's. 0, or -1: the connection is closed, or the
 * request refused. */
int answer_switched(struct req *, struct span lines, const char *accept);
/* What a worker brought; takes the stream out of the message. */
void answer_proxied(struct req *, struct msg_proxy_head *);

/* The streamed answer with this id, or NULL. */
struct req *flow_find(const uint8_t id[REQUEST_ID_LEN]);
/* The answer will come from fd, which is the request's from now on. */
void flow_open_take(struct req *, int fd);
/* Begins to read; the head of the answer was written. */
void flow_start(struct req *);
/* The agent took what it was sent. */
void flow_resume(struct req *);
/* proxy_end. */
void flow_end(struct req *, bool complete, uint64_t bytes);
/* The worker is gone. */
void flow_abandon(struct req *);
void flow_close(struct req *);

#endif
