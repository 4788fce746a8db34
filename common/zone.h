/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A time zone as a table of its offsets: the master reads the system's database (it has
 * files) and sends the table to the judge (which has none).
 */
#ifndef AEGIS_COMMON_ZONE_H
#define AEGIS_COMMON_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define ZONE_NAME_MAX 64
#define ZONE_STEP_LEN 12 /* octets of a step: Unix second, seconds east */
#define ZONE_STEPS_MAX 1000

struct zone;

/*
 * From a table: steps in order of their seconds, network order; the first offset holds
 * before its second, too, the last one for good. NULL: not such a table, or no memory.
 */
struct zone *zone_new(const char *name, struct span table);
void zone_free(struct zone *);
const char *zone_name(const struct zone *);
/* Seconds east of UTC at this Unix second; 0 for NULL, which is UTC. */
int32_t zone_offset(const struct zone *, int64_t unix_s);
/* Is it UTC by name, for which no table is needed? */
bool zone_is_utc(struct span name);
/* Can it be a name of the system's database: no "..", not absolute? */
bool zone_name_ok(struct span name);

#endif
