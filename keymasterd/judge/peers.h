/* SPDX-License-Identifier: Apache-2.0 */
/* The doors of the judge's peers: who comes and goes, and who broke the rules. */
#ifndef AEGIS_JUDGE_PEERS_H
#define AEGIS_JUDGE_PEERS_H

#include "common/proc.h"

/* For proc_serve(). */
extern const struct proc_peer_row judge_peers[];

/* Handler: another process saw a peer break its permit table. */
int peer_permit_refused(struct chan *, uint64_t reqid, void *msg);
/* Handler: the master ended a child at a peer's word. */
int peer_child_ended(struct chan *, uint64_t reqid, void *msg);
/* Handler: vault signs tokens by another key from now on. */
int peer_token_keys(struct chan *, uint64_t reqid, void *msg);
/* The same seen by the judge itself. */
void peer_violation(enum role, uint32_t instance, unsigned type, const char *reason);

#endif
