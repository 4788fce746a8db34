/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receipts (doc/ledger-format.md): a row, its completion, their paths in the Merkle tree
 * and the checkpoint that signs its root. Judge only; who asks is an administrator, an
 * operator, or the agent whose row it is.
 */
#ifndef AEGIS_JUDGE_RECEIPT_H
#define AEGIS_JUDGE_RECEIPT_H

#include <stdint.h>

#include "keymasterd/judge/api.h"

struct buf;

/* GET /v1/receipts/{id}. */
void receipt_handle(struct api_call *);
/* Handler: aegis ledger receipt. Rows of the answer are pieces of one text. */
int admin_ledger_receipt(struct chan *, uint64_t reqid, void *msg);
/* The door is shut: nobody waits for these any more. */
void receipt_gone(const struct chan *);

/*
 * Appends the receipt of row seq, with that of its completion unless 0, under the newest
 * checkpoint, which must seal both. One line without newline. 0, or -1 when the ledger
 * cannot be read.
 */
int receipt_make(struct buf *out, uint64_t seq, uint64_t completion);

#endif
