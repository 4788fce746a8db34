/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers on their way: whose count, what is refused, and the text. */
#include "common/metrics.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct buf list, said, text;

static void
setup(void)
{
	buf_init(&list);
	buf_init(&said);
	buf_init(&text);
}

static void
teardown(void)
{
	buf_free(&list);
	buf_free(&said);
	buf_free(&text);
}

static struct span
span_buf(const struct buf *b)
{
	return span_mem(b->p, b->len);
}

static const char *
make_text(void)
{
	ck_assert_int_eq(metrics_text(span_buf(&list), &text), 0);
	ck_assert_int_eq(buf_putc(&text, '\0'), 0);
	return (const char *)text.p;
}

START_TEST(text_of_kinds)
{
	metrics_put(&list, METRIC_requests,
	    "web" METRIC_SEP "GET" METRIC_SEP "200" METRIC_SEP "a\"b\\", 7);
	metrics_put(&list, METRIC_waiting, NULL, 3);
	metrics_put(&list, METRIC_cpu, "gate" METRIC_SEP "0", 1500000);
	metrics_put(&list, METRIC_duration, "web" METRIC_SEP "000005000", 1);
	metrics_put(&list, METRIC_duration, "web" METRIC_SEP "inf", 2);
	metrics_put(&list, METRIC_duration, "web" METRIC_SEP "sum", 250);
	metrics_put(&list, METRIC_duration, "web" METRIC_SEP "tally", 2);
	ck_assert_str_eq(make_text(),
	    "# HELP aegis_requests_total Requests that a grant was given for, once they "
	    "are over\n"
	    "# TYPE aegis_requests_total counter\n"
	    "aegis_requests_total{service=\"web\",method=\"GET\",status=\"200\",agent="
	    "\"a\\\"b\\\\\"} 7\n"
	    "# HELP aegis_request_duration_seconds From the grant's redemption to the "
	    "end "
	    "of the answer\n"
	    "# TYPE aegis_request_duration_seconds histogram\n"
	    "aegis_request_duration_seconds_bucket{service=\"web\",le=\"0.005\"} 1\n"
	    "aegis_request_duration_seconds_bucket{service=\"web\",le=\"+Inf\"} 2\n"
	    "aegis_request_duration_seconds_sum{service=\"web\"} 0.00025\n"
	    "aegis_request_duration_seconds_count{service=\"web\"} 2\n"
	    "# HELP aegis_requests_waiting Requests that wait for a worker to start\n"
	    "# TYPE aegis_requests_waiting gauge\n"
	    "aegis_requests_waiting 3\n"
	    "# HELP aegis_process_cpu_seconds_total CPU time, of processes that live\n"
	    "# TYPE aegis_process_cpu_seconds_total counter\n"
	    "aegis_process_cpu_seconds_total{process=\"gate\",name=\"0\"} 1.5\n");
}
END_TEST

START_TEST(same_labels_are_added_up)
{
	metrics_put(&list, METRIC_workers, NULL, 3);
	metrics_put(&list, METRIC_agents, NULL, 1);
	metrics_put(&list, METRIC_workers, NULL, 4);
	ck_assert_ptr_nonnull(strstr(make_text(), "\naegis_workers 7\n"));
}
END_TEST

/* A gate that was taken over cannot move another process's numbers. */
START_TEST(nobody_speaks_for_others)
{
	metrics_put(&said, METRIC_workers, NULL, 1000);
	metrics_put(&said, METRIC_bao_leases, NULL, 1000);
	metrics_put(&said, METRIC_cpu, "vault" METRIC_SEP "", 1000);
	metrics_put(&said, METRIC_connections, NULL, 5);
	metrics_put(&said, METRIC_refused, "judge", 2);
	ck_assert_int_eq(metrics_collect(&list, span_buf(&said), ROLE_GATE, "1"), 0);
	make_text();
	ck_assert_ptr_nonnull(strstr(
	    (char *)text.p, "\naegis_gate_connections{process=\"gate\",name=\"1\"} 5\n"));
	ck_assert_ptr_nonnull(strstr((char *)text.p,
	    "\naegis_permit_refused_total{process=\"gate\",name=\"1\",peer=\"judge\"} "
	    "2\n"));
	ck_assert_ptr_null(strstr((char *)text.p, "1000"));
	ck_assert_ptr_null(strstr((char *)text.p, "0.001"));
}
END_TEST

START_TEST(an_empty_label_is_one)
{
	metrics_put(&said, METRIC_queue, "", 5);
	ck_assert_int_eq(metrics_collect(&list, span_buf(&said), ROLE_GATE, "0"), 0);
	ck_assert_ptr_nonnull(strstr(
	    make_text(), "aegis_queue_bytes{process=\"gate\",name=\"0\",peer=\"\"} 5\n"));
}
END_TEST

START_TEST(malformed_lists_count_for_nothing)
{
	static const struct {
		enum metric id;
		const char *labels;
	} bad[] = {
	    {METRIC_refused, ""},
	    {METRIC_refused, "judge" METRIC_SEP "more"},
	    {METRIC_connections, "x"},
	    {METRIC_refused, "a\nb"},
	    {METRIC_refused, "\xff"},
	    {METRIC_COUNT, ""},
	};
	size_t i;

	for (i = 1; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_reset(&said);
		metrics_put(&said, METRIC_connections, NULL, 5);
		metrics_put(&said, bad[i].id, bad[i].labels, 1);
		ck_assert_int_eq(
		    metrics_collect(&list, span_buf(&said), ROLE_GATE, "0"), -1);
		ck_assert_uint_eq(list.len, 0);
	}
	buf_reset(&said);
	metrics_put(&said, METRIC_connections, NULL, 5);
	for (said.len--; said.len > 0; said.len--)
		ck_assert_int_eq(
		    metrics_collect(&list, span_buf(&said), ROLE_GATE, "0"), -1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("metrics");
	TCase *t = tcase_create("metrics");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, text_of_kinds);
	tcase_add_test(t, same_labels_are_added_up);
	tcase_add_test(t, nobody_speaks_for_others);
	tcase_add_test(t, an_empty_label_is_one);
	tcase_add_test(t, malformed_lists_count_for_nothing);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
