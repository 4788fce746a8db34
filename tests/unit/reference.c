/* SPDX-License-Identifier: Apache-2.0 */
/* References to secrets in OpenBao: what is read, and that nothing leads elsewhere. */
#include "common/reference.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text, *mount, *path, *field;
	unsigned version;
} good[] = {
    {"vault:kv/a", "kv", "a", "", 0},
    {"vault:aegis-system/tools/search_api.key", "aegis-system", "tools/search_api.key",
	"", 0},
    {"vault:kv/a/b#field", "kv", "a/b", "field", 0},
    {"vault:kv/a#f@7", "kv", "a", "f", 7},
    {"vault:kv/a@999999999", "kv", "a", "", 999999999},
    {"vault:kv/...", "kv", "...", "", 0},
    {"vault:kv/.a/a.", "kv", ".a/a.", "", 0},
    {"secret:a", "", "a", "", 0},
    {"secret:tools/search#key@3", "", "tools/search", "key", 3},
    {"secret:tenant-b/a", "", "tenant-b/a", "", 0},
    {"vault:db/other/role", "db", "other/role", "", 0},
};

static const char *const bad[] = {"", "vault:", "vault:kv", "vault:kv/", "vault:/a",
    "kv/a", "Vault:kv/a", "vault:kv//a", "vault:kv/a/", "vault:kv/../a", "vault:../kv/a",
    "vault:kv/..", "vault:./a", "vault:kv/a/./b", "vault:kv/%2e%2e/a",
    "vault:kv/a?version=2", "vault:kv/a b", "vault:kv/a\n", "vault:kv/\xc3\xa9",
    "vault:kv/a#", "vault:kv/a#f g", "vault:kv/a#f#g", "vault:kv/a#f/g", "vault:kv/a@",
    "vault:kv/a@0", "vault:kv/a@01", "vault:kv/a@-1", "vault:kv/a@1#f",
    "vault:kv/a@1000000000", "vault:kv/a@1x", "vault:kv\\a/b", "vault:db/creds/role@1",
    "vault:database/creds/role/more", "vault:database/creds/role#other",
    "secret:", "secret:/a", "secret:../a", "secret:a/../b", "secret:a/..", "secret:a//b",
    "secret:a/", "secret:%2e%2e/a", "secret:a%2fb", "secret:a\\b", "secret:a?namespace=b",
    "secret:a#", "secret:a@0", "secret: a", "vault:tenant-b/a",
    "vault:tenant-b/kv/data/a", "vault:tenant-/a"};

START_TEST(accepts)
{
	struct reference r;

	ck_assert_ptr_null(reference_parse(span_str(good[_i].text), &r));
	ck_assert_str_eq(r.mount, good[_i].mount);
	ck_assert_str_eq(r.path, good[_i].path);
	ck_assert_str_eq(r.field, good[_i].field);
	ck_assert_uint_eq(r.version, good[_i].version);
}
END_TEST

START_TEST(refuses)
{
	struct reference r;

	ck_assert_ptr_nonnull(reference_parse(span_str(bad[_i]), &r));
}
END_TEST

/* As long as it may be, and one more, in each part. */
START_TEST(lengths)
{
	static const size_t max[] = {64, 256, 128};
	char text[1000], part[3][300];
	struct reference r;
	int i, more;

	for (i = 0; i < 3; i++)
		for (more = 0; more < 2; more++) {
			for (int j = 0; j < 3; j++) {
				size_t n = j == i ? max[j] + (size_t)more : 1;

				memset(part[j], 'x', n);
				part[j][n] = '\0';
			}
			snprintf(text, sizeof(text), "vault:%s/%s#%s", part[0], part[1],
			    part[2]);
			ck_assert_int_eq(
			    reference_parse(span_str(text), &r) == NULL, !more);
		}
	/* what is not NUL-terminated is read no further than its length */
	ck_assert_ptr_null(reference_parse(span_mem("vault:kv/ab", 10), &r));
	ck_assert_str_eq(r.path, "a");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("reference");
	TCase *t = tcase_create("reference");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(t, accepts, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(t, refuses, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(t, lengths);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
