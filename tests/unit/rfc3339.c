/* SPDX-License-Identifier: Apache-2.0 */
/* Timestamps: what is accepted, refused, and both directions against each other. */
#include "common/rfc3339.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *text;
	int64_t sec;
	uint32_t ns;
} good[] = {
    {"1970-01-01T00:00:00Z", 0, 0},
    {"2026-02-17T14:32:01Z", 1771338721, 0},
    {"2026-02-17T14:32:01.000Z", 1771338721, 0},
    {"2026-02-17T14:32:01.999Z", 1771338721, 999000000},
    {"2026-02-17T14:32:01.583123Z", 1771338721, 583123000},
    {"2026-02-17T14:32:01.5Z", 1771338721, 500000000},
    {"2026-02-17T14:32:01.000000001Z", 1771338721, 1},
    {"2026-02-17T14:32:01.999999999Z", 1771338721, 999999999},
    {"2026-02-17T14:32:01+00:00", 1771338721, 0},
    {"2026-02-17T14:32:01-00:00", 1771338721, 0},
    {"2026-02-17T16:32:01+02:00", 1771338721, 0},
    {"2026-02-17T09:02:01.25-05:30", 1771338721, 250000000},
    {"2026-02-18T14:31:01+23:59", 1771338721, 0},
    {"2024-02-18T13:12:01Z", 1708261921, 0},
    {"2024-02-29T00:00:00Z", 1709164800, 0},
    {"2000-02-29T23:59:59Z", 951868799, 0},
    {"2000-03-01T00:00:00Z", 951868800, 0},
    {"1969-12-31T23:59:59.5Z", -1, 500000000},
    {"0000-01-01T00:00:00Z", -62167219200, 0},
    {"0000-02-29T00:00:00Z", -62162121600, 0},
    {"9999-12-31T23:59:59Z", 253402300799, 0},
    {"9999-12-31T23:59:59-23:59", 253402387139, 0},
};

START_TEST(accepts)
{
	uint32_t ns = 7;
	int64_t sec;

	ck_assert_int_eq(
	    rfc3339_parse(good[_i].text, strlen(good[_i].text), &sec, &ns), 0);
	ck_assert_int_eq(sec, good[_i].sec);
	ck_assert_uint_eq(ns, good[_i].ns);
	ck_assert_int_eq(
	    rfc3339_parse(good[_i].text, strlen(good[_i].text), &sec, NULL), 0);
	/* cut anywhere it is no timestamp any more */
	for (size_t n = 0; n < strlen(good[_i].text); n++)
		ck_assert_int_eq(rfc3339_parse(good[_i].text, n, &sec, &ns), -1);
}
END_TEST

static const char *const bad[] = {"", "2026", "2026-02-17", "2026-02-17T14:32:01",
    "2026-02-17T14:32Z", "2026-02-17 14:32:01Z", "2026-02-17t14:32:01Z",
    "2026-02-17T14:32:01z", "2026-02-17T14:32:01.Z", "2026-02-17T14:32:01,5Z",
    "2026-02-17T14:32:01.1234567890Z", "2026-02-17T14:32:60Z", "2026-12-31T23:59:60Z",
    "2026-02-17T14:60:01Z", "2026-02-17T24:00:00Z", "2026-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-02-30T00:00:00Z",
    "2026-04-31T00:00:00Z", "2026-00-10T00:00:00Z", "2026-13-10T00:00:00Z",
    "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-02-17T14:32:01+24:00",
    "2026-02-17T14:32:01+02:60", "2026-02-17T14:32:01+0200", "2026-02-17T14:32:01+02",
    "2026-02-17T14:32:01+2:00", "2026-02-17T14:32:01Z ", " 2026-02-17T14:32:01Z",
    "2026-02-17T14:32:01ZZ", "2026-2-17T14:32:01Z", "+2026-02-17T14:32:01Z",
    "-026-02-17T14:32:01Z", "12026-02-17T14:32:01Z", "2026-02-17T14:32:+1Z",
    "2026-02-17T14:32:01.-5Z", "2026/02/17T14:32:01Z", "2026-02-17T14:32:01UTC",
    "2026-02-17T14:32:01\xe2\x88\x92\x30\x32:00", "1771338721"};

START_TEST(refuses)
{
	int64_t sec;

	ck_assert_msg(
	    rfc3339_parse(bad[_i], strlen(bad[_i]), &sec, NULL) == -1, "%s", bad[_i]);
}
END_TEST

START_TEST(refuses_nul)
{
	int64_t sec;

	ck_assert_int_eq(rfc3339_parse("2026-02-17T14:32:01Z\0", 21, &sec, NULL), -1);
	ck_assert_int_eq(rfc3339_parse("2026-02-17T14:32:01\0", 20, &sec, NULL), -1);
}
END_TEST

START_TEST(formats)
{
	char out[RFC3339_SIZE];

	ck_assert_int_eq(rfc3339_format(1771338721, 583999999, 3, out, sizeof(out)), 24);
	ck_assert_str_eq(out, "2026-02-17T14:32:01.583Z");
	ck_assert_int_eq(rfc3339_format(1771338721, 583123999, 6, out, sizeof(out)), 27);
	ck_assert_str_eq(out, "2026-02-17T14:32:01.583123Z");
	ck_assert_int_eq(rfc3339_format(-1, 0, 0, out, sizeof(out)), 20);
	ck_assert_str_eq(out, "1969-12-31T23:59:59Z");
	ck_assert_int_eq(rfc3339_format(0, 1000000000, 3, out, sizeof(out)), -1);
	ck_assert_int_eq(rfc3339_format(0, 0, 9, out, sizeof(out)), -1);
	ck_assert_int_eq(rfc3339_format(0, 0, 0, out, 20), -1);
	ck_assert_int_eq(rfc3339_format(0, 0, 0, out, 21), 20);
	ck_assert_int_eq(rfc3339_format(253402300800, 0, 0, out, sizeof(out)), -1);
	ck_assert_int_eq(rfc3339_format(-62167219201, 0, 0, out, sizeof(out)), -1);
	ck_assert_int_eq(rfc3339_format(INT64_MAX, 0, 0, out, sizeof(out)), -1);
	ck_assert_int_eq(rfc3339_format(INT64_MIN, 0, 0, out, sizeof(out)), -1);
}
END_TEST

/* every day of 10,000 years, both ways and against the C library's calendar */
START_TEST(all_days)
{
	char out[RFC3339_SIZE], want[64];
	int64_t sec, back;
	struct tm tm;
	time_t t;

	for (sec = -62167219200; sec < 253402300800; sec += 86400 + 1) {
		t = (time_t)sec;
		if (gmtime_r(&t, &tm) == NULL)
			ck_abort_msg("the C library does not know %lld", (long long)sec);
		snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02dZ",
		    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		    tm.tm_sec);
		/* one assertion writes to a file: millions take a minute */
		if (rfc3339_format(sec, 0, 0, out, sizeof(out)) != 20 ||
		    strcmp(out, want) != 0 || rfc3339_parse(out, 20, &back, NULL) != 0 ||
		    back != sec)
			ck_abort_msg("%lld: %s, expected %s", (long long)sec, out, want);
	}
}
END_TEST

static const struct {
	const char *text;
	int r;
	int64_t sec;
} since[] = {
    {"2026-03-01", 0, 1772323200},
    {"2026-02-17T14:32:01.9Z", 0, 1771338721},
    {"2h", 0, 1000000 - 7200},
    {"30m", 0, 1000000 - 1800},
    {"7d", 0, 1000000 - 604800},
    {"1w", 0, 1000000 - 604800},
    {"45s", 0, 1000000 - 45},
    {"0s", 0, 1000000},
    {"", -1, 0},
    {"h", -1, 0},
    {"2", -1, 0},
    {"-2h", -1, 0},
    {"2hh", -1, 0},
    {"2 h", -1, 0},
    {"1.5h", -1, 0},
    {"2H", -1, 0},
    {"2y", -1, 0},
    {"99999999999999999999s", -1, 0},
    {"9223372036854775807w", -1, 0},
    {"2026-02-30", -1, 0},
    {"2026-03-01x", -1, 0},
    {"2026-03", -1, 0},
    {"yesterday", -1, 0},
};

START_TEST(since_when)
{
	int64_t sec;

	ck_assert_int_eq(since_parse(since[_i].text, 1000000, &sec), since[_i].r);
	if (since[_i].r == 0)
		ck_assert_int_eq(sec, since[_i].sec);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("rfc3339");
	TCase *t = tcase_create("rfc3339");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, accepts, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(t, refuses, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(t, refuses_nul);
	tcase_add_test(t, formats);
	tcase_add_test(t, all_days);
	tcase_add_loop_test(t, since_when, 0, sizeof(since) / sizeof(since[0]));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
