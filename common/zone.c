/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones; see zone.h. Judge, master, command line. */
#include "common/zone.h"

#include <stdlib.h>
#include <string.h>

#define OFFSET_MAX (26 * 3600)

struct step {
	int64_t from;
	int32_t offset;
};

struct zone {
	char name[ZONE_NAME_MAX + 1];
	size_t n;
	struct step step[];
};

struct zone *
zone_new(const char *name, struct span table)
{
	size_t n = table.len / ZONE_STEP_LEN, i;
	struct zone *z;
	uint64_t from;
	uint32_t offset;

	if (n == 0 || n > ZONE_STEPS_MAX || table.len % ZONE_STEP_LEN != 0 ||
	    !zone_name_ok(span_str(name)))
		return NULL;
	z = calloc(1, sizeof *z + n * sizeof z->step[0]);
	if (z == NULL)
		return NULL;
	(void)span_copy(span_str(name), z->name, sizeof z->name);
	z->n = n;
	for (i = 0; i < n; i++) {
		memcpy(&from, table.p + i * ZONE_STEP_LEN, sizeof from);
		memcpy(&offset, table.p + i * ZONE_STEP_LEN + 8, sizeof offset);
		z->step[i].from = (int64_t)__builtin_bswap64(from);
		z->step[i].offset = (int32_t)__builtin_bswap32(offset);
		if (z->step[i].offset < -OFFSET_MAX || z->step[i].offset > OFFSET_MAX ||
		    (i > 0 && z->step[i].from <= z->step[i - 1].from)) {
			free(z);
			return NULL;
		}
	}
	return z;
}

void
zone_free(struct zone *z)
{
	free(z);
}

const char *
zone_name(const struct zone *z)
{
	return z->name;
}

int32_t
zone_offset(const struct zone *z, int64_t unix_s)
{
	size_t lo = 0, hi, mid;

	if (z == NULL)
		return 0;
	for (hi = z->n; hi - lo > 1;) {
		mid = lo + (hi - lo) / 2;
		if (z->step[mid].from <= unix_s)
			lo = mid;
		else
			hi = mid;
	}
	return z->step[lo].offset;
}

bool
zone_is_utc(struct span name)
{
	return span_eq(name, "UTC") || span_eq(name, "Etc/UTC");
}

bool
zone_name_ok(struct span name)
{
	bool begin = true; /* of a component */

	if (name.len == 0 || name.len > ZONE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i], l = ascii_lower(c);

		if (c == '/') {
			if (begin)
				return false;
			begin = true;
			continue;
		}
		if (!(l >= 'a' && l <= 'z') && !(!begin && strchr("0123456789+-_", c)))
			return false;
		begin = false;
	}
	return !begin;
}
