/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate_limit of capabilities: one sliding window for each session and capability. They
 * survive a restart as the windows of agents do (windows.c): saved every few seconds with
 * the number of the ledger's last row, and what came after is counted from the ledger.
 * Judge only.
 */
#ifndef AEGIS_JUDGE_SESSION_RATE_H
#define AEGIS_JUDGE_SESSION_RATE_H

#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/session.h"

/* Whose limits: a session under its context as it is now. */
struct session_rate {
	struct session *session;
	const struct context_entry *context;
};

/* A context_rate_fn: may capability `cap` be used once more? */
uint32_t session_rate_wait(size_t cap, void *session_rate);
/* It was used. */
void session_rate_take(struct session_rate *, size_t cap);

/* Room for the detail of an allowed call's row, and the text. */
#define SESSION_RATE_DETAIL 32
void session_rate_detail(size_t cap, char out[SESSION_RATE_DETAIL]);

/* The session goes: its windows in memory, and those in the database. */
void session_rates_free(struct session *);
void session_rates_forget(const struct session *);

/* After sessions and contexts were loaded. 0 or -1. */
int session_rates_load(void);
/* Every few seconds, and at the end. */
void session_rates_save(void);

#endif
