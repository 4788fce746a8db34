/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket between an agent and an upstream (RFC 6455): the handshake's end, and then
 * frames both ways, each side no faster than the other takes them. Egress worker; both
 * sides are hostile.
 *
 * What comes is taken out of its frames and put into new ones, so that a message can be
 * searched for the secret across the borders of frames, held back where the secret may
 * begin, and ended with a Close at any moment. Octets of messages are passed on as they
 * come: a long message may arrive in more fragments than it was sent in (section 5.4
 * allows that where no extension is in use, and none is let through).
 */
#ifndef AEGIS_WORKER_SOCKET_H
#define AEGIS_WORKER_SOCKET_H

#include <stdbool.h>

#include "common/http1.h"
#include "common/proto.h"
#include "common/span.h"
#include "common/ws.h"

struct exchange;
struct socket;

#define SOCKETS_MAX 1024

/* With a key for the request; max: octets of an agent's message. NULL without memory. */
struct socket *socket_new(uint64_t max);
/* As it stands in the request, NUL-terminated. */
const char *socket_key(const struct socket *);
/* Frees; what is open is closed. NULL is allowed. */
void socket_free(struct socket *);

/*
 * A 101 came to a request for a WebSocket: `fields` may be passed on, `len` octets stand
 * behind the head. 0 or -1 as everywhere in exchange.h.
 */
int socket_begin(struct exchange *, const struct http1_head *, struct span fields,
    uint8_t *rest, size_t len);
/* Something can be read or written. */
int socket_go(struct exchange *);
/* Its time is over: idle, or too slow with its goodbye. */
void socket_due(struct exchange *);
/* The agent's connection is gone. */
void socket_agent_gone(struct exchange *);
/* Gate or judge want it closed: enum socket_why. */
void socket_end(struct exchange *, unsigned why);
/*
 * Every now and then: closes those that may not go on as they are, because the credential
 * has changed, the judge is not there, or this process ends.
 */
void sockets_sweep(void);
/* Shuts what leads to the gate. True: the gate has got all of it. */
bool socket_close(struct exchange *);

#endif
