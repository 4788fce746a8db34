/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a request: framing off, then held for a message or sent down a stream to a
 * worker. gated.
 */
#ifndef AEGIS_GATED_BODY_H
#define AEGIS_GATED_BODY_H

#include "gated/req.h"

#define BODY_HELD_MAX 65536 /* no more is read while this waits for a taker */

void body_init(struct body *, const struct http1_head *, uint64_t limit);
/*
 * Takes what it may of the agent's octets: how many, 0 when there is no room now, or -1
 * when nothing after them can be understood. The request may be another one then, or
 * gone.
 */
ssize_t body_take(struct req *, const char *, size_t len);
/* True while more octets are wanted. */
bool body_wants(const struct req *);
/* Opens the stream; returns the worker's end, or -1. What is held goes first. */
int body_stream_open(struct req *);
/* Starts sending; after proxy_open has left with the other end. */
void body_stream_go(struct req *);
/* Closes the stream if it is open. */
void body_stream_close(struct body *);
/*
 * inspect_in.c: the inspector on this request, mode as the judge says (INSPECT_OFF:
 * none); on more of its body; at its end. 0, or -1 when the request has been refused, as
 * above.
 */
int inspect_begin(struct req *, unsigned mode);
int inspect_more(struct req *, struct span data);
int inspect_finish(struct req *);
/* All held octets in a sealed memfd (the reader checks that it cannot change), or -1. */
int body_memfd(const void *, size_t len);
void body_free(struct body *);

/* Octets of bodies that are held, of all requests. */
size_t body_held(void);

#endif
