/* SPDX-License-Identifier: Apache-2.0 */
/* The way out of a tool server that may reach named hosts only. */
#ifndef AEGIS_TOOLEXEC_RELAY_H
#define AEGIS_TOOLEXEC_RELAY_H

#include <sys/types.h>

#define RELAY_PORT 3128 /* on 127.0.0.1 of the server's own network */
#define RELAY_ADDRESS "127.0.0.1:3128"

/*
 * Starts the relay. door: to the dispatcher, greeted not yet; later ones come over the
 * master's door, which it reads from now on. *line: where it waits for the listening
 * socket; the caller's. Its process is a child of the caller; fatal() when there can be
 * none.
 */
pid_t relay_start(int door, int *line);
/* Within the server's network, as yet with its rights: the socket that the relay accepts
 * from; the caller's. fatal() when there can be none. */
int relay_listen(void);

#endif
