/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dashboards and monitoring ask: the judge's side of the data API. Everything is
 * read only and behind a permission; members are called as in the established gate.
 * Judge only; askers show tokens of users or operators.
 */
#ifndef AEGIS_JUDGE_DATA_API_H
#define AEGIS_JUDGE_DATA_API_H

#include "keymasterd/judge/api.h"
#include "keymasterd/judge/ledger_line.h"

struct jsonw;

/* A question that is answered in a later turn, with what the row of a refusal needs.
 * Stays where it is: the row points into it. */
struct data_late {
	struct decide d;
	char tenant[STORE_TENANT_MAX], oper[129], peer[65], path[129];
};
void data_late_begin(struct data_late *, const struct api_call *);

/* Handlers of the data API's process. */
int data_request(struct chan *, uint64_t reqid, void *msg);
int data_feed_gone(struct chan *, uint64_t reqid, void *msg);

/* GET /_aegis/stats and /api/stats: counts of decisions, ?since=. */
void data_counts(struct api_call *);
/* GET /api/requests: rows, newest first. */
void data_requests(struct api_call *);
/* GET /ws: rows as they come. */
void data_feed(struct api_call *);

/* A row as an entry. status and duration of its completion, 0 and 0 when not known. */
void data_row(struct jsonw *, const char *tenant, uint64_t seq, struct span text,
    unsigned status, uint64_t duration_us);
/* Ends a question with JSON of any length; no row: looking is no act. */
void data_deliver(struct decide *, const void *json, size_t len);
/* A number of the query within limits; fallback when absent, -1 when it is none. */
int64_t data_number(const struct api_call *, const char *name, int64_t fallback,
    int64_t least, int64_t most);

/* A gate's door is shut: it wants no answer any more. */
void data_gate_gone(const struct chan *);
void data_feeds_gone(const struct chan *);
void data_requests_gone(const struct chan *);
/* Every second: feeds whose reader may have them no longer. */
void data_feeds_tick(void);

#endif
