/* SPDX-License-Identifier: Apache-2.0 */
/* A child says that a peer of its broke the rules. The master. */
#ifndef AEGIS_ACCUSE_H
#define AEGIS_ACCUSE_H

#include <stdint.h>

struct chan;

/* Handler: ends the accused, or an accuser that accuses too often. */
int accuse_peer(struct chan *, uint64_t reqid, void *msg);

#endif
