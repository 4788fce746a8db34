/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of leases.jsonl, whatever a crash or a disk made of them. */
#include <stdlib.h>

#include "common/loop.h"
#include "keymasterd/vault/lease_journal.h"
#include "keymasterd/vault/lease_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct lease_token *t;
	struct lease *l;

	lease_journal_parse((const char *)data, len);
	while ((l = TAILQ_FIRST(&leases)) != NULL) {
		/* whatever is there can be revoked */
		if (l->token == NULL || l->token->accessor[0] == '\0' ||
		    l->state < LEASE_WAITS || l->state > LEASE_ENDING)
			abort();
		lease_free(l);
	}
	while ((t = TAILQ_FIRST(&lease_tokens)) != NULL) {
		if (t->users != 0)
			abort();
		lease_token_free(t);
	}
	return 0;
}
