/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doors to those who carry out grants: workers and toolhost, by the master's instance
 * numbers. A decision can name one whose door is still on its way from the master. gated.
 */
#ifndef AEGIS_GATED_REDEEMER_H
#define AEGIS_GATED_REDEEMER_H

#include <stdint.h>
#include <sys/queue.h>

#include "common/chan.h"
#include "common/msg.h"
#include "common/role.h"
#include "gated/req.h"

struct redeemer {
	LIST_ENTRY(redeemer) entry;
	struct chan *chan;
	uint32_t instance;
	enum role role;
	struct req_list reqs; /* it has them, answered or not yet */
};

/* What a decision granted, its strings borrowed. */
struct grant_view {
	const uint8_t *id, *mac;
	uint64_t not_after, max_response, max_body;
	uint32_t server, payload_off, payload_len, timeout_ms, idle_ms;
	uint8_t log_level;
	struct span authority, target, execution;
};

/* Carries the grant to instance, now or within 2 s when its door arrives. */
void redeemer_send(struct req *, enum role, uint32_t instance, const struct grant_view *);
/* The request has to do with this redeemer no more, or waits for none. */
void redeemer_leave(struct req *);

/* Callbacks of proc_serve(). */
void *redeemer_on_peer(
    struct chan *, uint32_t instance, const char *tenant, const char *name);
void redeemer_on_gone(struct chan *, void *owner);

#endif
