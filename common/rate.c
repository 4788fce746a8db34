/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limits as text; see rate.h. Judge, command line and master. */
#include "common/rate.h"

#include <stddef.h>

int
limit_parse(struct span s, struct limit_rate *out)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"sec", 1000}, {"second", 1000}, {"min", 60000}, {"minute", 60000},
	    {"hr", 3600000}, {"hour", 3600000}, {"day", 86400000}};
	uint32_t count = 0;
	size_t i = 0, u;

	for (; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
		count = count * 10 + (uint32_t)(s.p[i] - '0');
		if (count > 1000000)
			return -1;
	}
	if (i == 0 || count == 0 || i == s.len || s.p[i] != '/')
		return -1;
	i++;
	for (u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		if (span_ieq((struct span){s.p + i, s.len - i}, units[u].name)) {
			out->count = count;
			out->window_ms = units[u].ms;
			return 0;
		}
	}
	return -1;
}
