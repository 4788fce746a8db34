/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SecurityContexts: the rows of tests/vectors/contexts.txt (which context_model.py
 * answers independently), and what the compiler refuses. AEGIS_CONTEXT_ROWS names another
 * file.
 */
#include "common/context.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keymasterd/judge/context_eval.h"
#include "keymasterd/judge/context_table.h"

static struct context *
compile(const char *json)
{
	char err[256];
	struct context *c = context_parse(json, strlen(json), err, sizeof err);

	ck_assert_msg(c != NULL, "%s: %s", json, err);
	return c;
}

/* Which capabilities' limits are used up: bits, of the first 32. */
static uint32_t
used_up(size_t cap, void *arg)
{
	const uint32_t *bits = arg;

	return cap < 32 && (*bits >> cap & 1) != 0 ? 7 + (uint32_t)cap : 0;
}

static void
eval_used(const struct context *c, const char *tool, const char *args, uint32_t used,
    struct context_verdict *v)
{
	struct context_call call = {.tool = span_str(tool)};
	struct json_doc doc;

	json_init(&doc);
	ck_assert_msg(json_parse(&doc, args, strlen(args), NULL) == JSON_OK, "%s", args);
	call.doc = &doc;
	call.args = json_root(&doc);
	context_eval(c, &call, used_up, &used, v);
	json_free(&doc);
}

static void
eval(const struct context *c, const char *tool, const char *args,
    struct context_verdict *v)
{
	eval_used(c, tool, args, 0, v);
}

START_TEST(rows)
{
	const char *path = getenv("AEGIS_CONTEXT_ROWS");
	struct context *c = NULL;
	struct context_verdict v;
	unsigned number = 0, count = 0, wrong = 0;
	uint32_t used = 0;
	char *line = NULL, *tool, *args, got[16];
	size_t size = 0;
	ssize_t n;
	FILE *f;

	f = fopen(path == NULL ? SRCDIR_VECTORS "/contexts.txt" : path, "re");
	ck_assert_ptr_nonnull(f);
	while ((n = getline(&line, &size, f)) > 0) {
		number++;
		line[n - 1] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		ck_assert_ptr_nonnull(tool = strchr(line, '\t'));
		*tool++ = '\0';
		if (strcmp(line, "context") == 0) {
			context_free(c);
			c = compile(tool);
			used = 0;
			continue;
		}
		if (strcmp(line, "used") == 0) {
			used = (uint32_t)strtoul(tool, NULL, 10);
			continue;
		}
		ck_assert_ptr_nonnull(args = strchr(tool, '\t'));
		*args++ = '\0';
		ck_assert_ptr_nonnull(c);
		eval_used(c, tool, args, used, &v);
		ck_assert_int_eq(v.retry_after != 0, v.code == 2005);
		snprintf(got, sizeof got, "%u", v.code);
		if (strcmp(line, v.allowed ? "allow" : got) != 0) {
			printf("line %u: %s %s: %s %s, expected %s\n", number, tool, args,
			    v.allowed ? "allow" : got, v.why, line);
			wrong++;
		}
		ck_assert_int_eq(v.allowed, v.code == 0);
		ck_assert_int_eq(v.allowed, v.why[0] == '\0');
		count++;
	}
	free(line);
	fclose(f);
	context_free(c);
	ck_assert_uint_ge(count, 900);
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

static const struct {
	const char *json, *err; /* err: how the text begins */
} refused[] = {
    {"", "not JSON"},
    {"[]", "a SecurityContext must be an object"},
    {"{}", "name: must be a text"},
    {"{\"name\":\"\",\"capabilities\":[]}", "name: must not be empty"},
    {"{\"name\":\"Aa\",\"capabilities\":[]}", "name: must be small"},
    {"{\"name\":\"1a\",\"capabilities\":[]}", "name: must be small"},
    {"{\"name\":\"a_b\",\"capabilities\":[]}", "name: must be small"},
    {"{\"name\":\"a\"}", "capabilities: must be a list"},
    {"{\"name\":\"a\",\"capabilities\":{}}", "capabilities: must be a list"},
    {"{\"name\":\"a\",\"capabilities\":[],\"extra\":1}", "extra: not known here"},
    {"{\"name\":\"a\",\"name\":\"b\",\"capabilities\":[]}", "not JSON"},
    {"{\"name\":\"a\",\"capabilities\":[],\"description\":1}", "description: must be"},
    {"{\"name\":\"a\",\"capabilities\":[1]}", "capabilities[0]: must be an object"},
    {"{\"name\":\"a\",\"capabilities\":[{}]}", "capabilities[0].tool_pattern: must be a"},
    {"{\"name\":\"a\",\"capabilities\":[],\"deny_list\":{}}",
	"deny_list: must be a list"},
    {"{\"name\":\"a\",\"capabilities\":[],\"deny_list\":[1]}", "deny_list[0]: must be a"},
    {"{\"name\":\"a\",\"capabilities\":[],\"deny_list\":[\"\"]}",
	"deny_list[0]: must not"},
    {"{\"name\":\"a\",\"capabilities\":[],\"deny_list\":[\"x:\"]}",
	"deny_list[0]: nothing"},
    {"{\"name\":\"a\",\"capabilities\":[],\"deny_list\":[\":x\"]}",
	"deny_list[0]: must be"},
    {"{\"name\":\"a\",\"capabilities\":[],\"deny_list\":[\"a*\"]}",
	"deny_list[0]: must be"},
    {"{\"name\":\"a\",\"capabilities\":[],\"deny_list\":[\"a:/x/..\"]}",
	"deny_list[0]: \"..\""},
    {"{\"name\":\"a\",\"capabilities\":[],\"deny_list\":[{\"tool_pattern\":\"a\",\"x\":1}"
     "]}",
	"deny_list[0]: must be a"},
};

/* A capability's members, and how the text goes on after "capabilities[0]". */
static const char *const refused_caps[][2] = {
    {"\"tool_pattern\":\"*x\"", ".tool_pattern: must be"},
    {"\"tool_pattern\":\"a*b\"", ".tool_pattern: must be"},
    {"\"tool_pattern\":\"a*\"", ".tool_pattern: must be"},
    {"\"tool_pattern\":\"*.*\"", ".tool_pattern: must be"},
    {"\"tool_pattern\":\"**\"", ".tool_pattern: must be"},
    {"\"tool_pattern\":null", ".tool_pattern: must be a text"},
    {"\"tool_pattern\":\"x\",\"max_concurrent\":0", ".max_concurrent: must be 1"},
    {"\"tool_pattern\":\"x\",\"paths\":[]", ".paths: not known here"},
    {"\"tool_pattern\":\"x\",\"constraints\":[]", ".constraints: must be an object"},
    {"\"tool_pattern\":\"x\",\"constraints\":{\"y\":1}",
	".constraints.y: not known here"},
    {"\"tool_pattern\":\"x\",\"path_allowlist\":[],\"constraints\":{\"path_allowlist\":[]"
     "}",
	".constraints.path_allowlist: also stands"},
    {"\"tool_pattern\":\"x\",\"path_allowlist\":\"/x\"",
	".path_allowlist: must be a list"},
    {"\"tool_pattern\":\"x\",\"path_allowlist\":[1]",
	".path_allowlist[0]: must be a text"},
    {"\"tool_pattern\":\"x\",\"path_allowlist\":[\"/ok\",\"x\"]",
	".path_allowlist[1]: must begin"},
    {"\"tool_pattern\":\"x\",\"path_allowlist\":[\"/a/../b\"]",
	".path_allowlist[0]: \"..\""},
    {"\"tool_pattern\":\"x\",\"path_allowlist\":[\"/a?\"]",
	".path_allowlist[0]: only \"*\""},
    {"\"tool_pattern\":\"x\",\"path_allowlist\":[\"/**/a\"]",
	".path_allowlist[0]: \"**\""},
    {"\"tool_pattern\":\"x\",\"path_allowlist\":[\"/a\\n\"]",
	".path_allowlist[0]: control"},
    {"\"tool_pattern\":\"x\",\"command_allowlist\":[\"git status\"]",
	".command_allowlist[0]: must"},
    {"\"tool_pattern\":\"x\",\"command_allowlist\":[\"/bin/ls\"]",
	".command_allowlist[0]: must"},
    {"\"tool_pattern\":\"x\",\"command_allowlist\":[\"*\"]",
	".command_allowlist[0]: must"},
    {"\"tool_pattern\":\"x\",\"subcommand_allowlist\":\"x\"",
	".subcommand_allowlist: must"},
    {"\"tool_pattern\":\"x\",\"subcommand_allowlist\":{\"git\":\"x\"}",
	".subcommand_allowlist.git: must"},
    {"\"tool_pattern\":\"x\",\"subcommand_allowlist\":{\"git\":[1]}",
	".subcommand_allowlist.git[0]: must"},
    {"\"tool_pattern\":\"x\",\"subcommand_allowlist\":{\"a b\":[]}",
	".subcommand_allowlist.a b: must"},
    {"\"tool_pattern\":\"x\",\"domain_allowlist\":[\"*\"]",
	".domain_allowlist[0]: leave"},
    {"\"tool_pattern\":\"x\",\"domain_allowlist\":[\"x.org:443\"]",
	".domain_allowlist[0]: ports"},
    {"\"tool_pattern\":\"x\",\"domain_allowlist\":[\"https://x.org\"]",
	".domain_allowlist[0]: "},
    {"\"tool_pattern\":\"x\",\"domain_allowlist\":[\"*.1.2.3.4\"]",
	".domain_allowlist[0]: an add"},
    {"\"tool_pattern\":\"x\",\"domain_allowlist\":[\"a.*.b\"]", ".domain_allowlist[0]: "},
    {"\"tool_pattern\":\"x\",\"rate_limit\":\"1/min\"", ".rate_limit: must be"},
    {"\"tool_pattern\":\"x\",\"rate_limit\":{\"calls\":1}", ".rate_limit: must be"},
    {"\"tool_pattern\":\"x\",\"rate_limit\":{\"calls\":0,\"per_seconds\":1}",
	".rate_limit.calls"},
    {"\"tool_pattern\":\"x\",\"rate_limit\":{\"calls\":1.5,\"per_seconds\":1}",
	".rate_limit: must"},
    {"\"tool_pattern\":\"x\",\"rate_limit\":{\"calls\":1,\"per_seconds\":0}",
	".rate_limit.per_seconds"},
    {"\"tool_pattern\":\"x\",\"max_response_size\":0", ".max_response_size: must"},
    {"\"tool_pattern\":\"x\",\"max_response_size\":\"1MB\"", ".max_response_size: must"},
};

static void
expect_refusal(const char *json, const char *text)
{
	char err[256] = "";

	ck_assert_msg(
	    context_parse(json, strlen(json), err, sizeof err) == NULL, "%s", json);
	ck_assert_msg(strncmp(err, text, strlen(text)) == 0,
	    "%s: \"%s\", expected \"%s\"", json, err, text);
}

START_TEST(refuses)
{
	char json[512], text[256];

	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		expect_refusal(refused[i].json, refused[i].err);
	for (size_t i = 0; i < sizeof refused_caps / sizeof refused_caps[0]; i++) {
		snprintf(json, sizeof json, "{\"name\":\"a\",\"capabilities\":[{%s}]}",
		    refused_caps[i][0]);
		snprintf(text, sizeof text, "capabilities[0]%s", refused_caps[i][1]);
		expect_refusal(json, text);
	}
}
END_TEST

static uint32_t
full(size_t cap, void *arg)
{
	size_t *which = arg;

	return cap == *which ? 7 : 0;
}

START_TEST(rates)
{
	struct context *c = compile(
	    "{\"name\":\"r\",\"capabilities\":["
	    "{\"tool_pattern\":\"a\",\"rate_limit\":{\"calls\":2,\"per_seconds\":60}},"
	    "{\"tool_pattern\":\"b\",\"path_allowlist\":[\"/x\"],"
	    "\"rate_limit\":{\"calls\":1,\"per_seconds\":1},"
	    "\"max_response_size\":100},"
	    "{\"tool_pattern\":\"b\",\"max_response_size\":200}]}");
	struct context_call call = {.tool = {"a", 1}};
	struct context_verdict v;
	struct json_doc doc;
	size_t which = 0;

	json_init(&doc);
	ck_assert_int_eq(json_parse(&doc, "{\"path\":\"/x\"}", 13, NULL), JSON_OK);
	call.doc = &doc;
	call.args = json_root(&doc);
	context_eval(c, &call, full, &which, &v);
	ck_assert(!v.allowed);
	ck_assert_uint_eq(v.code, 2005);
	ck_assert_uint_eq(v.retry_after, 7);
	which = 1;
	context_eval(c, &call, full, &which, &v);
	ck_assert(v.allowed);
	call.tool = span_str("b"); /* the limit of the first leaves the second */
	context_eval(c, &call, full, &which, &v);
	ck_assert(v.allowed);
	ck_assert_uint_eq(v.cap, 2);
	ck_assert_uint_eq(v.max_response, 200);
	which = 9;
	context_eval(c, &call, full, &which, &v);
	ck_assert(v.allowed);
	ck_assert_uint_eq(v.cap, 1);
	ck_assert_uint_eq(v.max_response, 100);
	call.args = JSON_NONE; /* no arguments at all */
	context_eval(c, &call, full, &which, &v);
	ck_assert(v.allowed);
	ck_assert_uint_eq(v.cap, 2);
	json_free(&doc);
	context_free(c);
}
END_TEST

START_TEST(builtins)
{
	struct context_verdict v;
	struct context *c;
	size_t n = 0;

	for (const char *json; (json = context_builtin(n)) != NULL; n++) {
		c = compile(json);
		eval(c, "fs.read", "{\"path\":\"/workspace/a\"}", &v);
		ck_assert_msg(v.allowed, "%s: %s", c->name, v.why);
		eval(c, "fs.read", "{\"path\":\"/etc/passwd\"}", &v);
		ck_assert_uint_eq(v.code, 2002);
		eval(c, "fs.delete", "{\"path\":\"/workspace/a\"}", &v);
		ck_assert_uint_eq(v.code, 2001);
		eval(c, "cmd.run", "{\"command\":\"ls\"}", &v);
		ck_assert_uint_eq(v.code, 2001);
		eval(c, "read_file", "{\"path\":\"/workspace/a\"}", &v);
		ck_assert_uint_eq(v.code, 2000);
		context_free(c);
	}
	ck_assert_uint_eq(n, 2);
}
END_TEST

START_TEST(names)
{
	struct context *c = compile(
	    "{\"name\":\"n\",\"capabilities\":[{\"tool_pattern\":\"fs.*\"},"
	    "{\"tool_pattern\":\"x\"}],\"deny_list\":[\"fs.rm\",\"x:/etc\",\"fs.y:*\"]}");

	ck_assert(context_names_tool(c, span_str("fs.read")));
	ck_assert(context_names_tool(c, span_str("x")));
	ck_assert(!context_names_tool(c, span_str("fs.rm")));
	ck_assert(!context_names_tool(c, span_str("fs.y")));
	ck_assert(!context_names_tool(c, span_str("fs.")));
	ck_assert(!context_names_tool(c, span_str("")));
	ck_assert(context_name_ok(span_str("a-1")));
	ck_assert(!context_name_ok(span_str("")));
	ck_assert(!context_name_ok(span_str("-a")));
	context_free(c);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("context");
	TCase *tc = tcase_create("context");
	SRunner *r;
	int failed;

	tcase_add_test(tc, rows);
	tcase_add_test(tc, refuses);
	tcase_add_test(tc, rates);
	tcase_add_test(tc, builtins);
	tcase_add_test(tc, names);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
