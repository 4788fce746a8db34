/* SPDX-License-Identifier: Apache-2.0 */
/* From what an administrator typed to a credential's row, and from the row to JSON. */
#ifndef AEGIS_JUDGE_ADMIN_CREDENTIAL_H
#define AEGIS_JUDGE_ADMIN_CREDENTIAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"
#include "keymasterd/judge/store.h"

struct buf;

#define CREDENTIAL_GRACE_MAX_S (8760u * 3600)

/* A new row with a new id. 0, or -1 with a sentence for the administrator. */
int credential_row_new(
    const struct msg_credential_add *, struct store_credential *, char *why, size_t size);
/* Changes the fields that the message names. 0 or -1 as above. */
int credential_row_change(const struct msg_credential_update *, struct store_credential *,
    char *why, size_t size);
/* Sets the expiry; 0 days: none. 0, or -1 when out of range. */
int credential_ttl(struct store_credential *, uint32_t days, uint64_t now_ms);
/* As admin.h describes. 0 or -1. */
int credential_row_json(const struct store_credential *, struct buf *);
/* Rows, and the database, for old secrets whose time is over; every second. */
void credential_grace_tick(void);
/* A Unix millisecond as RFC 3339 text, "" for 0. */
const char *time_text(uint64_t ms, char out[32]);

#endif
