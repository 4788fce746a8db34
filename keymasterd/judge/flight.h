/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests under way: from the grant to the redeemer's report. They hold the agent's slot
 * (max_connections_per_agent) and become the completion row. Judge only.
 */
#ifndef AEGIS_JUDGE_FLIGHT_H
#define AEGIS_JUDGE_FLIGHT_H

#include <stdint.h>

#include "keymasterd/judge/decide.h"
#include "keymasterd/judge/judge.h"

/* Notes a grant. The row gives the names for the completion. NULL when out of memory. */
struct flight *flight_new(struct redeemer *, struct agent *, const struct ledger_row *,
    const struct grant *, uint32_t timeout_ms);
/* The grant never left the process. */
void flight_cancel(const uint8_t request_id[16]);
/* The redeemer has ended: what was under way there is lost. */
void flight_redeemer_gone(struct redeemer *);
/* Deadlines; once a second. */
void flight_tick(void);
unsigned flight_count(void);
/* Who and what a request under way is for, into a row (until the next call to flight.c
 * that ends one). Nothing when it is not under way. */
void flight_name(const uint8_t request_id[16], struct ledger_row *);
/* Calls of a session under way whose decision had this detail: the capability. */
unsigned flight_same(struct span session, const char *detail);

/*
 * A WebSocket is open: it has no deadline any more; a row says so. -1: no such grant is
 * under way there.
 */
int flight_socket_open(
    struct redeemer *, const uint8_t request_id[16], const uint8_t grant[GRANT_ID_LEN]);
/* Calls fn for each open WebSocket. */
void flight_sockets(void (*fn)(struct flight *, void *), void *arg);
unsigned flight_sockets_open(void);

/* Handlers of the redeemers' notes. */
int redeemer_done(struct chan *, uint64_t reqid, void *msg);

#endif
