/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who got which secret: a note to the judge for each one, which makes a row of the ledger
 * of it. Runs in vault. What was asked for is named, its value never.
 */
#ifndef AEGIS_VAULT_ACCESS_H
#define AEGIS_VAULT_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/proto.h"
#include "common/span.h"

struct access {
	enum access_use use;
	enum access_act act;
	struct span tenant;
	struct span subject;   /* a credential, or a tool server */
	struct span variable;  /* of a tool server */
	struct span execution; /* "" when for all */
	struct span reference; /* where the secret lives */
	enum vault_code code;
	struct span reason; /* for the operator */
	unsigned version;   /* of the secret; 0: its home has none */
	bool cached;
	uint64_t latency_us;
	struct span lease;
	uint32_t lease_s;
};

/* Octets of what the judge gets at most; longer texts are cut. */
#define ACCESS_REFERENCE_MAX 512

/*
 * Tells the judge, or keeps it (a copy) until the judge is back. A secret is handed out
 * after this only: what cannot be told any more because too much is kept is refused.
 * 0, or -1: it is not told, so do not hand out.
 */
int access_tell(const struct access *);
/* What was kept goes to the judge, as much as its door takes now. In access_tell(), too.
 */
void access_flush(void);
/* Microseconds of the monotonic clock, for latencies. */
uint64_t access_clock_us(void);

#endif
