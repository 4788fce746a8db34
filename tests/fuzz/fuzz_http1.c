/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/http1 and common/http1_chunk.  The first byte picks the kind of head,
 * or the chunk decoder alone, and how the input is cut; however it is cut, the
 * reading must be the same as of the whole.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/http1.h"
#include "common/http1_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

static const struct http1_limits limits = {2048, 512, 20};

#define REQUIRE(what)            \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

/* The bytes that have arrived, in a block without a byte to spare. */
static char *
arrived(const char *in, size_t len)
{
	char *p = malloc(len > 0 ? len : 1);

	REQUIRE(p != NULL);
	if (len > 0)
		memcpy(p, in, len);
	return p;
}

static bool
inside(struct span s, const char *buf, ssize_t len)
{
	return s.len == 0 || (s.p >= buf && s.p + s.len <= buf + len);
}

/* What a head that was accepted promises its readers. */
static void
check_head(const struct http1_head *h, const char *buf, ssize_t n)
{
	REQUIRE(n >= 4 && memcmp(buf + n - 4, "\r\n\r\n", 4) == 0);
	REQUIRE((size_t)n <= limits.head && h->nheaders <= limits.headers);
	REQUIRE(inside(h->method, buf, n) && inside(h->target, buf, n));
	REQUIRE(inside(h->reason, buf, n));
	REQUIRE(http1_count(h, "content-length") <= 1);
	REQUIRE(http1_count(h, "transfer-encoding") <= 1);
	REQUIRE(http1_find(h, "content-length") == NULL ||
	    http1_find(h, "transfer-encoding") == NULL);
	REQUIRE(h->body == HTTP1_BODY_LENGTH || h->content_length == 0);
	REQUIRE(h->body != HTTP1_BODY_UNTIL_CLOSE || !h->keep_alive);
	if (h->kind == HTTP1_REQUEST) {
		REQUIRE(h->method.len > 0 && h->target.len > 0 &&
		    h->target.len <= limits.target);
		REQUIRE(http1_count(h, "host") <= 1 && (h->has_host || h->minor == 0));
		REQUIRE(h->body != HTTP1_BODY_UNTIL_CLOSE);
	} else {
		REQUIRE(h->status >= 100 && h->status <= 599);
	}
	for (size_t i = 0; i < h->nheaders; i++) {
		struct span name = h->headers[i].name, value = h->headers[i].value;

		REQUIRE(name.len > 0 && inside(name, buf, n) && inside(value, buf, n));
		for (size_t k = 0; k < value.len; k++)
			REQUIRE((unsigned char)value.p[k] >= 0x20 ? value.p[k] != 0x7f
								  : value.p[k] == '\t');
		(void)http1_is_hop_by_hop(name);
		(void)http1_connection_names(h, name);
		(void)http1_list_has(value, "close");
	}
}

static ssize_t
parse_cut(const char *in, size_t len, enum http1_kind kind, size_t step)
{
	static struct http1_head h;
	struct http1_parser p;
	size_t have = 0;
	ssize_t n;

	http1_parser_init(&p, kind, &limits);
	do {
		char *buf;

		have = len - have > step ? have + step : len;
		buf = arrived(in, have);
		n = http1_head_parse(&p, buf, have, &h);
		if (n > 0)
			check_head(&h, buf, n);
		free(buf);
	} while (n == 0 && have < len);
	return n;
}

/* Decode in pieces of step bytes; out gets the data, *rest what is left over. */
static int
decode_cut(
    const char *in, size_t len, size_t step, char *out, size_t *outlen, size_t *rest)
{
	struct http1_chunked c = {0};
	struct span data;
	size_t at = 0;
	int r = HTTP1_CHUNK_MORE;

	*outlen = 0;
	while (at < len && r == HTTP1_CHUNK_MORE) {
		size_t n = len - at > step ? step : len - at;
		char *buf = arrived(in + at, n);
		struct span piece = {buf, n};

		while ((r = http1_chunk_next(&c, &piece, &data)) == HTTP1_CHUNK_DATA) {
			REQUIRE(data.len > 0 && inside(data, buf, (ssize_t)n));
			memcpy(out + *outlen, data.p, data.len);
			*outlen += data.len;
		}
		REQUIRE(r != HTTP1_CHUNK_MORE || piece.len == 0);
		REQUIRE(c.total >= *outlen);
		at += n - piece.len;
		free(buf);
	}
	*rest = len - at;
	return r;
}

static void
fuzz_chunked(const char *in, size_t len, size_t step)
{
	char *a = arrived(in, len), *b = arrived(in, len);
	size_t na, nb, ra, rb;
	int whole = decode_cut(in, len, len, a, &na, &ra);

	REQUIRE(decode_cut(in, len, step, b, &nb, &rb) == whole);
	REQUIRE(na == nb && memcmp(a, b, na) == 0);
	REQUIRE(whole < 0 || ra == rb);
	free(a);
	free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	const char *in = (const char *)input + 1;
	static struct http1_head h;
	enum http1_kind kind;
	struct http1_parser p;
	size_t step;
	ssize_t n;

	if (len < 1 || len > 4096)
		return 0;
	len--;
	step = (size_t)(*input >> 4) + 1; /* byte by byte in one of sixteen */
	if ((*input & 3) == 3) {
		fuzz_chunked(in, len, step);
		return 0;
	}
	kind = (enum http1_kind)(*input & 3);
	http1_parser_init(&p, kind, &limits);
	n = http1_head_parse(&p, in, len, &h);
	REQUIRE(parse_cut(in, len, kind, step) == n);
	if (n > 0) {
		http1_parser_init(&p, kind, &limits);
		REQUIRE(http1_head_parse(&p, in, (size_t)n, &h) == n);
		if (h.body == HTTP1_BODY_CHUNKED)
			fuzz_chunked(in + n, len - (size_t)n, step);
	} else if (n < 0) {
		REQUIRE(
		    http1_error_status((int)n) >= 400 && *http1_strerror((int)n) != '\0');
	}
	return 0;
}
