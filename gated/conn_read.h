/* SPDX-License-Identifier: Apache-2.0 */
/* The reading half of a connection; between conn.c and conn_read.c only. gated. */
#ifndef AEGIS_GATED_CONN_READ_H
#define AEGIS_GATED_CONN_READ_H

#include "gated/conn.h"

#define CONN_UNSENT_MAX                                                 \
	65536 /* with more the agent does not read: no new request then \
	       */

/* The socket is readable, or TLS can go on. */
void conn_on_readable(evutil_socket_t, short, void *conn);
/* Works on what was kept, as far as it can be. Does not conn_update(). */
void conn_go_on(struct conn *);
/* True if octets of the agent are wanted now. */
bool conn_wants_read(const struct conn *);
/* Octets that are kept. */
static inline size_t
conn_waiting(const struct conn *c)
{
	return c->in.len - c->in_off;
}

#endif
