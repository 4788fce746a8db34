/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session whose token vault has still to sign: what attestation and the sessions API
 * have in common. Judge only.
 */
#ifndef AEGIS_JUDGE_MINT_H
#define AEGIS_JUDGE_MINT_H

#include <sys/queue.h>

#include "keymasterd/judge/decide.h"
#include "keymasterd/judge/session.h"

#define MINT_WID_MAX 256
#define MINT_TASK_MAX 256

struct mint {
	struct decide d; /* chan NULL: the gate is gone */
	struct store_session row;
	bool attested; /* by an agent, with this token */
	uint8_t shown[STORE_HASH_LEN];
	char peer[65], who[129], path[129];
	char wid[MINT_WID_MAX + 1], task[MINT_TASK_MAX + 1];
	/* Answers; the session is in the tables, or NULL with an HTTP status or a code of
	 * SEAL and the words. */
	void (*done)(struct mint *, struct session *, struct span token, unsigned code,
	    const char *message);
	TAILQ_ENTRY(mint) link;
};

/* NULL when too many wait already. */
struct mint *mint_new(void);
void mint_free(struct mint *);

/* Fills in id, tenant, state, times and, when it is empty, exec_id. */
void mint_row(struct mint *, const char *tenant, uint64_t ttl_s);

/* The same for a session that another than its workload makes: row.sub is an agent's id
 * or name or anybody's, and the workload is called as the execution unless it has a name.
 */
void mint_row_for(struct mint *, const char *tenant, uint64_t ttl_s);

/*
 * Takes the question over: d and the peer are copied, the row starts anew with method and
 * path, and points only into the mint. The caller sets event, agent and the like again.
 */
void mint_take(struct mint *, const struct decide *, struct span peer, struct span path);

/* Asks vault, and frees the mint after `done`. Afterwards the caller must not use it. */
void mint_ask(struct mint *);

/* The same without vault: the caller's own token, of this hash. */
void mint_store(struct mint *, struct span token);

#endif
