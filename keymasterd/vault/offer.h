/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What administrators have brought to be sealed. Nothing is sealed before the judge,
 * which has recorded it by then, names the same; and nothing that the judge names is
 * sealed unless an administrator brought it. So a captured judge sees no secret and
 * cannot change where one may go. Runs in vault only.
 */
#ifndef AEGIS_VAULT_OFFER_H
#define AEGIS_VAULT_OFFER_H

#include "common/chan.h"
#include "common/secret.h"
#include "keymasterd/vault/credential.h"

#define OFFER_ID_LEN 16
#define OFFER_LIFE_MS 60000 /* the command line waits as long for the judge */

struct offer;

/*
 * Keeps it until the connection ends, another offer of the connection takes its place, it
 * was sealed, or its time is over. `set` are bits of enum credential_field, which of
 * `meta` count; all with `add`. Copies the texts; takes the secret, NULL for the one that
 * is there. NULL without memory, then the secret is the caller's.
 */
const struct offer *offer_keep(const struct chan *, const struct credential *meta,
    int add, uint32_t set, struct secret *);
const uint8_t *offer_id(const struct offer *);
/* The offer of this id, unless its time is over; NULL. */
struct offer *offer_find(const uint8_t id[OFFER_ID_LEN]);
/*
 * May this be sealed, the judge having named `asked` and `old` being what is sealed now
 * (NULL: nothing)? NULL, or why not.
 */
const char *offer_refuses(const struct offer *, const struct credential *asked,
    const struct credential *old, int replace);
/* The secret it brought, still the offer's; NULL for none. */
const struct secret *offer_secret(const struct offer *);
/* It was sealed. */
void offer_end(struct offer *);
/* The connection has ended. */
void offer_forget(const struct chan *);

#endif
