/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSockets of agents to upstreams (RFC 6455). gated: the handshake with the agent, and
 * octets between its connection and the worker's stream, which carries frames both ways.
 * Frames are the worker's to read; the gate reads them only where the inspector looks at
 * what the agent sends. Nothing of a handshake goes through: the worker makes its own.
 */
#ifndef AEGIS_GATED_WSOCK_H
#define AEGIS_GATED_WSOCK_H

#include <stdbool.h>
#include <stddef.h>

struct http1_head;
struct msg_proxy_head;
struct req;
struct wsock;

/*
 * Fields of a handshake were seen. 0: it is an ordinary request all the same, or one for
 * a WebSocket (req.ws is set then); -1: it has been refused.
 */
int wsock_begin(struct req *, const struct http1_head *);
/* The worker's upstream has switched; takes the stream out of the message. */
void wsock_open(struct req *, struct msg_proxy_head *);
/* Octets of the agent. How many are used up; the request may be gone. */
size_t wsock_input(struct req *, const char *, size_t);
/* The stream will be closed. */
void wsock_detach(struct req *);
void wsock_free(struct req *);
/* The gate stops: those that are open are closed in order. */
void wsock_drain(void);

#endif
