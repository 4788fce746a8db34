/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of common/log.c: format, escaping of hostile values, bounds, lost lines.
 */
#include "common/log.c"

#include <check.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "common/json.h"

static char buf[LOG_LINE_MAX + 1];

/* One line with the given fields, without the newline. */
#define LINE(...)                               \
	line_of((struct log_kv[]){__VA_ARGS__}, \
	    sizeof((struct log_kv[]){__VA_ARGS__}) / sizeof(struct log_kv))

static const char *
line_of(const struct log_kv *kv, size_t n)
{
	size_t len = log_line(buf, LOG_LEVEL_INFO, "t.e", kv, n);

	ck_assert_uint_gt(len, 0);
	ck_assert_uint_le(len, LOG_LINE_MAX);
	ck_assert_int_eq(buf[len - 1], '\n');
	buf[len - 1] = '\0';
	ck_assert_uint_eq(strlen(buf), len - 1);
	return buf;
}

/* What follows the event name. */
static const char *
fields(const char *line)
{
	const char *at =
	    strstr(line, self.format == LOG_FORMAT_JSON ? "\"t.e\"" : "event=t.e");

	ck_assert_ptr_nonnull(at);
	return strpbrk(at, " ,}");
}

START_TEST(logfmt_head)
{
	int y, mo, d, h, m, s, us, pid;

	log_init(ROLE_GATE, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	ck_assert_int_eq(
	    sscanf(LINE(LU("n", 5)),
		"ts=%d-%d-%dT%d:%d:%d.%dZ level=info role=gate pid=%d event=t.e n=5", &y,
		&mo, &d, &h, &m, &s, &us, &pid),
	    8);
	ck_assert_int_ge(y, 2024);
	ck_assert_int_eq(pid, getpid());
	ck_assert_ptr_nonnull(strstr(buf, "event=t.e n=5"));
}
END_TEST

START_TEST(logfmt_values)
{
	static const unsigned char id[] = {0x00, 0xff, 0x1a};

	log_init(ROLE_GATE, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	ck_assert_str_eq(fields(LINE(LS("a", "plain"), LI("b", -3), LU("c", UINT64_MAX),
			     LB("d", 7), LX("e", id, 3), LE("f", ENOENT), LS("g", NULL))),
	    " a=plain b=-3 c=18446744073709551615 d=true e=00ff1a f=ENOENT g=-");
	ck_assert_str_eq(fields(LINE(LS("a", ""), LS("b", "x y"), LS("c", "k=v"))),
	    " a=\"\" b=\"x y\" c=\"k=v\"");
	ck_assert_str_eq(fields(LINE(LS("a", "q\"b\\n\nr\r\x1b[31m\x7f"))),
	    " a=\"q\\\"b\\\\n\\nr\\x0d\\x1b[31m\\x7f\"");
	ck_assert_str_eq(fields(LINE(LSN("a", "a\0b", 3))), " a=\"a\\x00b\"");
	/* UTF-8 stays; broken, overlong and cut sequences do not. */
	ck_assert_str_eq(fields(LINE(LS("a", "h\xc3\xa4"))), " a=\"h\xc3\xa4\"");
	ck_assert_str_eq(fields(LINE(LS("a", "\xc0\x80\xff\xe2\x82"))),
	    " a=\"\\xc0\\x80\\xff\\xe2\\x82\"");
	/* C1 control, right-to-left override, zero width space, byte order mark. */
	ck_assert_str_eq(fields(LINE(LS("a", "\xc2\x9b"), LS("b", "\xe2\x80\xae"),
			     LS("c", "\xe2\x80\x8b"), LS("d", "\xef\xbb\xbf"))),
	    " a=\"\\xc2\\x9b\" b=\"\\xe2\\x80\\xae\" c=\"\\xe2\\x80\\x8b\" "
	    "d=\"\\xef\\xbb\\xbf\"");
}
END_TEST

START_TEST(json_values)
{
	log_init(ROLE_JUDGE, LOG_FORMAT_JSON, LOG_LEVEL_INFO);
	ck_assert_str_eq(
	    fields(LINE(LS("a", "x"), LI("b", -3), LB("c", false), LX("d", "\x01", 1))),
	    ",\"a\":\"x\",\"b\":-3,\"c\":false,\"d\":\"01\"}");
	ck_assert_str_eq(fields(LINE(LSN("a", "q\"\\\n\0\xff", 6))),
	    ",\"a\":\"q\\\"\\\\\\n\\\\x00\\\\xff\"}");
}
END_TEST

/* Whatever the octets: one line of text, and in JSON one valid document. */
START_TEST(any_octets_give_one_line)
{
	unsigned char noise[3000];
	unsigned int seed = 99, round;
	struct json_doc doc;
	bool clean = true;
	size_t i, n;

	json_init(&doc);
	for (round = 0; round < 3000; round++) {
		for (i = 0; i < sizeof noise; i++) {
			seed = seed * 1103515245u + 12345u;
			noise[i] = (unsigned char)(seed >> 16);
		}
		n = (seed >> 8) % sizeof noise;
		log_init(ROLE_GATE, round % 2 ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT,
		    LOG_LEVEL_INFO);
		LINE(LSN("a", noise, n), LSN("b", noise, n / 50), LX("c", noise, n),
		    LU("d", 1), LSN("e", noise + 1000, n / 2));
		for (i = 0; buf[i] != '\0'; i++)
			clean &= (unsigned char)buf[i] >= ' ' && buf[i] != 0x7f;
		if (round % 2)
			ck_assert_int_eq(
			    json_parse(&doc, buf, strlen(buf), NULL), JSON_OK);
	}
	ck_assert(clean);
	json_free(&doc);
}
END_TEST

START_TEST(long_values_are_cut_and_long_lines_say_so)
{
	char big[5000];
	struct json_doc doc;
	const char *at;

	memset(big, 'a', sizeof big);
	log_init(ROLE_GATE, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	at = fields(LINE(LSN("v", big, sizeof big), LU("after", 1)));
	ck_assert_uint_eq(strlen(at), strlen(" v=\"...\" after=1") + LOG_VALUE_MAX);
	ck_assert_ptr_nonnull(strstr(at, "aaa...\" after=1"));
	at = fields(LINE(LSN("v", big, 1000), LSN("w", big, 1000), LSN("x", big, 1000),
	    LSN("y", big, 1000), LU("after", 1)));
	ck_assert_ptr_nonnull(strstr(at, " x=aaa"));
	ck_assert_ptr_null(strstr(at, " y="));
	ck_assert_ptr_nonnull(strstr(at, " after=1 truncated=true"));
	memset(big, 1, sizeof big);
	log_init(ROLE_GATE, LOG_FORMAT_JSON, LOG_LEVEL_INFO);
	at = fields(LINE(LSN("v", big, sizeof big), LU("after", 1)));
	ck_assert_str_eq(at, ",\"after\":1,\"truncated\":true}");
	json_init(&doc);
	ck_assert_int_eq(json_parse(&doc, buf, strlen(buf), NULL), JSON_OK);
	json_free(&doc);
}
END_TEST

static size_t
read_all(int fd, char *out, size_t cap)
{
	ssize_t n = read(fd, out, cap - 1);

	if (n < 0)
		n = 0;
	out[n] = '\0';
	return (size_t)n;
}

START_TEST(levels_select_and_arguments_rest)
{
	char out[9000];
	int p[2], calls = 0;

	ck_assert_int_eq(pipe2(p, O_NONBLOCK), 0);
	log_set_fd(p[1]);
	log_init(ROLE_VAULT, LOG_FORMAT_LOGFMT, LOG_LEVEL_WARN);
	errno = EBUSY;
	LOG_INFO("not.this", LI("n", ++calls));
	LOG_WARN("but.this");
	LOG_ERROR("and.this", LI("n", ++calls));
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(calls, 1);
	read_all(p[0], out, sizeof out);
	ck_assert_ptr_null(strstr(out, "not.this"));
	ck_assert_ptr_nonnull(strstr(out, "level=warn role=vault"));
	ck_assert_ptr_nonnull(strstr(out, "event=but.this\n"));
	ck_assert_ptr_nonnull(strstr(out, "event=and.this n=1\n"));
	log_set_level(LOG_LEVEL_DEBUG);
	LOG_DEBUG("now");
	read_all(p[0], out, sizeof out);
	ck_assert_ptr_nonnull(strstr(out, "level=debug"));
}
END_TEST

START_TEST(full_pipe_is_counted)
{
	static char out[1 << 20];
	int p[2], i;

	ck_assert_int_eq(pipe2(p, O_NONBLOCK), 0);
	ck_assert_int_ge(fcntl(p[1], F_SETPIPE_SZ, 4096), 4096);
	log_set_fd(p[1]);
	log_init(ROLE_GATE, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	for (i = 0; i < 500; i++)
		LOG_INFO("flood", LI("i", i));
	read_all(p[0], out, sizeof out);
	ck_assert_ptr_null(strstr(out, "log.dropped"));
	LOG_INFO("after");
	read_all(p[0], out, sizeof out);
	ck_assert_ptr_nonnull(strstr(out, "event=log.dropped n="));
	ck_assert_ptr_nonnull(strstr(out, "event=after\n"));
	LOG_INFO("again");
	read_all(p[0], out, sizeof out);
	ck_assert_ptr_null(strstr(out, "log.dropped"));
}
END_TEST

START_TEST(names_parse)
{
	enum log_level level;
	enum log_format format;

	ck_assert_int_eq(log_level_parse("warn", &level), 0);
	ck_assert_int_eq(level, LOG_LEVEL_WARN);
	ck_assert_int_eq(log_level_parse("warning", &level), -1);
	ck_assert_int_eq(log_format_parse("json", &format), 0);
	ck_assert_int_eq(format, LOG_FORMAT_JSON);
	ck_assert_int_eq(log_format_parse("xml", &format), -1);
	ck_assert_int_eq(role_from_name("vault"), ROLE_VAULT);
	ck_assert_int_eq(role_from_name("none"), ROLE_NONE);
	ck_assert_int_eq(role_from_name(NULL), ROLE_NONE);
	ck_assert_str_eq(role_name((enum role)77), "none");
	ck_assert_str_eq(role_info(ROLE_VAULT)->title, "keymasterd: vault");
}
END_TEST

START_TEST(fatal_logs_and_exits)
{
	char out[1000];
	int p[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		log_set_fd(p[1]);
		errno = EACCES;
		fatal("cannot open %s", "x y");
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	read_all(p[0], out, sizeof out);
	ck_assert_ptr_nonnull(
	    strstr(out, "event=fatal msg=\"cannot open x y\" errno=EACCES\n"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");
	SRunner *run;
	int failed;

	tcase_add_test(tc, logfmt_head);
	tcase_add_test(tc, logfmt_values);
	tcase_add_test(tc, json_values);
	tcase_add_test(tc, any_octets_give_one_line);
	tcase_add_test(tc, long_values_are_cut_and_long_lines_say_so);
	tcase_add_test(tc, levels_select_and_arguments_rest);
	tcase_add_test(tc, full_pipe_is_counted);
	tcase_add_test(tc, names_parse);
	tcase_add_test(tc, fatal_logs_and_exits);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed == 0 ? 0 : 1;
}
