/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evidence beside the ledger's rows: what agents signed, and the tokens of their
 * sessions. Whether it is the row's own, and whether the session's key signed it. Command
 * line only; evidence may be hostile, and no row is trusted before a checkpoint seals it.
 */
#ifndef AEGIS_EVIDENCE_H
#define AEGIS_EVIDENCE_H

#include <stdbool.h>

#include "aegis/line.h"

struct evidence; /* the sessions that were seen to begin */

enum evidence_result {
	EVIDENCE_NOTHING, /* there is nothing to say of this row */
	EVIDENCE_WITHOUT, /* signed by an agent, but what is needed to show it is left out
			   */
	EVIDENCE_GOOD, /* it is what the row names; and the signature, if asked, is right
			*/
	EVIDENCE_FOREIGN, /* it is not what the row names */
	EVIDENCE_FORGED   /* the session's key did not sign it */
};

/* NULL without memory. */
struct evidence *evidence_new(void);
void evidence_free(struct evidence *);

/*
 * The next row. With `signatures` each envelope's signature is verified (SEAL, section 3
 * of its notes); without, rows that have no evidence are not looked at, which is quick.
 */
enum evidence_result evidence_take(
    struct evidence *, const struct line_row *, bool signatures);

#endif
