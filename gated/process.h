/* SPDX-License-Identifier: Apache-2.0 */
/* Local connections: the judge is told of them, so that it can see who has connected. */
#ifndef AEGIS_GATED_PROCESS_H
#define AEGIS_GATED_PROCESS_H

struct conn;

/* Brings the connection's descriptor to the judge; reading begins when it has answered.
 */
void process_ask(struct conn *);
/* The connection ends. */
void process_leave(struct conn *);

#endif
