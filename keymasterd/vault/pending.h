/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer's question that the provider may answer in a later turn, when the peer is gone
 * perhaps. Runs in vault.
 */
#ifndef AEGIS_VAULT_PENDING_H
#define AEGIS_VAULT_PENDING_H

#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/chan.h"
#include "common/proto.h"

struct pending {
	LIST_ENTRY(pending) entry;
	struct chan *chan; /* NULL: nobody waits for the answer any more */
	uint64_t reqid;
	struct buf text;     /* of what is being signed; wiped with the rest */
	char tenant[65];     /* for the log */
	char subject[161];   /* for the log: credential, sub, or tool server */
	char variable[129];  /* of a tool server */
	char execution[65];  /* that a secret is for, or "" */
	char reference[513]; /* where a secret lives */
	uint64_t began_us;   /* access_clock_us() */
	uint64_t number;     /* row of the ledger, or place of the variable */
};

/* A question of a peer; NULL without memory: the caller answers at once. */
struct pending *pending_new(struct chan *, uint64_t reqid);
void pending_free(struct pending *);
/* The door is shut; for on_gone. */
void pending_forget(const struct chan *);
/* How many questions are under way, those that nobody waits for too. */
unsigned pending_count(void);

struct vault_answer;
/*
 * Tells of a secret that was asked for (access.h). The answer to give: this one, or a
 * refusal because it cannot be told.
 */
const struct vault_answer *pending_tell(
    const struct pending *, enum access_use, const struct vault_answer *);
/* The same of something else that was done with it. */
const struct vault_answer *pending_tell_act(const struct pending *, enum access_use,
    enum access_act, const struct vault_answer *);

#endif
