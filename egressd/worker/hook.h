/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Webhooks: the judge gives a body, this worker signs it with the secret that nobody else
 * has, and sends it where the secret may be used. Egress worker.
 */
#ifndef AEGIS_WORKER_HOOK_H
#define AEGIS_WORKER_HOOK_H

#include <stddef.h>
#include <stdint.h>

#include "common/proto.h"

struct chan;
struct credential;
struct exchange;
struct inject_request;

#define HOOK_SIGNATURE_MAX 320

/* Handler of permit.c. */
int hook_send(struct chan *, uint64_t reqid, void *msg);
/* The exchange is over: tells the judge. */
void hook_done(struct exchange *, enum outcome);
/*
 * The signature's three fields, as lines: HMAC-SHA256 over the body, as the established
 * gate has it; and over time, a dot, and the body, so that an old delivery cannot be
 * repeated by others later. 0 or -1.
 */
int hook_sign(
    const struct inject_request *, const struct credential *, char *out, size_t size);

#endif
