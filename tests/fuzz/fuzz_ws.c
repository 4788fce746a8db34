/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/ws: what is read does not depend on how it is split, keeps to the rules, and
 * comes out again the same when it is written anew. The first octet says what is read:
 * 1: masked frames; the rest of it: octets a message may have.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

#define REQUIRE(what)            \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define ALL_MAX (1 << 20)

/* Messages and control frames as text: kind, octets, "." at the end. */
struct log {
	struct buf messages, controls;
	uint64_t octets; /* of the message under way */
	int err;
};

static void
note(struct log *l, const struct ws_piece *p, uint64_t max)
{
	struct buf *b = p->kind >= WS_CLOSE ? &l->controls : &l->messages;
	uint8_t kind = (uint8_t)('0' + p->kind);

	REQUIRE(p->kind == WS_TEXT || p->kind == WS_BINARY || p->kind == WS_CLOSE ||
	    p->kind == WS_PING || p->kind == WS_PONG);
	if (p->kind >= WS_CLOSE) {
		REQUIRE(p->last && p->len <= WS_CONTROL_MAX);
		REQUIRE(p->kind != WS_CLOSE || p->len != 1);
	} else {
		REQUIRE(p->len > 0 || p->last);
		l->octets += p->len;
		REQUIRE(l->octets <= max);
		if (p->last)
			l->octets = 0;
	}
	REQUIRE(buf_put(b, p->p, p->len) == 0);
	if (p->last)
		REQUIRE(buf_put(b, &kind, 1) == 0 && buf_puts(b, ".") == 0);
}

/* step: so many octets at once. */
static void
read_all(const uint8_t *input, size_t len, size_t step, bool masked, uint64_t max,
    struct log *l, struct buf *again)
{
	struct ws_reader r = {.masked = masked, .max = max};
	struct ws_writer w = {.mask = masked ? WS_PLAIN : WS_RANDOM};
	struct ws_piece piece;
	uint8_t *copy = malloc(len + 1), *p;
	size_t at, n;

	REQUIRE(copy != NULL);
	memset(l, 0, sizeof(*l));
	if (len > 0)
		memcpy(copy, input, len);
	for (at = 0; at < len && l->err >= 0; at += step) {
		p = copy + at;
		n = len - at < step ? len - at : step;
		while ((l->err = ws_next(&r, &p, &n, &piece)) == 1) {
			note(l, &piece, max);
			if (again != NULL)
				REQUIRE(ws_put(&w, again, piece.kind, piece.last, piece.p,
					    piece.len) == 0);
		}
		REQUIRE(l->err < 0 || n == 0);
	}
	if (l->err < 0)
		REQUIRE(strcmp(ws_strerror(l->err), "no error") != 0);
	free(copy);
}

static void
same(const struct buf *a, const struct buf *b)
{
	REQUIRE(a->len == b->len && (a->len == 0 || memcmp(a->p, b->p, a->len) == 0));
}

static void
log_free(struct log *l)
{
	buf_free(&l->messages);
	buf_free(&l->controls);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	static const size_t steps[] = {1, 3, 4096};
	struct log whole, other;
	struct buf again;
	bool masked;
	uint64_t max;

	if (len == 0)
		return 0;
	masked = (input[0] & 1) != 0;
	max = input[0] == 0xff ? UINT64_MAX : (uint64_t)(input[0] >> 1) * 64;
	input++;
	len--;
	buf_init(&again);
	read_all(input, len, ALL_MAX, masked, max, &whole, &again);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		read_all(input, len, steps[i], masked, max, &other, NULL);
		REQUIRE(other.err == whole.err);
		same(&whole.messages, &other.messages);
		same(&whole.controls, &other.controls);
		log_free(&other);
	}
	/* as the other side would read it */
	read_all(again.p, again.len, ALL_MAX, !masked, max, &other, NULL);
	REQUIRE(other.err == 0);
	same(&whole.messages, &other.messages);
	same(&whole.controls, &other.controls);
	log_free(&other);
	log_free(&whole);
	buf_free(&again);
	return 0;
}
