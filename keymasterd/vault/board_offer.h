/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What administrators want done with octets of a blackboard. Vault's own socket knows no
 * users, the judge does; so it is done once the judge, which has recorded it by then, has
 * confirmed the same, and nothing is done that nobody wanted at that socket: a captured
 * judge opens none. Runs in vault only.
 */
#ifndef AEGIS_VAULT_BOARD_OFFER_H
#define AEGIS_VAULT_BOARD_OFFER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/chan.h"
#include "common/proto.h"
#include "keymasterd/vault/offer.h"

struct board_offer {
	LIST_ENTRY(board_offer) entry;
	const struct chan *chan;
	uint8_t id[OFFER_ID_LEN];
	uint64_t until_ms;
	bool confirmed;
	enum board_act act;
	char tenant[65], object[257];
};

/*
 * Keeps it until the connection ends, another one of the connection takes its place, it
 * was done, or its time is over. NULL without memory.
 */
const struct board_offer *board_offer_keep(
    const struct chan *, struct span tenant, struct span object, enum board_act);
/* The judge says that it may be done. NULL, or why it may not. */
const char *board_offer_confirm(const uint8_t id[OFFER_ID_LEN], struct span tenant,
    struct span object, enum board_act);
/*
 * What is to be done on this connection, encrypted or (decrypt) decrypted, now: the
 * caller's to free, and it counts no more. With *why when it may not be done, which is
 * still told whose it was; NULL when there was none.
 */
struct board_offer *board_offer_take(const struct chan *, bool decrypt, const char **why);
/* The connection has ended. */
void board_offer_forget(const struct chan *);

#endif
