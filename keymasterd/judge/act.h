/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administrators' acts that wait for another process: the row first, then the question,
 * then the answer, if who asked is still there. Judge only.
 */
#ifndef AEGIS_JUDGE_ACT_H
#define AEGIS_JUDGE_ACT_H

#include <stdint.h>
#include <sys/queue.h>

#include "common/chan.h"

struct act {
	LIST_ENTRY(act) entry;
	struct chan *chan; /* NULL: the administrator is gone */
	uint64_t reqid;
	const char *event; /* of its rows; a constant */
};

/*
 * Zeroed memory of `size` octets that begin with a struct act. NULL without memory; the
 * administrator has been told.
 */
void *act_new(struct chan *, uint64_t reqid, const char *event, size_t size);
/* Answers, as admin_done() does, and frees. */
void act_end(struct act *, uint32_t code, const char *message);
/* It was begun and failed: a row says so, too. */
void act_fail(struct act *, const char *message);
/* The door is shut. */
void act_gone(const struct chan *);

#endif
