/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing a secret, and what is to be sealed with it, to vault's own socket. It counts
 * as long as the connection lasts and is sealed when the judge has recorded the same.
 */
#ifndef AEGIS_OFFER_H
#define AEGIS_OFFER_H

#include <stdint.h>

struct cli;
struct msg_secret_offer;

/*
 * Connects and brings it; descriptors in the message are taken. The judge is asked with
 * the id next, on the connection of admin_open(). 0, or an exit code after saying why.
 */
int offer_bring(struct cli *, struct msg_secret_offer *, uint8_t id[16]);
void offer_close(void);

#endif
