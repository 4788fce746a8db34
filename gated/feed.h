/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds: WebSockets (RFC 6455) down which rows go as they come. Only the process of the
 * data API has any; the judge says who may have one. gated; what comes up a feed is the
 * reader's, and nothing of it is used but its control frames.
 */
#ifndef AEGIS_GATED_FEED_H
#define AEGIS_GATED_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "common/chan.h"
#include "common/proto.h"

struct buf;
struct feed;
struct http1_head;
struct req;

/* A request for a feed: checks it and asks the judge. */
void feed_begin(struct req *, const struct http1_head *);
/* The judge says yes. */
void feed_open(struct req *);
/* Octets of the reader. The connection may be closed afterwards. */
void feed_input(struct req *, const char *, size_t);
/* Nothing was sent for a while: is it still there? */
void feed_alive(struct req *);
/* The request ends. */
void feed_close(struct req *);

/* Tells the judge that a feed is not wanted any more. */
void feed_tell_gone(const uint8_t id[REQUEST_ID_LEN]);

/* permit.c: a row for a feed. */
int feed_row(struct chan *, uint64_t reqid, void *msg);
/* permit.c: its reader may have it no longer. */
int feed_end(struct chan *, uint64_t reqid, void *msg);
/* The judge's door is shut: feeds end, and readers come again. */
void feed_judge_gone(struct chan *, void *owner);
void feed_stop(uint32_t drain_ms);
void feed_numbers(struct buf *);

#endif
