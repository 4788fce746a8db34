/* SPDX-License-Identifier: Apache-2.0 */
/* Timestamps of RFC 3339; see rfc3339.h. Runs in every process on text from anybody. */
#include "common/rfc3339.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DAY 86400

struct scan {
	const char *p, *end;
};

/* Takes exactly n digits. Returns their value or -1. */
static int
number(struct scan *s, int n)
{
	int v = 0;

	for (; n > 0; n--, s->p++) {
		if (s->p == s->end || *s->p < '0' || *s->p > '9')
			return -1;
		v = v * 10 + (*s->p - '0');
	}
	return v;
}

static bool
literal(struct scan *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static int
month_days(int year, int month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

/* Days from 1970-01-01; the year is taken to begin in March, so a leap day ends it. */
static int64_t
days_from_date(int year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* YYYY-MM-DD; sets *days from the epoch */
static int
parse_date(struct scan *s, int64_t *days)
{
	int year, month, day;

	if ((year = number(s, 4)) < 0 || !literal(s, '-') || (month = number(s, 2)) < 1 ||
	    month > 12 || !literal(s, '-') || (day = number(s, 2)) < 1 ||
	    day > month_days(year, month))
		return -1;
	*days = days_from_date(year, month, day);
	return 0;
}

/* [.f{1,9}] */
static int
parse_fraction(struct scan *s, uint32_t *ns)
{
	uint32_t scale = 100000000;

	*ns = 0;
	if (!literal(s, '.'))
		return 0;
	if (s->p == s->end || *s->p < '0' || *s->p > '9')
		return -1;
	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++, scale /= 10) {
		if (scale == 0)
			return -1;
		*ns += (uint32_t)(*s->p - '0') * scale;
	}
	return 0;
}

/* Z or ±hh:mm, in seconds east of UTC */
static int
parse_offset(struct scan *s, int *offset)
{
	int hour, minute, sign;

	*offset = 0;
	if (literal(s, 'Z'))
		return 0;
	if (literal(s, '+'))
		sign = 1;
	else if (literal(s, '-'))
		sign = -1;
	else
		return -1;
	if ((hour = number(s, 2)) < 0 || hour > 23 || !literal(s, ':') ||
	    (minute = number(s, 2)) < 0 || minute > 59)
		return -1;
	*offset = sign * (hour * 3600 + minute * 60);
	return 0;
}

int
rfc3339_parse(const char *s, size_t len, int64_t *sec, uint32_t *ns)
{
	struct scan c = {.p = s, .end = s + len};
	int hour, minute, second, offset;
	uint32_t frac;
	int64_t days;

	if (parse_date(&c, &days) != 0 || !literal(&c, 'T') ||
	    (hour = number(&c, 2)) < 0 || hour > 23 || !literal(&c, ':') ||
	    (minute = number(&c, 2)) < 0 || minute > 59 || !literal(&c, ':') ||
	    (second = number(&c, 2)) < 0 || second > 59 ||
	    parse_fraction(&c, &frac) != 0 || parse_offset(&c, &offset) != 0 ||
	    c.p != c.end)
		return -1;
	/* the fraction always points forward in time, so dropping it rounds down */
	*sec = days * DAY + hour * 3600 + minute * 60 + second - offset;
	if (ns != NULL)
		*ns = frac;
	return 0;
}

static void
date_from_days(int64_t days, int64_t *year, int *month, int *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int of_year = (int)(of_era - (365 * y + y / 4 - y / 100));
	int m = (5 * of_year + 2) / 153; /* 0 is March */

	*day = of_year - (153 * m + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = y + era * 400 + (*month <= 2);
}

ssize_t
rfc3339_format(int64_t sec, uint32_t ns, int digits, char *out, size_t cap)
{
	int64_t days, year;
	int month, day, rest, n;
	char frac[8] = "";

	if (ns > 999999999 || sec < days_from_date(0, 1, 1) * DAY ||
	    sec >= days_from_date(10000, 1, 1) * DAY)
		return -1;
	if (digits == 3)
		snprintf(frac, sizeof(frac), ".%03u", (ns / 1000000) % 1000);
	else if (digits == 6)
		snprintf(frac, sizeof(frac), ".%06u", (ns / 1000) % 1000000);
	else if (digits != 0)
		return -1;
	days = (sec >= 0 ? sec : sec - (DAY - 1)) / DAY;
	rest = (int)(sec - days * DAY);
	date_from_days(days, &year, &month, &day);
	n = snprintf(out, cap, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", (int)year, month, day,
	    rest / 3600, rest / 60 % 60, rest % 60, frac);
	return n < 0 || (size_t)n >= cap ? -1 : n;
}

static int
parse_age(const char *s, int64_t *age)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', DAY}, {'w', 7 * DAY}};
	size_t i;

	if (*s < '0' || *s > '9')
		return -1;
	for (*age = 0; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(*age, 10, age) ||
		    __builtin_add_overflow(*age, *s - '0', age))
			return -1;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (s[0] == units[i].unit && s[1] == '\0')
			return __builtin_mul_overflow(*age, units[i].seconds, age) ? -1
										   : 0;
	return -1;
}

int
since_parse(const char *s, int64_t now, int64_t *sec)
{
	struct scan c = {.p = s, .end = s + strlen(s)};
	int64_t v;

	if (rfc3339_parse(s, strlen(s), sec, NULL) == 0)
		return 0;
	if (parse_date(&c, &v) == 0 && c.p == c.end) {
		*sec = v * DAY;
		return 0;
	}
	if (parse_age(s, &v) != 0)
		return -1;
	return __builtin_sub_overflow(now, v, sec) ? -1 : 0;
}
