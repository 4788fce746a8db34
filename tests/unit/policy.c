/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies, time zones and the limits of credentials: the decision table of
 * tests/vectors/policies.txt (and AEGIS_POLICY_ROWS), what is refused and where.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aegis/zoneinfo.h"
#include "common/access.h"
#include "common/buf.h"
#include "common/policy.h"
#include "common/target.h"

static const struct zone *
find(const char *name, void *arg)
{
	static struct zone *zones[32];
	struct buf table;
	size_t i;

	(void)arg;
	for (i = 0; i < 32 && zones[i] != NULL; i++)
		if (strcmp(zone_name(zones[i]), name) == 0)
			return zones[i];
	buf_init(&table);
	if (i == 32 || !zoneinfo_known(name) ||
	    zoneinfo_table(name, 1773144030, &table) == -1)
		return NULL;
	zones[i] = zone_new(name, span_mem(table.p, table.len));
	buf_free(&table);
	return zones[i];
}

static struct policy *
parse(const char *json, char *err, size_t size)
{
	struct policy *p = policy_parse(span_str(json), err, size);
	const char *zone = NULL;

	if (p != NULL)
		ck_assert_msg(policy_link(p, find, NULL, &zone) == 0, "%s", zone);
	return p;
}

static void
ask(const struct policy *p, char *const f[6], unsigned line)
{
	static struct target_readings path;
	char why[600];
	const struct policy_rule *rule, *by;
	struct policy_request q = {
	    .service = span_str(f[2]), .method = span_str(f[3]), .path = &path};
	enum policy_violation v;

	ck_assert_int_eq(target_read(span_str(f[4]), &path), 0);
	q.unix_s = strtoll(f[5], NULL, 10);
	rule = policy_decide(p, &q, &v, &by);
	ck_assert_msg(
	    strcmp(rule != NULL ? "allow" : policy_violation_name(v), f[0]) == 0 &&
		(by == NULL ? 0 : by - p->rules + 1) == atoi(f[1]),
	    "line %u: %s", line, policy_violation_name(v));
	policy_explain(p, by, v, &q, why, sizeof(why));
	ck_assert(why[0] != '\0' && rule == (v == POLICY_NONE ? by : NULL));
}

static unsigned
run_table(const char *path)
{
	static char line[65536];
	char err[512], *f[6], *save;
	struct policy *p = NULL;
	unsigned number = 0, asked = 0, i;
	FILE *in = fopen(path, "re");

	ck_assert_ptr_nonnull(in);
	while (fgets(line, sizeof(line), in) != NULL) {
		number++;
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "policy\t", 7) == 0) {
			policy_free(p);
			p = parse(line + 7, err, sizeof(err));
			ck_assert_msg(p != NULL, "line %u: %s", number, err);
			continue;
		}
		for (i = 0, save = line; i < 6; i++)
			f[i] = strsep(&save, "\t");
		ck_assert_ptr_nonnull(f[5]);
		ask(p, f, number);
		asked++;
	}
	policy_free(p);
	fclose(in);
	return asked;
}

START_TEST(decision_table)
{
	const char *more = getenv("AEGIS_POLICY_ROWS");

	ck_assert_uint_ge(run_table(SRCDIR_VECTORS "/policies.txt"), 400);
	if (more != NULL)
		ck_assert_uint_ge(run_table(more), 1000);
}
END_TEST

#define RULE(members) "{\"agent\":\"a\",\"rules\":[{\"service\":\"s\"," members "}]}"

static const struct {
	const char *json, *say;
} wrong[] = {
    {"[]", "policy: expected a map"},
    {"{\"rules\":[]}", "agent is missing"},
    {"{\"agent\":7,\"rules\":[]}", "agent: expected the name of an agent, in quotes"},
    {"{\"agent\":\"a b\",\"rules\":[]}", "letters, digits, _ and -"},
    {"{\"agent\":\"a\",\"rules\":[]}", "rules: expected a list of 1 to 256 rules"},
    {"{\"agent\":\"a\",\"rule\":[]}", "unknown key \"rule\", expected agent and rules"},
    {"{\"agent\":\"a\",\"rules\":[1]}", "rules[0]: expected a map"},
    {"{\"agent\":\"a\",\"rules\":[{}]}", "rules[0].service is missing"},
    {RULE("\"method\":[]"), "unknown key \"method\""},
    {RULE("\"methods\":[]"), "rules[0].methods: expected a list of 1 to 7"},
    {RULE("\"methods\":\"GET\""), "rules[0].methods: expected a list"},
    {RULE("\"methods\":[\"GTE\"]"), "rules[0].methods[0]: found \"GTE\""},
    {RULE("\"methods\":[\"GET\",\"get\"]"), "rules[0].methods[1]: get is there twice"},
    {RULE("\"paths\":[]"), "rules[0].paths: expected a list of 1 to 64"},
    {RULE("\"paths\":[1]"), "rules[0].paths[0]: expected a regular expression"},
    {RULE("\"paths\":[\"/u/{id}\"]"), "at character 5: expected a number"},
    {RULE("\"paths\":[\"(?=x)\"]"), "lookaround"},
    {RULE("\"paths\":[\"(.*)\\\\1\"]"), "linear time"},
    {RULE("\"rate_limit\":\"5/month\""), "rules[0].rate_limit: found \"5/month\""},
    {RULE("\"rate_limit\":\"0/min\""), "expected a rate such as 100/min"},
    {RULE("\"rate_limit\":5"), "rules[0].rate_limit: expected a rate"},
    {RULE("\"rate_limit\":\"5/min\",\"rateLimit\":\"6/min\""), "is rate_limit again"},
    {RULE("\"time_window\":{}"), "rules[0].time_window.start is missing"},
    {RULE("\"time_window\":{\"start\":\"9:00\",\"end\":\"10:00\"}"), "found \"9:00\""},
    {RULE("\"time_window\":{\"start\":\"24:00\",\"end\":\"10:00\"}"), "00:00 to 23:59"},
    {RULE("\"time_window\":{\"start\":\"09:60\",\"end\":\"10:00\"}"), "00:00 to 23:59"},
    {RULE("\"time_window\":{\"start\":\"09:00\",\"end\":\"1000\"}"), "00:00 to 23:59"},
    {RULE(
	 "\"time_window\":{\"start\":\"09:00\",\"end\":\"10:00\",\"timezone\":\"../x\"}"),
	"expected a time zone such as"},
    {RULE("\"time_window\":{\"start\":\"09:00\",\"end\":\"10:00\",\"zone\":\"UTC\"}"),
	"unknown key \"zone\""},
};

START_TEST(refuses)
{
	char err[512] = "";

	ck_assert_ptr_null(policy_parse(span_str(wrong[_i].json), err, sizeof(err)));
	ck_assert_msg(strstr(err, wrong[_i].say) != NULL, "%s: %s", wrong[_i].json, err);
}
END_TEST

/* A rule's key is about what it is about, not about its place or limit. */
START_TEST(keys)
{
	static const char two[] = "{\"agent\":\"a\",\"rules\":[{\"service\":\"x\"},"
				  "{\"service\":\"s\",\"rateLimit\":\"9/day\"}]}";
	char err[512];
	struct policy *p = parse(RULE("\"rate_limit\":\"5/min\""), err, sizeof(err));
	struct policy *q = parse(two, err, sizeof(err));
	struct policy *r = parse(RULE("\"methods\":[\"GET\"]"), err, sizeof(err));

	ck_assert_str_eq(p->rules[0].key, q->rules[1].key);
	ck_assert_str_ne(p->rules[0].key, q->rules[0].key);
	ck_assert_str_ne(p->rules[0].key, r->rules[0].key);
	ck_assert(q->rules[1].has_rate && q->rules[1].rate.count == 9);
	policy_free(p);
	policy_free(q);
	policy_free(r);
}
END_TEST

START_TEST(overrides)
{
	static const char headers[] = "accept: x\r\nX-Http-Method-OVERRIDE: PUT\r\n"
				      "y-original-url: /\r\nx-rewrite-url: /a\r\n";
	struct policy_request q = {.unix_s = 0};

	policy_overrides(span_mem(NULL, 0), &q);
	policy_overrides(span_str("x-original-ur: 1\r\nxx-http-method: 2\r\n"), &q);
	ck_assert(q.method_override == NULL && q.path_override == NULL);
	policy_overrides(span_str(headers), &q);
	ck_assert_str_eq(q.method_override, "x-http-method-override");
	ck_assert_str_eq(q.path_override, "x-rewrite-url");
	/* servers that make one variable of both spellings */
	q = (struct policy_request){0};
	policy_overrides(span_str("X_Original_Url: /\r\nX-HTTP_Method: PUT\r\n"), &q);
	ck_assert_str_eq(q.path_override, "x-original-url");
	ck_assert_str_eq(q.method_override, "x-http-method");
}
END_TEST

START_TEST(zones)
{
	static const char *const bad[] = {"", "/etc/passwd", "../UTC", "Europe//Berlin",
	    "Europe/", "Europe/Ber lin", "1x", "Mars/Olympus", "Europe", "tzdata.zi"};
	uint8_t steps[2 * ZONE_STEP_LEN] = {0};
	struct zone *z;
	time_t now = time(NULL);
	struct tm before, after;

	localtime_r(&now, &before);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!zoneinfo_known(bad[i]), "%s", bad[i]);
	ck_assert(zoneinfo_known("UTC") && zoneinfo_known("Europe/Berlin"));
	ck_assert_int_eq(zone_offset(find("Europe/Berlin", NULL), 1774745999), 3600);
	ck_assert_int_eq(zone_offset(find("Europe/Berlin", NULL), 1774746000), 7200);
	ck_assert_int_eq(zone_offset(NULL, 1774746000), 0);
	localtime_r(&now, &after);
	ck_assert_int_eq(before.tm_gmtoff, after.tm_gmtoff);
	/* tables that are none */
	ck_assert_ptr_null(zone_new("A", span_mem(steps, 0)));
	ck_assert_ptr_null(zone_new("A", span_mem(steps, ZONE_STEP_LEN - 1)));
	ck_assert_ptr_null(zone_new("A", span_mem(steps, sizeof(steps)))); /* no order */
	steps[8] = 0x7f;
	ck_assert_ptr_null(zone_new("A", span_mem(steps, ZONE_STEP_LEN)));
	steps[8] = 0;
	z = zone_new("A", span_mem(steps, ZONE_STEP_LEN));
	ck_assert_int_eq(zone_offset(z, -5), 0);
	zone_free(z);
}
END_TEST

/* ---- limits of credentials ---- */

static const struct {
	const char *methods, *allow, *deny, *method, *target;
	enum access_verdict want;
} limits[] = {
    {"", "", "", "TRACE", "/x", ACCESS_GOOD},
    {"GET,HEAD", "", "", "HEAD", "/x", ACCESS_GOOD},
    {"GET,HEAD", "", "", "POST", "/x", ACCESS_METHOD},
    {"GET,HEAD", "", "", "get", "/x", ACCESS_METHOD},
    {"", "/repos/**", "", "GET", "/repos", ACCESS_GOOD},
    {"", "/repos/**", "", "GET", "/repos/", ACCESS_GOOD},
    {"", "/repos/**", "", "GET", "/repos/a/b?c", ACCESS_GOOD},
    {"", "/repos/**", "", "GET", "/reposx", ACCESS_PATH},
    {"", "/repos/**", "", "GET", "/x/repos/a", ACCESS_PATH},
    {"", "/repos/**", "", "GET", "/x?/repos/a", ACCESS_PATH},
    {"", "/a/*/c", "", "GET", "/a/b/c", ACCESS_GOOD},
    {"", "/a/*/c", "", "GET", "/a//c", ACCESS_PATH},
    {"", "/a/*/c", "", "GET", "/a/b/b/c", ACCESS_PATH},
    {"", "/a/**/c", "", "GET", "/a/c", ACCESS_GOOD},
    {"", "/a/**/c", "", "GET", "/a/b/b/c", ACCESS_GOOD},
    {"", "/a/**/c", "", "GET", "/a/bc", ACCESS_PATH},
    {"", "/a*b**c", "", "GET", "/axb/y/c", ACCESS_GOOD},
    {"", "/**", "", "GET", "/", ACCESS_GOOD},
    {"", "/a.b+(c)[d]{e}|^$", "", "GET", "/a.b+(c)[d]{e}|^$", ACCESS_GOOD},
    {"", "/a.b", "", "GET", "/axb", ACCESS_PATH},
    {"", "/\xc3\xa9", "", "GET", "/%C3%A9", ACCESS_GOOD},
    {"", "/A", "", "GET", "/a", ACCESS_PATH},
    {"", "", "/Admin/**", "GET", "/aDMIN/x", ACCESS_PATH},
    {"", "", "/admin/**", "GET", "/%61dmin", ACCESS_PATH},
    {"", "", "/admin/**", "GET", "//admin", ACCESS_PATH},
    {"", "", "/admin/**", "GET", "/admin;x=1/y", ACCESS_PATH},
    {"", "", "/admin/**", "GET", "/;/admin", ACCESS_PATH},
    {"", "", "/admin/**", "GET", "/admin/%E2%80%A8", ACCESS_PATH},
    {"", "", "/admin/**", "GET", "/administrator", ACCESS_GOOD},
    /* an upstream that takes an escaped ? or # for the end of the path */
    {"", "", "/admin", "GET", "/admin%3Fx", ACCESS_PATH},
    {"", "", "/admin/**", "GET", "/admin%3fx/y", ACCESS_PATH},
    {"", "", "/admin/**", "GET", "/admin%23", ACCESS_PATH},
    {"", "", "/admin/**", "GET", "//admin;x%3F/y", ACCESS_PATH},
    {"", "", "/a/*/b", "GET", "/a/x%23/b%3Fz", ACCESS_PATH},
    {"", "", "/a/b", "GET", "/a;x%3Fy/b", ACCESS_PATH},
    {"", "", "/a/b", "GET", "/a;x%3Fy/b%3Fz", ACCESS_PATH},
    {"", "", "/a", "GET", "/a;x%3Fy/b%3Fz", ACCESS_PATH},
    {"", "", "/admin", "GET", "/x%3F/admin", ACCESS_GOOD},
    {"", "/a/*/public", "", "GET", "/a/b%3F/public", ACCESS_PATH},
    {"", "/repos/**", "/admin", "GET", "/repos/x/heads/fix%2312", ACCESS_GOOD},
    {"", "/wiki/*", "", "GET", "/wiki/What%3F", ACCESS_GOOD},
    {"", "/a/**", "/a/b", "GET", "/a/b", ACCESS_PATH},
    {"", "/a/**", "/a/b", "GET", "/a/b/c", ACCESS_GOOD},
};

START_TEST(access_limits)
{
	struct access *a = access_new(span_str(limits[_i].methods),
	    span_str(limits[_i].allow), span_str(limits[_i].deny));
	const char *why;

	ck_assert_ptr_nonnull(a);
	ck_assert_int_eq(access_check(a, span_str(limits[_i].method),
			     span_str(limits[_i].target), span_mem(NULL, 0), &why),
	    limits[_i].want);
	ck_assert_ptr_null(why);
	access_free(a);
}
END_TEST

START_TEST(access_texts)
{
	static const char *const bad[] = {"repos", "/a,,/b", "/a,", "/a?b", "/a#",
	    "/a%20", "/a;b", "/a\\b", "/a//b", "/a***", "/a\x01", "/\xff"};
	char out[ACCESS_PATHS_MAX + 1], small[8];

	ck_assert_ptr_null(
	    access_methods_text(span_str(" get ,HEAD, GET"), out, sizeof(out)));
	ck_assert_str_eq(out, "GET,HEAD");
	ck_assert_ptr_null(access_methods_text(span_str("None"), out, sizeof(out)));
	ck_assert_str_eq(out, "");
	ck_assert_ptr_nonnull(access_methods_text(span_str("GET,,"), out, sizeof(out)));
	ck_assert_ptr_nonnull(access_methods_text(span_str("TRACE"), out, sizeof(out)));
	ck_assert_ptr_null(access_paths_text(span_str("/a/** , /b"), out, sizeof(out)));
	ck_assert_str_eq(out, "/a/**,/b");
	ck_assert_ptr_nonnull(
	    access_paths_text(span_str("/a/**,/b"), small, sizeof(small)));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(
		    access_paths_text(span_str(bad[i]), out, sizeof(out)) != NULL, "%s",
		    bad[i]);
		ck_assert_ptr_null(
		    access_new(span_str(""), span_str(""), span_str(bad[i])));
	}
	ck_assert_ptr_null(access_new(span_str("GETX"), span_str(""), span_str("")));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("policy");
	TCase *t = tcase_create("policy");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, decision_table);
	tcase_add_loop_test(t, refuses, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(t, keys);
	tcase_add_test(t, overrides);
	tcase_add_test(t, zones);
	tcase_add_loop_test(t, access_limits, 0, sizeof(limits) / sizeof(limits[0]));
	tcase_add_test(t, access_texts);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
