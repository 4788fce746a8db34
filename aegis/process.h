/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a local connection. The master. */
#ifndef AEGIS_PROCESS_H
#define AEGIS_PROCESS_H

#include <stdint.h>

struct chan;

/* Handler: the judge asks about a connection of an agent. */
int process_ask(struct chan *, uint64_t reqid, void *msg);

#endif
