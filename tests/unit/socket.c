/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker makes of a WebSocket's frames: the secret is found in every cut, in
 * frames, reads and messages; what is not the secret comes out as it went in; what is
 * malformed ends it.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/exchange.h"
#include "egressd/worker/socket_int.h"
#include "egressd/worker/worker.h"

#define SECRET "sk-live-0123456789/abc+def"

/* main.c's */
struct worker_conf worker_conf = {.ca_bundle = -1};
bool worker_leaving;

static struct credential credential = {.service = "api"};
static struct exchange ex;

/* A WebSocket without its two ends. */
static void
begin(void)
{
	socket_free(ex.socket);
	memset(&ex, 0, sizeof(ex));
	ex.state = EX_SOCKET;
	ex.credential = &credential;
	ex.socket = socket_new(1000);
	ck_assert_ptr_nonnull(ex.socket);
}

static void
setup(void)
{
	struct secret *s;

	ck_assert_int_eq(secret_init(2u * 1024 * 1024), 0);
	s = secret_new(SECRET, strlen(SECRET));
	credential.reflect = reflect_new(s, false);
	ck_assert_ptr_nonnull(credential.reflect);
	secret_free(s);
	begin();
}

static void
teardown(void)
{
	socket_free(ex.socket);
	ex.socket = NULL;
	reflect_free(credential.reflect);
}

/* A frame as an upstream sends it. */
static void
frame(struct buf *out, uint8_t opcode, bool fin, const void *p, size_t len)
{
	uint8_t head[2] = {(uint8_t)((fin ? 0x80 : 0) | opcode), (uint8_t)len};

	ck_assert_uint_lt(len, 126);
	ck_assert_int_eq(buf_put(out, head, 2), 0);
	ck_assert_int_eq(buf_put(out, p, len), 0);
}

static void
say(struct buf *octets, size_t step)
{
	size_t at, n;

	for (at = 0; at < octets->len; at += n) {
		n = octets->len - at < step ? octets->len - at : step;
		ck_assert_int_eq(socket_from_upstream(&ex, octets->p + at, n), 0);
	}
	buf_reset(octets);
}

/* What goes to the agent, messages joined; returns the status of a Close, or 0. */
static unsigned
heard(struct buf *text)
{
	struct ws_reader r = {.max = UINT64_MAX};
	uint8_t *p = ex.socket->down.out.p;
	size_t n = ex.socket->down.out.len;
	struct ws_piece piece;
	int got;

	buf_reset(text);
	while ((got = ws_next(&r, &p, &n, &piece)) == 1) {
		if (piece.kind == WS_CLOSE)
			return piece.len < 2 ? 1005
					     : (unsigned)piece.p[0] << 8 | piece.p[1];
		if (piece.kind < WS_CLOSE)
			ck_assert_int_eq(buf_put(text, piece.p, piece.len), 0);
	}
	ck_assert_int_eq(got, 0);
	return 0;
}

static void
must_be_withheld(const struct buf *text, size_t before)
{
	ck_assert(ex.socket->shut);
	ck_assert_int_eq(ex.socket->outcome, OUTCOME_SECRET_ECHOED);
	ck_assert_uint_le(text->len, before);
	ck_assert(text->len == 0 || memmem(text->p, text->len, SECRET, 4) == NULL);
}

/* Every place to cut, and every way: two frames, a ping between them, two reads. */
START_TEST(every_cut)
{
	static const char whole[] = "say " SECRET " again";
	const size_t len = sizeof(whole) - 1;
	struct buf in, text;

	buf_init(&in);
	buf_init(&text);
	for (size_t cut = 5; cut < 4 + strlen(SECRET); cut++)
		for (size_t step = 1; step < 64; step += 21) {
			begin();
			frame(&in, WS_TEXT, false, whole, cut);
			frame(&in, WS_PING, true, "p", 1);
			frame(&in, WS_CONTINUATION, false, "", 0);
			frame(&in, WS_CONTINUATION, true, whole + cut, len - cut);
			say(&in, step);
			ck_assert_uint_eq(heard(&text), 1008);
			must_be_withheld(&text, 4);
		}
	buf_free(&in);
	buf_free(&text);
}
END_TEST

/* The first of two messages is out when the second shows what it began. */
START_TEST(two_messages)
{
	struct buf in, text;

	buf_init(&in);
	buf_init(&text);
	for (size_t cut = 1; cut < strlen(SECRET); cut++) {
		begin();
		frame(&in, WS_BINARY, true, SECRET, cut);
		say(&in, 1000);
		ck_assert_uint_eq(heard(&text), 0);
		ck_assert_uint_eq(text.len, cut);
		frame(&in, WS_BINARY, true, &SECRET[cut], strlen(SECRET) - cut);
		say(&in, 1000);
		ck_assert_uint_eq(heard(&text), 1008);
		ck_assert(ex.socket->shut);
		ck_assert_uint_eq(text.len, cut);
	}
	buf_free(&in);
	buf_free(&text);
}
END_TEST

START_TEST(control_frames)
{
	static const uint8_t kinds[] = {WS_PING, WS_PONG, WS_CLOSE};
	struct buf in, text;

	buf_init(&in);
	buf_init(&text);
	for (size_t i = 0; i < sizeof(kinds); i++) {
		begin();
		frame(&in, kinds[i], true, "\x03\xe8" SECRET, 2 + strlen(SECRET));
		say(&in, 7);
		ck_assert_uint_eq(heard(&text), 1008);
		must_be_withheld(&text, 0);
	}
	buf_free(&in);
	buf_free(&text);
}
END_TEST

/* What only begins like it is held back until it is known, and then passed on. */
START_TEST(nearly)
{
	struct buf in, text;

	buf_init(&in);
	buf_init(&text);
	frame(&in, WS_TEXT, false, "x" SECRET, 1 + strlen(SECRET) - 1);
	say(&in, 1000);
	ck_assert_uint_eq(heard(&text), 0);
	ck_assert_uint_eq(text.len, 1);
	frame(&in, WS_CONTINUATION, false, "!", 1);
	say(&in, 1000);
	ck_assert_uint_eq(heard(&text), 0);
	ck_assert_uint_eq(text.len, 1 + strlen(SECRET));
	ck_assert_mem_eq(text.p, "x" SECRET, strlen(SECRET));
	frame(&in, WS_CONTINUATION, true, "sk-live", 7);
	say(&in, 1000);
	ck_assert_uint_eq(heard(&text), 0);
	ck_assert_uint_eq(text.len, 1 + strlen(SECRET) + 7); /* over: nothing is kept */
	ck_assert(!ex.socket->shut);
	buf_free(&in);
	buf_free(&text);
}
END_TEST

/* Towards the upstream everything is masked, and says the same. */
START_TEST(masks)
{
	static uint8_t agents[] = "\x01\x83\x01\x02\x03\x04ikf"
				  "\x89\x80zzzz"
				  "\x80\x82zzzz\x16\x15";
	struct ws_reader r = {.masked = true, .max = 1000};
	struct ws_piece piece;
	char text[16] = "";
	size_t n, used = 0;
	uint8_t *p;

	ck_assert_int_eq(socket_from_agent(&ex, agents, sizeof(agents) - 1), 0);
	ck_assert(!ex.socket->shut);
	p = ex.socket->up.out.p;
	n = ex.socket->up.out.len;
	ck_assert(memmem(p, n, "\x01\x02\x03\x04", 4) == NULL);
	while (ws_next(&r, &p, &n, &piece) == 1)
		if (piece.kind == WS_TEXT) {
			memcpy(text + used, piece.p, piece.len);
			used += piece.len;
		}
	ck_assert_str_eq(text, "hielo");
}
END_TEST

START_TEST(malformed)
{
	static uint8_t plain[] = "\x81\x01x", big[] = "\x82\xfe\x03\xe9zzzz";
	struct buf text, in;

	buf_init(&text);
	buf_init(&in);
	ck_assert_int_eq(socket_from_agent(&ex, plain, 3), 0);
	ck_assert_uint_eq(heard(&text), 1002);
	begin();
	ck_assert_int_eq(socket_from_agent(&ex, big, 8), 0);
	ck_assert_uint_eq(heard(&text), 1009);
	ck_assert_int_eq(ex.socket->outcome, OUTCOME_TOO_LARGE);
	begin();
	frame(&in, WS_CONTINUATION, true, "x", 1);
	say(&in, 100);
	ck_assert_uint_eq(heard(&text), 1011);
	ck_assert_int_eq(ex.socket->outcome, OUTCOME_UPSTREAM_BROKEN);
	/* and nothing after a Close is anybody's */
	begin();
	frame(&in, WS_CLOSE, true, "\x0f\xa0", 2);
	frame(&in, WS_TEXT, true, "late", 4);
	frame(&in, 3, true, "", 0);
	say(&in, 100);
	ck_assert_uint_eq(heard(&text), 4000);
	ck_assert_uint_eq(text.len, 0);
	ck_assert(!ex.socket->shut);
	buf_free(&text);
	buf_free(&in);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("socket");
	TCase *tc = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_cut);
	tcase_add_test(tc, two_messages);
	tcase_add_test(tc, control_frames);
	tcase_add_test(tc, nearly);
	tcase_add_test(tc, masks);
	tcase_add_test(tc, malformed);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
