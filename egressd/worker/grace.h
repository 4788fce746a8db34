/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two secrets for a while: after `vault rotate --grace-period` the one before is there
 * too, for upstreams that do not know the new one yet. A 401 (RFC 9110 15.5.2) says so; a
 * request that may be sent twice is sent with the other one then, others teach the next
 * request which is good. Egress worker.
 */
#ifndef AEGIS_WORKER_GRACE_H
#define AEGIS_WORKER_GRACE_H

#include <stdbool.h>

struct exchange;

/* With which of the two it is sent first. */
void grace_choose(struct exchange *);
/* What is put into it. */
const struct credential *grace_secret(const struct exchange *);
/*
 * The final status came, nothing of it was passed on. True: it is ready to be sent again,
 * with the other secret.
 */
bool grace_answered(struct exchange *, int status);

#endif
