/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers and toolhost as the judge sees them: a door, a grant key that is made when the
 * door opens, and whether they can take grants. Judge only; what they say is checked.
 */
#ifndef AEGIS_JUDGE_REDEEMER_H
#define AEGIS_JUDGE_REDEEMER_H

#include "keymasterd/judge/judge.h"

/* proc_peer_row functions for ROLE_WORKER and ROLE_TOOLHOST. */
void *worker_peer(struct chan *, uint32_t instance, const char *tenant, const char *name);
void *toolhost_peer(
    struct chan *, uint32_t instance, const char *tenant, const char *name);
void redeemer_hello(struct chan *, void *owner);
void redeemer_gone(struct chan *, void *owner);

/* The ready worker of a credential, or NULL. */
struct redeemer *redeemer_worker(const char *tenant, const char *name);
/*
 * What vault holds under this name changed: no grant for its workers until they have told
 * that they fetched it anew. Requests wait for that as for a worker's start.
 */
void redeemer_renew(const char *tenant, const char *name);
/* Why the worker of a name cannot serve; NULL: it can, or there is none. */
const char *redeemer_failure(const char *tenant, const char *name);
/* Grants of a role that nobody has reported on. */
unsigned redeemer_live(enum role);
/* How many of a role; only ready ones when ready. */
unsigned redeemer_count(enum role, int ready);

/* Handlers. */
int redeemer_ready(struct chan *, uint64_t reqid, void *msg);
int worker_leave(struct chan *, uint64_t reqid, void *msg);
int worker_failed(struct chan *, uint64_t reqid, void *msg);

#endif
