/* SPDX-License-Identifier: Apache-2.0 */
/* SEAL calls: from the envelope to a grant, an answer or a refusal. Judge only. */
#ifndef AEGIS_JUDGE_SEAL_INVOKE_H
#define AEGIS_JUDGE_SEAL_INVOKE_H

/* Makes the replay set and fills it with what the ledger remembers. 0 or -1. */
int seal_invoke_init(void);

#endif
