/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which fields cross the gate, in both directions. gated; requests were written by
 * agents, answers by a worker that talks to hostile upstreams.
 */
#ifndef AEGIS_GATED_HEADERS_H
#define AEGIS_GATED_HEADERS_H

#include "common/buf.h"
#include "common/http1.h"

/*
 * Appends the fields of a request that an upstream may see, as "name: value\r\n": all but
 * credentials, Aegis' own, the agent's whereabouts, framing and hop-by-hop fields (RFC
 * 9110 7.6.1). *ws: there is a field as a WebSocket's handshake has them (RFC 6455). 0,
 * or -1 without memory.
 */
int headers_forward(const struct http1_head *, struct buf *out, bool *ws);

struct headers_seen {
	bool date;
	bool has_length; /* Content-Length, for answers to HEAD and for 304 */
	uint64_t length;
};

/*
 * Appends a worker's field lines as far as an agent may see them. Framing and Aegis' own
 * fields are the gate's and dropped. 0, or -1 when a line is not "name: value\r\n" with
 * printable octets, or there is no memory.
 */
int headers_answer(struct span lines, struct buf *out, struct headers_seen *);

#endif
