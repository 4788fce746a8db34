/* SPDX-License-Identifier: Apache-2.0 */
/* Connections for tool servers that may reach named hosts only. */
#ifndef AEGIS_DISPATCHER_DIAL_H
#define AEGIS_DISPATCHER_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/chan.h"

/* conf_tunnel: the hosts of one tool server. */
int dial_conf(void *msg);
/* Is there any such server? Only then has this process a reason to connect. */
bool dial_any(void);
void dial_timeout(uint32_t ms);

/* The door of a tool server's relay: opened, shut. */
void *dial_peer(struct chan *, uint32_t instance, const char *tenant, const char *name);
void dial_gone(struct chan *, void *owner);
int dial_open(struct chan *, uint64_t reqid, void *msg);
void dial_tick(uint64_t now_ms);

#endif
