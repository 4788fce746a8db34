/* SPDX-License-Identifier: Apache-2.0 */
/* Whose answer a line is that is not kept. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "toolhostd/mcp_skim.h"

static const struct {
	const char *line;
	uint64_t id;
	bool method;
} lines[] = {
    {"{\"jsonrpc\":\"2.0\",\"id\":17,\"result\":{\"id\":4}}", 17, false},
    {"{\"result\":{\"content\":[{\"id\":4,\"text\":\"\\\"id\\\":5,\"}]},\"id\": 18 }", 18,
	false},
    {"{\"result\":{\"id\":3},\"id\":\"9\"}", 0, false},
    {"{\"id\":7.5}", 0, false},
    {"{\"id\":-7}", 0, false},
    {"{\"id\":[7]}", 0, false},
    {"{\"i\\u0064\":7}", 0, false},
    {"{\"id\":99999999999999999999999}", 0, false},
    {"{\"method\":\"notifications/message\",\"params\":{\"id\":1}}", 0, true},
    {"{\"params\":{\"method\":\"x\"},\"id\":5,\"error\":{}}", 5, false},
    {"[{\"id\":5}]", 0, false},
    {"}}}]]]\"", 0, false},
    {"{\"idle\":1,\"ids\":2,\"id\":3,\"identity\":4}", 3, false},
};

START_TEST(every_cut)
{
	size_t len = strlen(lines[_i].line), cut;
	const uint8_t *p = (const uint8_t *)lines[_i].line;

	for (cut = 0; cut <= len; cut++) {
		struct mcp_skim s = {0};

		mcp_skim(&s, p, cut);
		mcp_skim(&s, p + cut, len - cut);
		ck_assert_uint_eq(s.id, lines[_i].id);
		ck_assert_int_eq(s.method, lines[_i].method);
		ck_assert_uint_eq(s.len, len);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mcp_skim");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, every_cut, 0, (int)(sizeof(lines) / sizeof(lines[0])));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
