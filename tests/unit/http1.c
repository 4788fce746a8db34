/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/http1 and common/http1_chunk: the smuggling corpus, answers, every
 * split point, limits, helpers.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http1.h"
#include "common/http1_chunk.h"

#define CASE_MAX 65536
#define INCOMPLETE 1 /* beside enum http1_err */

/* What was understood of one message. */
struct reading {
	int err; /* HTTP1_OK, INCOMPLETE or a negative enum http1_err */
	size_t head_len;
	struct http1_head head;
	char body[CASE_MAX];
	size_t body_len;
	size_t rest_len;
};

/* How the bytes arrive: first so many, then step more at a time. */
struct arrival {
	size_t first;
	size_t step;
	bool move; /* in a new block of exactly the right size each time */
};

static size_t
more(size_t have, size_t len, size_t step)
{
	return len - have > step ? have + step : len;
}

/* A copy without a byte to spare, for the sanitizers to guard. */
static char *
exact_copy(const char *buf, size_t len)
{
	char *p = malloc(len > 0 ? len : 1);

	ck_assert_ptr_nonnull(p);
	memcpy(p, buf, len);
	return p;
}

static int
read_chunks(
    const char *buf, size_t have, size_t len, struct arrival how, struct reading *r)
{
	struct http1_chunked c = {0};
	size_t from = r->head_len;

	for (;;) {
		char *copy = how.move ? exact_copy(buf + from, have - from) : NULL;
		struct span in = {copy != NULL ? copy : buf + from, have - from}, data;
		int got;

		while ((got = http1_chunk_next(&c, &in, &data)) == HTTP1_CHUNK_DATA) {
			ck_assert_uint_gt(data.len, 0);
			memcpy(r->body + r->body_len, data.p, data.len);
			r->body_len += data.len;
		}
		from = have - in.len;
		free(copy);
		if (got == HTTP1_CHUNK_END)
			r->rest_len = len - from;
		if (got != HTTP1_CHUNK_MORE) {
			struct span none = {NULL, 0};

			ck_assert_int_eq(http1_chunk_next(&c, &none, &data), got);
			return got < 0 ? got : HTTP1_OK;
		}
		ck_assert_uint_eq(in.len, 0);
		if (have == len)
			return INCOMPLETE;
		have = more(have, len, how.step);
	}
}

static void
read_message(const char *buf, size_t len, enum http1_kind kind, struct arrival how,
    struct reading *r)
{
	size_t have = how.first < len ? how.first : len;
	struct http1_parser parser;
	ssize_t n;

	r->body_len = r->rest_len = r->head_len = 0;
	http1_parser_init(&parser, kind, NULL);
	for (;;) {
		char *copy = how.move ? exact_copy(buf, have) : NULL;

		n = http1_head_parse(&parser, copy != NULL ? copy : buf, have, &r->head);
		free(copy);
		if (n != 0 || have == len)
			break;
		have = more(have, len, how.step);
	}
	r->err = n > 0 ? HTTP1_OK : n == 0 ? INCOMPLETE : (int)n;
	if (n <= 0)
		return;
	if (how.move) { /* the spans point into freed memory: once more for them */
		http1_parser_init(&parser, kind, NULL);
		ck_assert_int_eq(http1_head_parse(&parser, buf, len, &r->head), n);
	}
	r->head_len = (size_t)n;
	if (have < r->head_len)
		have = r->head_len;
	if (r->head.body == HTTP1_BODY_CHUNKED) {
		r->err = read_chunks(buf, have, len, how, r);
	} else {
		size_t left = len - r->head_len;

		if (r->head.content_length > left) {
			r->err = INCOMPLETE;
			return;
		}
		r->body_len = (size_t)r->head.content_length;
		memcpy(r->body, buf + n, r->body_len);
		r->rest_len = left - r->body_len;
	}
}

static void
assert_span_same(struct span a, struct span b)
{
	ck_assert_ptr_eq(a.p, b.p);
	ck_assert_uint_eq(a.len, b.len);
}

static void
assert_same(const struct reading *a, const struct reading *b)
{
	ck_assert_int_eq(a->err, b->err);
	ck_assert_uint_eq(a->head_len, b->head_len);
	if (a->err < 0)
		return;
	ck_assert_uint_eq(a->body_len, b->body_len);
	ck_assert_mem_eq(a->body, b->body, a->body_len);
	ck_assert_uint_eq(a->rest_len, b->rest_len);
	if (a->head_len == 0)
		return;
	ck_assert_int_eq(a->head.minor, b->head.minor);
	ck_assert_int_eq(a->head.status, b->head.status);
	ck_assert_int_eq(a->head.form, b->head.form);
	ck_assert_int_eq(a->head.body, b->head.body);
	ck_assert_int_eq(a->head.keep_alive, b->head.keep_alive);
	ck_assert_int_eq(a->head.expect_continue, b->head.expect_continue);
	ck_assert_int_eq(a->head.upgrade, b->head.upgrade);
	ck_assert_int_eq(a->head.has_host, b->head.has_host);
	ck_assert_uint_eq(a->head.content_length, b->head.content_length);
	assert_span_same(a->head.method, b->head.method);
	assert_span_same(a->head.target, b->head.target);
	assert_span_same(a->head.reason, b->head.reason);
	assert_span_same(a->head.host, b->head.host);
	ck_assert_uint_eq(a->head.nheaders, b->head.nheaders);
	for (size_t i = 0; i < a->head.nheaders; i++) {
		assert_span_same(a->head.headers[i].name, b->head.headers[i].name);
		assert_span_same(a->head.headers[i].value, b->head.headers[i].value);
	}
}

/* Read whole, byte by byte, and (short ones) at every split; all must agree. */
static void
read_every_way(const char *buf, size_t len, enum http1_kind kind, struct reading *whole)
{
	static struct reading other;

	read_message(buf, len, kind, (struct arrival){len, 1, false}, whole);
	read_message(buf, len, kind, (struct arrival){0, 1, false}, &other);
	assert_same(whole, &other);
	if (len > 1000)
		return;
	for (size_t cut = 0; cut <= len; cut++) {
		read_message(buf, len, kind, (struct arrival){cut, len, true}, &other);
		assert_same(whole, &other);
	}
	read_message(buf, len, kind, (struct arrival){1, 1, true}, &other);
	assert_same(whole, &other);
	read_message(buf, len, kind, (struct arrival){2, 7, true}, &other);
	assert_same(whole, &other);
}

/* --- the corpus ------------------------------------------------------- */

static FILE *
open_corpus(void)
{
	const char *srcdir = getenv("srcdir");
	char path[4096], here[] = __FILE__;
	FILE *fp;

	if (srcdir != NULL) {
		snprintf(
		    path, sizeof(path), "%s/tests/corpora/http1_requests.txt", srcdir);
		if ((fp = fopen(path, "r")) != NULL)
			return fp;
	}
	here[strlen(here) - strlen("unit/http1.c")] = '\0';
	snprintf(path, sizeof(path), "%scorpora/http1_requests.txt", here);
	return fopen(path, "r");
}

static int
hex_value(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Append an "in" line of the corpus to buf. */
static size_t
append_input(char *buf, size_t at, const char *line)
{
	unsigned long times = 1;
	size_t start = at;

	if (*line == '*') {
		times = strtoul(line + 1, NULL, 10);
		line += strcspn(line, " ");
	}
	if (*line == ' ')
		line++;
	for (; *line != '\0' && *line != '\n'; line++) {
		char c = *line;

		if (c == '\\') {
			switch (*++line) {
			case 'r':
				c = '\r';
				break;
			case 'n':
				c = '\n';
				break;
			case 't':
				c = '\t';
				break;
			case '0':
				c = '\0';
				break;
			case 'x':
				c = (char)(hex_value(line[1]) << 4 | hex_value(line[2]));
				line += 2;
				break;
			default:
				ck_assert_int_eq(*line, '\\');
				c = '\\';
			}
		}
		ck_assert_uint_lt(at, CASE_MAX);
		buf[at++] = c;
	}
	for (size_t len = at - start; times > 1; times--, at += len) {
		ck_assert_uint_le(at + len, CASE_MAX);
		memcpy(buf + at, buf + start, len);
	}
	return at;
}

static void
describe(const struct reading *r, char *out, size_t cap)
{
	static const char *const bodies[] = {"none", "length", "chunked", "until-close"};

	if (r->err < 0)
		snprintf(out, cap, "refuse %s", http1_errname(r->err));
	else if (r->err == INCOMPLETE)
		snprintf(out, cap, "incomplete");
	else
		snprintf(out, cap, "accept %.*s %.*s %s %zu %zu", (int)r->head.method.len,
		    r->head.method.p,
		    r->head.target.len > 200 ? 1 : (int)r->head.target.len,
		    r->head.target.len > 200 ? "@" : r->head.target.p,
		    bodies[r->head.body], r->body_len, r->rest_len);
}

START_TEST(test_corpus)
{
	static char line[CASE_MAX], buf[CASE_MAX];
	static struct reading r;
	char name[64] = "", got[600];
	size_t len = 0, cases = 0, wrong = 0;
	FILE *fp = open_corpus();

	ck_assert_msg(fp != NULL, "corpus not found");
	while (fgets(line, sizeof(line), fp) != NULL) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "case %63s", name) == 1) {
			len = 0;
			continue;
		}
		if (strncmp(line, "in", 2) == 0 && strncmp(line, "inc", 3) != 0) {
			len = append_input(buf, len, line + 2);
			continue;
		}
		read_every_way(buf, len, HTTP1_REQUEST, &r);
		describe(&r, got, sizeof(got));
		cases++;
		if (strcmp(got, line) != 0) {
			fprintf(
			    stderr, "%s: expected \"%s\", got \"%s\"\n", name, line, got);
			wrong++;
		}
	}
	fclose(fp);
	ck_assert_uint_ge(cases, 380);
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

/* --- answers ---------------------------------------------------------- */

static const struct {
	enum http1_kind kind;
	const char *in;
	int err;
	int status;
	enum http1_body body;
	bool keep_alive;
} answers[] = {
    {HTTP1_RESPONSE, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0, 200,
	HTTP1_BODY_LENGTH, true},
    {HTTP1_RESPONSE, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 0, 200,
	HTTP1_BODY_LENGTH, true},
    {HTTP1_RESPONSE, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 0, 200,
	HTTP1_BODY_LENGTH, true},
    {HTTP1_RESPONSE, "HTTP/1.1 599 \xc3\xa9t\xe9\tx\r\nContent-Length: 0\r\n\r\n", 0, 599,
	HTTP1_BODY_LENGTH, true},
    {HTTP1_RESPONSE,
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 0,
	200, HTTP1_BODY_CHUNKED, true},
    {HTTP1_RESPONSE, "HTTP/1.1 200 OK\r\n\r\nall the rest", 0, 200,
	HTTP1_BODY_UNTIL_CLOSE, false},
    {HTTP1_RESPONSE, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	0, 200, HTTP1_BODY_LENGTH, false},
    {HTTP1_RESPONSE, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 0, 200,
	HTTP1_BODY_LENGTH, false},
    {HTTP1_RESPONSE,
	"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", 0, 200,
	HTTP1_BODY_LENGTH, true},
    {HTTP1_RESPONSE, "HTTP/1.1 100 Continue\r\n\r\n", 0, 100, HTTP1_BODY_NONE, true},
    {HTTP1_RESPONSE, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 0, 101,
	HTTP1_BODY_NONE, false},
    {HTTP1_RESPONSE, "HTTP/1.1 204 No Content\r\n\r\n", 0, 204, HTTP1_BODY_NONE, true},
    {HTTP1_RESPONSE, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 0, 204,
	HTTP1_BODY_NONE, true},
    {HTTP1_RESPONSE, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 0, 304,
	HTTP1_BODY_NONE, true},
    {HTTP1_RESPONSE_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 0, 200,
	HTTP1_BODY_NONE, true},
    {HTTP1_RESPONSE_HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 200,
	HTTP1_BODY_NONE, true},
    {HTTP1_RESPONSE_HEAD, "HTTP/1.1 200 OK\r\n\r\n", 0, 200, HTTP1_BODY_NONE, true},
    {HTTP1_RESPONSE, "HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 0\r\n\r\n", 0, 200,
	HTTP1_BODY_LENGTH, true},
    {HTTP1_RESPONSE,
	"HTTP/1.1 200 OK\r\nExpect: x\r\nHost: ?\r\nContent-Length: 0\r\n\r\n", 0, 200,
	HTTP1_BODY_LENGTH, true},

    {HTTP1_RESPONSE, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
	HTTP1_ERR_BODYLESS, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 100 \r\nTransfer-Encoding: chunked\r\n\r\n",
	HTTP1_ERR_BODYLESS, 0, 0, 0},
    {HTTP1_RESPONSE, "\r\nHTTP/1.1 200 OK\r\n\r\n", HTTP1_ERR_EMPTY_LINE, 0, 0, 0},
    {HTTP1_RESPONSE, "ICY 200 OK\r\n\r\n", HTTP1_ERR_START_LINE, 0, 0, 0},
    {HTTP1_RESPONSE, "<html>", HTTP1_ERR_START_LINE, 0, 0, 0},
    {HTTP1_RESPONSE, "H\r\n\r\n", HTTP1_ERR_START_LINE, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1\r\nContent-Length: 0\r\n\r\n", HTTP1_ERR_START_LINE, 0, 0,
	0},
    {HTTP1_RESPONSE, "HTTP/1.1  200 OK\r\n\r\n", HTTP1_ERR_STATUS, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1\t200 OK\r\n\r\n", HTTP1_ERR_START_LINE, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/2.0 200 OK\r\n\r\n", HTTP1_ERR_VERSION, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 099 OK\r\n\r\n", HTTP1_ERR_STATUS, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 600 OK\r\n\r\n", HTTP1_ERR_STATUS, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 20 OK\r\n\r\n", HTTP1_ERR_STATUS, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 2000 OK\r\n\r\n", HTTP1_ERR_STATUS, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 200OK\r\n\r\n", HTTP1_ERR_STATUS, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 +20 OK\r\n\r\n", HTTP1_ERR_STATUS, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 200 O\x01K\r\n\r\n", HTTP1_ERR_CONTROL, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 200 O\rK\r\n\r\n", HTTP1_ERR_BARE_CR, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 200\rOK\r\n\r\n", HTTP1_ERR_BARE_CR, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 200 OK\n\r\n", HTTP1_ERR_BARE_LF, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", HTTP1_ERR_FOLD, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
	HTTP1_ERR_LENGTH_REPEATED, 0, 0, 0},
    {HTTP1_RESPONSE,
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	HTTP1_ERR_LENGTH_CODING, 0, 0, 0},
    {HTTP1_RESPONSE_HEAD,
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	HTTP1_ERR_LENGTH_CODING, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	HTTP1_ERR_CODING_VERSION, 0, 0, 0},
    {HTTP1_RESPONSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
	HTTP1_ERR_CODING, 0, 0, 0},
};

START_TEST(test_answer)
{
	static struct reading r;

	read_every_way(answers[_i].in, strlen(answers[_i].in), answers[_i].kind, &r);
	ck_assert_int_eq(r.err, answers[_i].err);
	if (r.err < 0)
		return;
	ck_assert_int_eq(r.head.status, answers[_i].status);
	ck_assert_int_eq(r.head.body, answers[_i].body);
	ck_assert_int_eq(r.head.keep_alive, answers[_i].keep_alive);
	ck_assert_int_eq(r.head.upgrade, r.head.status == 101);
}
END_TEST

START_TEST(test_answer_reason)
{
	const char in[] = "HTTP/1.1 404 Not  Found \r\nContent-Length: 7\r\n\r\n";
	struct http1_parser p;
	struct http1_head h;

	http1_parser_init(&p, HTTP1_RESPONSE, NULL);
	ck_assert_int_eq(http1_head_parse(&p, in, sizeof(in) - 1, &h), sizeof(in) - 1);
	ck_assert(span_eq(h.reason, "Not  Found "));
	ck_assert_uint_eq(h.content_length, 7);
}
END_TEST

/* --- what a request head says ----------------------------------------- */

static const struct {
	const char *in;
	enum http1_form form;
	bool keep_alive, expect, upgrade, has_host;
} requests[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP1_FORM_ORIGIN, true, false, false, true},
    {"GET / HTTP/1.0\r\n\r\n", HTTP1_FORM_ORIGIN, false, false, false, false},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", HTTP1_FORM_ORIGIN, true, false,
	false, false},
    {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", HTTP1_FORM_ORIGIN, false,
	false, false, false},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n", HTTP1_FORM_ORIGIN, false,
	false, false, true},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: ,close,\r\n\r\n",
	HTTP1_FORM_ORIGIN, false, false, false, true},
    {"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", HTTP1_FORM_ABSOLUTE, true, false, false,
	true},
    {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP1_FORM_AUTHORITY, true, false, false,
	true},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", HTTP1_FORM_ASTERISK, true, false, false,
	true},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	HTTP1_FORM_ORIGIN, true, false, true, true},
    {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n", HTTP1_FORM_ORIGIN, true, false,
	false, true},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", HTTP1_FORM_ORIGIN, true,
	false, false, true},
    {"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", HTTP1_FORM_ORIGIN,
	false, false, false, false},
    {"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
	HTTP1_FORM_ORIGIN, true, true, false, true},
    {"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: "
     "chunked\r\n\r\n"
     "0\r\n\r\n",
	HTTP1_FORM_ORIGIN, true, true, false, true},
    {"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
	HTTP1_FORM_ORIGIN, true, false, false, true},
    {"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", HTTP1_FORM_ORIGIN, true,
	false, false, true},
    {"PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
	HTTP1_FORM_ORIGIN, false, false, false, false},
};

START_TEST(test_request)
{
	static struct reading r;

	read_every_way(requests[_i].in, strlen(requests[_i].in), HTTP1_REQUEST, &r);
	ck_assert_int_eq(r.err, 0);
	ck_assert_int_eq(r.head.form, requests[_i].form);
	ck_assert_int_eq(r.head.keep_alive, requests[_i].keep_alive);
	ck_assert_int_eq(r.head.expect_continue, requests[_i].expect);
	ck_assert_int_eq(r.head.upgrade, requests[_i].upgrade);
	ck_assert_int_eq(r.head.has_host, requests[_i].has_host);
}
END_TEST

/* Three requests in one buffer, arriving in every pair of pieces. */
START_TEST(test_pipeline)
{
	static const char in[] =
	    "POST /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "3\r\nabc\r\n0\r\nX: y\r\n\r\n"
	    "PUT /two HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
	    "GET /three HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char *const targets[] = {"/one", "/two", "/three"};
	static struct reading r;
	size_t len = sizeof(in) - 1, at = 0;

	for (size_t i = 0; i < 3; i++) {
		read_every_way(in + at, len - at, HTTP1_REQUEST, &r);
		ck_assert_int_eq(r.err, 0);
		ck_assert(span_eq(r.head.target, targets[i]));
		at = len - r.rest_len;
	}
	ck_assert_uint_eq(at, len);
}
END_TEST

/* One parser serves message after message. */
START_TEST(test_parser_reuse)
{
	static const char in[] =
	    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /22 HTTP/1.1\r\nHost: a\r\n\r\n";
	struct http1_parser p;
	struct http1_head h;
	ssize_t n;

	http1_parser_init(&p, HTTP1_REQUEST, NULL);
	ck_assert_int_eq(http1_head_parse(&p, in, 0, &h), 0);
	ck_assert_int_eq(http1_head_parse(&p, in, 10, &h), 0);
	n = http1_head_parse(&p, in, sizeof(in) - 1, &h);
	ck_assert_int_eq(n, 28);
	ck_assert_int_eq(http1_head_parse(&p, in + n, 20, &h), 0);
	ck_assert_int_eq(
	    http1_head_parse(&p, in + n, sizeof(in) - 1 - (size_t)n, &h), 29);
	ck_assert(span_eq(h.target, "/22"));
}
END_TEST

START_TEST(test_limits)
{
	static const char in[] = "GET /123456789 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
	size_t len = sizeof(in) - 1;
	const struct {
		struct http1_limits limits;
		ssize_t result;
	} rows[] = {
	    {{len, 10, 2}, (ssize_t)len},
	    {{len - 1, 10, 2}, HTTP1_ERR_HEAD_SIZE},
	    {{len, 9, 2}, HTTP1_ERR_TARGET_LONG},
	    {{len, 10, 1}, HTTP1_ERR_HEAD_COUNT},
	    {{len, 10, 0}, HTTP1_ERR_HEAD_COUNT},
	    {{0, 10, 2}, HTTP1_ERR_HEAD_SIZE},
	    {{len, 10, 1000}, (ssize_t)len},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http1_parser p;
		struct http1_head h;
		ssize_t n = 0;

		http1_parser_init(&p, HTTP1_REQUEST, &rows[i].limits);
		ck_assert_int_eq(http1_head_parse(&p, in, len, &h), rows[i].result);
		http1_parser_init(&p, HTTP1_REQUEST, &rows[i].limits);
		for (size_t have = 0; n == 0 && have <= len; have++)
			n = http1_head_parse(&p, in, have, &h);
		ck_assert_int_eq(n, rows[i].result);
	}
}
END_TEST

START_TEST(test_header_array_is_the_last_limit)
{
	struct http1_limits wide = {65536, 100, 1000};
	static char in[4096];
	struct http1_parser p;
	struct http1_head h;
	size_t len;

	for (int n = HTTP1_MAX_HEADERS; n <= HTTP1_MAX_HEADERS + 1; n++) {
		len = (size_t)snprintf(in, sizeof(in), "GET / HTTP/1.1\r\nHost: a\r\n");
		for (int i = 1; i < n; i++)
			len +=
			    (size_t)snprintf(in + len, sizeof(in) - len, "X: %d\r\n", i);
		len += (size_t)snprintf(in + len, sizeof(in) - len, "\r\n");
		http1_parser_init(&p, HTTP1_REQUEST, &wide);
		ck_assert_int_eq(http1_head_parse(&p, in, len, &h),
		    n == HTTP1_MAX_HEADERS ? (ssize_t)len : HTTP1_ERR_HEAD_COUNT);
	}
}
END_TEST

/* --- helpers ---------------------------------------------------------- */

static struct span
text(const char *s)
{
	return (struct span){s, strlen(s)};
}

START_TEST(test_find)
{
	static const char in[] = "GET / HTTP/1.1\r\nHost: a\r\nX-a: 1\r\nx-A: 2\r\n"
				 "Connection: X-Secret , te\r\nConnection: close\r\n\r\n";
	struct http1_parser p;
	struct http1_head h;

	http1_parser_init(&p, HTTP1_REQUEST, NULL);
	ck_assert_int_gt(http1_head_parse(&p, in, sizeof(in) - 1, &h), 0);
	ck_assert(span_eq(http1_find(&h, "X-A")->value, "1"));
	ck_assert_ptr_null(http1_find(&h, "X-"));
	ck_assert_uint_eq(http1_count(&h, "x-a"), 2);
	ck_assert_uint_eq(http1_count(&h, "y"), 0);
	ck_assert(http1_connection_names(&h, text("x-secret")));
	ck_assert(http1_connection_names(&h, text("Close")));
	ck_assert(!http1_connection_names(&h, text("x-a")));
}
END_TEST

START_TEST(test_list)
{
	ck_assert(http1_list_has(text("close"), "close"));
	ck_assert(http1_list_has(text(" a ,\t,CLOSE\t, b"), "close"));
	ck_assert(http1_list_has(text("a,close"), "close"));
	ck_assert(!http1_list_has(text("closed, xclose, clo se"), "close"));
	ck_assert(!http1_list_has(text(""), "close"));
	ck_assert(!http1_list_has(text(" , ,"), ""));
}
END_TEST

START_TEST(test_hop_by_hop)
{
	static const char *const yes[] = {"Connection", "keep-alive", "TE", "trailer",
	    "Transfer-Encoding", "upgrade", "proxy-authorization", "Proxy-Authenticate",
	    "proxy-connection", "http2-settings", "proxy-authentication-info"};
	static const char *const no[] = {
	    "", "te2", "host", "authorization", "content-length"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		ck_assert(http1_is_hop_by_hop(text(yes[i])));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		ck_assert(!http1_is_hop_by_hop(text(no[i])));
}
END_TEST

START_TEST(test_errors)
{
	static const struct {
		int err, status;
		const char *name;
	} rows[] = {{HTTP1_OK, 200, "ok"}, {HTTP1_ERR_BARE_LF, 400, "bare-lf"},
	    {HTTP1_ERR_TARGET_LONG, 414, "target-long"},
	    {HTTP1_ERR_VERSION, 505, "version"}, {HTTP1_ERR_HEAD_SIZE, 431, "head-size"},
	    {HTTP1_ERR_HEAD_COUNT, 431, "head-count"}, {HTTP1_ERR_CODING, 501, "coding"},
	    {HTTP1_ERR_METHOD, 501, "method"}, {HTTP1_ERR_EXPECT, 417, "expect"},
	    {HTTP1_ERR_TRAILER_SIZE, 431, "trailer-size"},
	    {HTTP1_ERR_TRAILER_SIZE - 1, 200, "ok"}, {1, 200, "ok"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(http1_error_status(rows[i].err), rows[i].status);
		ck_assert_str_eq(http1_errname(rows[i].err), rows[i].name);
		ck_assert_uint_gt(strlen(http1_strerror(rows[i].err)), 0);
	}
	for (int err = -1; err >= HTTP1_ERR_TRAILER_SIZE; err--)
		ck_assert_int_ge(http1_error_status(err), 400);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("http1");
	TCase *tc = tcase_create("http1");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_corpus);
	tcase_add_loop_test(tc, test_answer, 0, sizeof(answers) / sizeof(answers[0]));
	tcase_add_test(tc, test_answer_reason);
	tcase_add_loop_test(tc, test_request, 0, sizeof(requests) / sizeof(requests[0]));
	tcase_add_test(tc, test_pipeline);
	tcase_add_test(tc, test_parser_reuse);
	tcase_add_test(tc, test_limits);
	tcase_add_test(tc, test_header_array_is_the_last_limit);
	tcase_add_test(tc, test_find);
	tcase_add_test(tc, test_list);
	tcase_add_test(tc, test_hop_by_hop);
	tcase_add_test(tc, test_errors);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
