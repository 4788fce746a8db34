/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a rate limit, "100/min". The judge counts by it; the command line and the
 * master read it in policies. From administrators.
 */
#ifndef AEGIS_COMMON_RATE_H
#define AEGIS_COMMON_RATE_H

#include <stdint.h>

#include "common/span.h"

struct limit_rate {
	uint32_t count;
	uint64_t window_ms;
};

/* "100/min": digits, then sec, second, min, minute, hr, hour or day in any case, count
 * 1 to 1,000,000. 0 or -1. */
int limit_parse(struct span, struct limit_rate *);

#endif
