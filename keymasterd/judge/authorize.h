/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of a proxied request, in the order of doc/design.md. Judge only, on what
 * agents wrote.
 */
#ifndef AEGIS_JUDGE_AUTHORIZE_H
#define AEGIS_JUDGE_AUTHORIZE_H

#include "keymasterd/judge/decide.h"
#include "keymasterd/judge/registry.h"

/* Handlers for the gate. */
int proxy_authorize(struct chan *, uint64_t reqid, void *msg);
int refusal_record(struct chan *, uint64_t reqid, void *msg);
int body_found(struct chan *, uint64_t reqid, void *msg);

/* Before a request that waited gets its grant: what may have changed meanwhile. 0, or -1
 * when it was refused (and answered). */
int authorize_again(struct decide *, struct credential *, struct agent *);

#endif
