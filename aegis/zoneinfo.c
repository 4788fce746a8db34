/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time zones; see zoneinfo.h. The rules are the C library's: it is asked for the offset
 * of each day, and where that changed, for the second.
 */
#include "aegis/zoneinfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/zone.h"

#define DIRECTORY "/usr/share/zoneinfo"
#define STEP 86400
#define BEGIN 946684800 /* 2000-01-01 */

int
zoneinfo_known(const char *name)
{
	char path[sizeof(DIRECTORY) + ZONE_NAME_MAX + 2], magic[4];
	FILE *f;
	int known;

	if (!zone_name_ok(span_str(name)))
		return 0;
	if (zone_is_utc(span_str(name)))
		return 1;
	snprintf(path, sizeof(path), DIRECTORY "/%s", name);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	known = fread(magic, 1, sizeof(magic), f) == sizeof(magic) &&
	    memcmp(magic, "TZif", sizeof(magic)) == 0;
	fclose(f);
	return known;
}

static int32_t
offset_at(int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	return localtime_r(&t, &tm) == NULL ? 0 : (int32_t)tm.tm_gmtoff;
}

static int
put_step(struct buf *out, int64_t from, int32_t offset)
{
	uint64_t a = __builtin_bswap64((uint64_t)from);
	uint32_t b = __builtin_bswap32((uint32_t)offset);

	return buf_put(out, &a, sizeof(a)) == -1 || buf_put(out, &b, sizeof(b)) == -1 ? -1
										      : 0;
}

/* The first second in (lo, hi] with another offset than lo has. */
static int64_t
change_between(int64_t lo, int64_t hi)
{
	int32_t before = offset_at(lo);
	int64_t mid;

	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if (offset_at(mid) == before)
			lo = mid;
		else
			hi = mid;
	}
	return hi;
}

static int
put_table(int64_t end, struct buf *out)
{
	int32_t now = offset_at(BEGIN), then;
	int64_t t, at;

	if (put_step(out, BEGIN, now) == -1)
		return -1;
	for (t = BEGIN; t < end; t += STEP) {
		then = offset_at(t + STEP);
		if (then == now)
			continue;
		at = change_between(t, t + STEP);
		now = then;
		if (put_step(out, at, now) == -1)
			return -1;
	}
	return 0;
}

int
zoneinfo_table(const char *name, int64_t unix_s, struct buf *out)
{
	const char *old = getenv("TZ");
	char *keep = old != NULL ? strdup(old) : NULL;
	char value[ZONE_NAME_MAX + 2];
	int r = -1;

	if (old != NULL && keep == NULL)
		return -1;
	snprintf(value, sizeof(value), ":%s", name);
	if (setenv("TZ", value, 1) == 0) {
		tzset();
		r = put_table(unix_s + (int64_t)ZONEINFO_YEARS * 366 * 86400, out);
	}
	if (keep != NULL)
		(void)setenv("TZ", keep, 1);
	else
		(void)unsetenv("TZ");
	tzset();
	free(keep);
	return r;
}
