/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administrators' acts that wait for another process: the row first, then the question,
 * then the answer, if who asked is still there. Judge only.
 */
#ifndef AEGIS_JUDGE_ACT_H
#define AEGIS_JUDGE_ACT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/chan.h"
#include "common/span.h"

struct act {
	LIST_ENTRY(act) entry;
	struct chan *chan; /* NULL: the administrator is gone */
	uint64_t reqid;
	const char *event; /* of its rows; a constant */
	/* of the row when it failed; {NULL, 0}: none */
	struct span credential, detail;
};

struct buf;
struct msg_vault_done;

/*
 * Zeroed memory of `size` octets that begin with a struct act. NULL without memory; the
 * administrator has been told.
 */
void *act_new(struct chan *, uint64_t reqid, const char *event, size_t size);
/* Is one of this event under way? */
bool act_pending(const char *event);
/* Is one under way that has this credential? */
bool act_changes(struct span credential);
/* Each of these answers, if the administrator is still there, and frees. */
void act_end(struct act *, uint32_t code, const char *message);
void act_end_json(struct act *, uint32_t code, const char *message, struct span json);
/* ADMIN_OK. */
void act_result(struct act *, const struct buf *json);
/* It was begun and failed: a row says so, too. */
void act_fail(struct act *, const char *message);
/* Why vault refused, for people; until the next one. */
const char *act_vault_why(const struct msg_vault_done *);
/* For chan_ask(): vault's vault_done is the end of the act `arg`. */
void act_on_vault(struct chan *vault, enum chan_status, void *msg, void *arg);
/* The door is shut. */
void act_gone(const struct chan *);

#endif
