/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A turn of the loop: answers are collected, the database commits, then they leave. If
 * the commit fails none of them leaves: every question of the turn is answered 503 (or an
 * administrator's failure), every grant of the turn is forgotten, and what was
 * changed in memory is read again. So nothing happens that the ledger does not hold.
 */
#ifndef AEGIS_JUDGE_TURN_H
#define AEGIS_JUDGE_TURN_H

#include <stdint.h>

#include "common/chan.h"
#include "common/msg.h"

/* Queues the answer to a gate's question; copies everything. seal: a failure is worded as
 * a SEAL error. */
void turn_decision(struct chan *, uint64_t reqid, const struct msg_decision *, int seal);
/* Queues the answer to an administrator. */
void turn_admin_done(
    struct chan *, uint64_t reqid, uint32_t code, const char *message, struct span json);
/* What is queued for a door that is gone. */
void turn_forget(const struct chan *);

/* fn(1) once the turn is committed, fn(0) when it was not; before the answers leave. For
 * what must not begin before its row is written: questions to vault. */
void turn_then(void (*fn)(int ok, void *arg), void *arg);

/* This turn changed what registry.c (or a session table) holds in memory: if the commit
 * fails, the hooks read it again. */
void turn_touched(void);
/* fn runs when a turn that touched memory was rolled back. At most 8 hooks. */
void turn_on_rollback(void (*fn)(void *), void *arg);

/* The end of a turn; loop_on_turn() calls it. */
void turn_end(void *unused);
/* Ends what came from patient doors first: for handlers that read the ledger. */
void turn_catch_up(void);

#endif
