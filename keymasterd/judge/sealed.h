/* SPDX-License-Identifier: Apache-2.0 */
/*
 * While vault is sealed every request is refused, with a row; the judge knows it from the
 * master at its start and from vault's answers later. Judge only.
 */
#ifndef AEGIS_JUDGE_SEALED_H
#define AEGIS_JUDGE_SEALED_H

#include <stdint.h>

#include "common/chan.h"

struct jsonw;
struct msg_vault_key_set;

extern int vault_sealed;
extern int vault_sealing; /* the master has been asked, or will be */

#define SEALED_CODE "vault_sealed"
#define SEALED_ERROR "The vault is sealed"
#define SEALED_HINT \
	"Nothing is served until its operators have opened it with: aegis vault unseal"

void sealed_set(int sealed);
/* Is it known that the key was never split? Then nobody could unseal. */
int sealed_never_split(void);
/* What vault said of itself: which shares there are, and whether it is open. */
void sealed_learn(const struct msg_vault_key_set *);
/* A gate has come: it answers for its health by itself. */
void sealed_gate_ready(struct chan *, void *owner);
/* Members "sealed" and, when the key was split, "shares". */
void sealed_put(struct jsonw *);

/* vault -> judge, and the command line; handlers as in common/chan.h. */
int sealed_share_event(struct chan *, uint64_t reqid, void *msg);
int admin_vault_seal(struct chan *, uint64_t reqid, void *msg);
int admin_vault_split(struct chan *, uint64_t reqid, void *msg);

#endif
