/* SPDX-License-Identifier: Apache-2.0 */
/* The agents' addresses: descriptors that the master bound. gated. */
#ifndef AEGIS_GATED_LISTENER_H
#define AEGIS_GATED_LISTENER_H

/* Takes a listening socket. */
void listener_take(int kind, int fd);
/* A connection was closed: accept again if that was stopped for want of room. */
void listener_room(void);
/* Closes all. */
void listener_stop(void);

#endif
