/* SPDX-License-Identifier: Apache-2.0 */
/* The only names that listen: the agents' addresses and the two admin sockets. The
 * master. */
#ifndef AEGIS_LISTEN_H
#define AEGIS_LISTEN_H

struct config;

#define LISTEN_MAX 16

/* Opens all; prints why on failure ("Port 3100 is already in use ..."). 0 or -1. */
int listen_open_agents(const struct config *);
int listen_open_admin(const struct config *);
/* Descriptors of the agents' addresses, ended by -1; the admin socket or -1. */
const int *listen_agents(void);
int listen_admin(void);
int listen_api(void);   /* of the data API, or -1 */
int listen_vault(void); /* vault's own admin socket, or -1 */
/* Ours; the gates have their own. What is closed everywhere refuses, what is open waits.
 */
void listen_close_agents(void);
/* Closes all, removes the names of the admin sockets. */
void listen_close(const struct config *);

#endif
