/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a WebSocket share: socket.c (its life and its ends), socket_open.c
 * (the handshake), socket_say.c (what the two sides say), socket_go.c (octets). Egress
 * worker.
 */
#ifndef AEGIS_WORKER_SOCKET_INT_H
#define AEGIS_WORKER_SOCKET_INT_H

#include <event2/event_struct.h>

#include "common/reflect.h"
#include "egressd/worker/socket.h"

/* One of the two directions. */
struct way {
	struct ws_reader reader;
	struct ws_writer writer;
	struct buf out; /* frames that wait, from off on */
	size_t off;
	bool closed; /* a Close went this way; nothing follows it */
};

struct socket {
	char key[WS_KEY_LEN + 1];
	int fd; /* to the gate: frames of the agent, frames for it */
	struct event readable, writable;
	bool reading, writing; /* which of these are added */
	struct way up, down;
	struct reflect_at
	    at[2];       /* in what the upstream's messages say, one after another */
	struct buf held; /* of its message under way: searched, not passed on */
	uint8_t kind;    /* of that message */
	bool shut;       /* we have said Close: what comes is thrown away */
	bool upstream_over;
	enum outcome outcome;
};

/* What waits to be sent. */
static inline size_t
way_unsent(const struct way *w)
{
	return w->out.len - w->off;
}

/* Functions that return an int: 0, or -1 when the exchange is no more. */

/* socket.c. The end. Always -1. */
int socket_finish(struct exchange *, enum outcome);
void socket_set_due(struct exchange *, uint32_t ms);
/*
 * A Close to both, each with its own code (0: that side is not there), then the end. What
 * is held back is not sent.
 */
int socket_shut(struct exchange *, enum outcome, unsigned to_agent, unsigned to_upstream,
    const char *why);
int socket_upstream_gone(struct exchange *);

/* socket_say.c: octets of one side, which may be changed. */
int socket_from_upstream(struct exchange *, uint8_t *, size_t len);
int socket_from_agent(struct exchange *, uint8_t *, size_t len);

/* socket_go.c: something moved. */
void socket_touch(struct exchange *);

#endif
