/* SPDX-License-Identifier: Apache-2.0 */
/* Sliding windows against a model that keeps every time. */
#include <check.h>
#include <stdlib.h>

#include "common/buf.h"
#include "keymasterd/judge/limit.h"

static struct limit_rate
rate(const char *s)
{
	struct limit_rate r;

	ck_assert_int_eq(limit_parse(span_str(s), &r), 0);
	return r;
}

START_TEST(grammar)
{
	static const char *const bad[] = {"", "10", "/min", "10/", "0/min", "-1/min",
	    "10/mins", "10 /min", "10/min ", "1e3/min", "1000001/day", "99999999999/sec",
	    "10/week"};
	struct limit_rate r;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(limit_parse(span_str(bad[i]), &r) == -1, "%s", bad[i]);
	ck_assert_uint_eq(rate("10/Sec").window_ms, 1000);
	ck_assert_uint_eq(rate("10/second").window_ms, 1000);
	ck_assert_uint_eq(rate("10/min").window_ms, 60000);
	ck_assert_uint_eq(rate("10/MINUTE").window_ms, 60000);
	ck_assert_uint_eq(rate("7/hr").window_ms, 3600000);
	ck_assert_uint_eq(rate("7/hour").window_ms, 3600000);
	ck_assert_uint_eq(rate("1000000/day").count, 1000000);
}
END_TEST

START_TEST(edges)
{
	struct limiter *l = limiter_new(rate("2/sec"));

	ck_assert_uint_eq(limiter_check(l, 1000), 0);
	limiter_take(l, 1000);
	limiter_take(l, 1400);
	ck_assert_uint_eq(limiter_check(l, 1400), 1);
	ck_assert_uint_eq(limiter_check(l, 1999), 1);
	ck_assert_uint_eq(
	    limiter_check(l, 2000), 0); /* the first is a whole second old */
	limiter_take(l, 2000);
	ck_assert_uint_eq(limiter_check(l, 2399), 1);
	ck_assert_uint_eq(limiter_check(l, 2400), 0);
	limiter_free(l);
	/* how long to wait: until enough have left, rounded up */
	l = limiter_new(rate("3/min"));
	limiter_take(l, 0);
	limiter_take(l, 10000);
	limiter_take(l, 20000);
	ck_assert_uint_eq(limiter_check(l, 20000), 40);
	ck_assert_uint_eq(limiter_check(l, 20001), 40);
	limiter_set(l, rate("1/min"));
	ck_assert_uint_eq(limiter_check(l, 20000), 60);
	limiter_set(l, rate("4/min"));
	ck_assert_uint_eq(limiter_check(l, 20000), 0);
	limiter_free(l);
}
END_TEST

/* At most N in any window, and never refused with fewer than N in the exact window. */
START_TEST(model)
{
	static uint64_t taken[200000];
	static const char *const rates[] = {"1/sec", "5/sec", "100/min", "4096/min"};
	struct limiter *l;
	struct limit_rate r;
	uint64_t now;
	size_t n, old, k, i;

	srand(7);
	for (k = 0; k < sizeof(rates) / sizeof(rates[0]); k++) {
		r = rate(rates[k]);
		l = limiter_new(r);
		n = old = 0;
		now = 1000000;
		for (i = 0; i < 200000; i++) {
			now += (uint64_t)rand() % (2 * r.window_ms / r.count / 3 + 2);
			while (old < n && taken[old] + r.window_ms <= now)
				old++;
			ck_assert_uint_eq(limiter_count(l, now), n - old);
			ck_assert_int_eq(limiter_check(l, now) == 0, n - old < r.count);
			if (limiter_check(l, now) == 0) {
				limiter_take(l, now);
				taken[n++] = now;
			}
		}
		ck_assert_uint_gt(n, 1000);
		limiter_free(l);
	}
}
END_TEST

/* Large limits keep to N as well, and lose next to nothing by rounding. */
START_TEST(large)
{
	struct limit_rate r = rate("100000/min");
	struct limiter *l = limiter_new(r);
	uint64_t now = 5000;
	uint32_t got = 0, i;

	for (i = 0; i < 120000; i++)
		if (limiter_check(l, now) == 0) {
			limiter_take(l, now);
			got++;
		}
	ck_assert_uint_eq(got, 100000);
	ck_assert_uint_ne(limiter_check(l, now + r.window_ms - 1), 0);
	ck_assert_uint_eq(limiter_check(l, now + r.window_ms + 15), 0);
	/* spread evenly at the allowed rate nothing is refused for long */
	limiter_free(l);
	l = limiter_new(r);
	got = 0;
	for (i = 0; i < 300000; i++) {
		now = 1000000 + (uint64_t)i * 60 / 100;
		if (limiter_check(l, now) == 0) {
			limiter_take(l, now);
			got++;
		}
	}
	ck_assert_uint_ge(got, 299000);
	limiter_free(l);
}
END_TEST

START_TEST(saved_and_loaded)
{
	struct limiter *l = limiter_new(rate("3/min")), *m = limiter_new(rate("3/min"));
	struct buf b;

	buf_init(&b);
	ck_assert_int_eq(limiter_dirty(l), 0);
	limiter_take(l, 1000);
	limiter_take(l, 30000);
	ck_assert_int_eq(limiter_dirty(l), 1);
	ck_assert_int_eq(limiter_dump(l, &b), 0);
	ck_assert_int_eq(limiter_load(m, b.p, b.len, 40000), 0);
	ck_assert_uint_eq(limiter_count(m, 40000), 2);
	ck_assert_uint_eq(limiter_count(m, 61000), 1);
	limiter_count_past(m, 50000, 61000);
	ck_assert_uint_eq(limiter_count(m, 61000), 2);
	limiter_count_past(m, 100, 61000); /* too long ago to count */
	ck_assert_uint_eq(limiter_count(m, 61000), 2);
	limiter_free(m);
	/* from a clock that was ahead: it counts as now and leaves in time */
	m = limiter_new(rate("3/min"));
	ck_assert_int_eq(limiter_load(m, b.p, b.len, 500), 0);
	ck_assert_uint_eq(limiter_count(m, 500), 2);
	ck_assert_uint_eq(limiter_count(m, 60500), 0);
	ck_assert_int_eq(limiter_load(m, b.p, b.len - 1, 500), -1);
	b.p[8] = b.p[9] = b.p[10] = b.p[11] = 0;
	ck_assert_int_eq(limiter_load(m, b.p, b.len, 500), -1);
	limiter_free(l);
	limiter_free(m);
	buf_free(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ratelimit");
	TCase *t = tcase_create("window");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, grammar);
	tcase_add_test(t, edges);
	tcase_add_test(t, model);
	tcase_add_test(t, large);
	tcase_add_test(t, saved_and_loaded);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
