/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines have one form only, so a cursor that expects literal text reads them. A row's
 * text ends where ,"hash":" begins: no value can hold these octets, since a quote inside
 * a value is escaped. Judge only.
 */
#include "keymasterd/judge/ledger_line.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "common/b64.h"
#include "common/hex.h"
#include "common/jsonw.h"

#define HEX 64
#define HASH ",\"hash\":\""
#define LEN(literal) (sizeof(literal) - 1)

/* ---- writing ---- */

static int
put_hex(struct buf *out, const uint8_t *p, size_t n)
{
	if (buf_reserve(out, 2 * n + 1) == -1)
		return -1;
	(void)hex_encode(p, n, (char *)out->p + out->len, 2 * n + 1);
	out->len += 2 * n;
	return 0;
}

int
ledger_line_header(
    struct buf *out, const char *chain, uint64_t from, const uint8_t prev[32])
{
	return buf_printf(out,
		   "{\"ledger\":\"aegis-2\",\"chain\":\"%s\",\"from\":%" PRIu64
		   ",\"prev\":\"",
		   chain, from) == -1 ||
		put_hex(out, prev, 32) == -1 || buf_puts(out, "\"}\n") == -1
	    ? -1
	    : 0;
}

int
ledger_line_checkpoint(struct buf *out, const struct ledger_checkpoint *c)
{
	char signature[96];
	int bad = 0;

	bad |= buf_printf(
	    out, "{\"checkpoint\":{\"chain\":\"%s\",\"seq\":%" PRIu64, c->chain, c->seq);
	bad |= buf_puts(out, ",\"head\":\"");
	bad |= put_hex(out, c->head, 32);
	bad |= buf_puts(out, "\",\"root\":\"");
	bad |= put_hex(out, c->root, 32);
	if (b64_encode(B64_STD, c->signature, 64, signature, sizeof(signature)) < 0)
		return -1;
	bad |=
	    buf_printf(out, "\",\"time\":\"%s\",\"kid\":\"%s\"},\"signature\":\"%s\"}\n",
		c->time, c->kid, signature);
	return bad != 0 ? -1 : 0;
}

/* A JSON string; what is not UTF-8 was not signed by anybody. */
static int
put_string(struct buf *out, struct span s)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_strn(&w, s.p, s.len);
	return jsonw_done(&w);
}

static int
put_evidence(struct buf *out, const struct ledger_row *r)
{
	/* all but the first are kept as they are, since they cannot be put together again
	 */
	static const char *const forms[] = {[LEDGER_FORM_OTHER_TOKEN] = "plain",
	    [LEDGER_FORM_UTF16] = "utf16",
	    [LEDGER_FORM_SPACED] = "spaced"};
	int bad = 0;

	if (r->signed_text.p != NULL && r->signed_form == LEDGER_FORM_PLAIN) {
		bad |= buf_puts(out, ",\"signed\":{\"payload\":");
		bad |= buf_put(out, r->signed_payload.p, r->signed_payload.len);
		bad |= buf_printf(out, ",\"timestamp\":%" PRId64 "}", r->signed_time);
	} else if (r->signed_text.p != NULL) {
		bad |= buf_printf(
		    out, ",\"signed\":{\"form\":\"%s\",\"text\":", forms[r->signed_form]);
		bad |= put_string(out, r->signed_text);
		bad |= buf_putc(out, '}');
	}
	if (r->token.p != NULL) {
		bad |= buf_puts(out, ",\"token\":");
		bad |= put_string(out, r->token);
	}
	return bad != 0 ? -1 : 0;
}

int
ledger_line_end(
    struct buf *out, size_t start, const struct ledger_row *r, const uint8_t hash[32])
{
	size_t bare;

	if (buf_put(out, HASH, LEN(HASH)) == -1 || put_hex(out, hash, 32) == -1 ||
	    buf_putc(out, '"') == -1)
		return -1;
	bare = out->len;
	/* without memory, or without room, the hash in the row still binds it */
	if ((r->signed_text.p != NULL || r->token.p != NULL) &&
	    (put_evidence(out, r) == -1 || out->len + 1 - start > LEDGER_LINE_MAX))
		out->len = bare;
	return buf_put(out, "}\n", 2);
}

/* ---- reading ---- */

struct cursor {
	const char *p, *end;
	bool bad;
};

#define EXPECT(c, literal) expect((c), (literal), LEN(literal))

static void
expect(struct cursor *c, const char *literal, size_t len)
{
	if (c->bad || (size_t)(c->end - c->p) < len || memcmp(c->p, literal, len) != 0)
		c->bad = true;
	else
		c->p += len;
}

/* Digits without leading zeros, 1 and up. */
static uint64_t
take_number(struct cursor *c)
{
	const char *start = c->p;
	uint64_t v = 0;

	while (!c->bad && c->p < c->end && *c->p >= '0' && *c->p <= '9') {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*c->p - '0'), &v))
			c->bad = true;
		c->p++;
	}
	if (c->p == start || *start == '0')
		c->bad = true;
	return v;
}

/* Text up to the next quote, which stays; no escapes. */
static void
take_text(struct cursor *c, char *out, size_t size)
{
	const char *quote = c->bad ? NULL : memchr(c->p, '"', (size_t)(c->end - c->p));
	size_t len = quote != NULL ? (size_t)(quote - c->p) : 0;

	if (quote == NULL || len == 0 || len >= size || memchr(c->p, '\\', len) != NULL ||
	    memchr(c->p, '\0', len) != NULL) {
		c->bad = true;
		return;
	}
	memcpy(out, c->p, len);
	out[len] = '\0';
	c->p = quote;
}

static void
take_hash(struct cursor *c, uint8_t out[32])
{
	if (c->bad || c->end - c->p < HEX || hex_decode(c->p, HEX, out, 32) != 32)
		c->bad = true;
	else
		c->p += HEX;
}

static enum ledger_line_kind
read_header(struct cursor *c, struct ledger_line *out)
{
	EXPECT(c, "{\"ledger\":\"aegis-2\",\"chain\":\"");
	take_text(c, out->checkpoint.chain, sizeof(out->checkpoint.chain));
	EXPECT(c, "\",\"from\":");
	out->seq = take_number(c);
	EXPECT(c, ",\"prev\":\"");
	take_hash(c, out->checkpoint.head);
	EXPECT(c, "\"}");
	return c->bad || c->p != c->end ? LEDGER_LINE_BAD : LEDGER_LINE_HEADER;
}

static enum ledger_line_kind
read_checkpoint(struct cursor *c, struct ledger_line *out)
{
	struct ledger_checkpoint *cp = &out->checkpoint;
	char signature[96] = "";

	EXPECT(c, "{\"checkpoint\":{\"chain\":\"");
	take_text(c, cp->chain, sizeof(cp->chain));
	EXPECT(c, "\",\"seq\":");
	cp->seq = out->seq = take_number(c);
	EXPECT(c, ",\"head\":\"");
	take_hash(c, cp->head);
	EXPECT(c, "\",\"root\":\"");
	take_hash(c, cp->root);
	EXPECT(c, "\",\"time\":\"");
	take_text(c, cp->time, sizeof(cp->time));
	EXPECT(c, "\",\"kid\":\"");
	take_text(c, cp->kid, sizeof(cp->kid));
	EXPECT(c, "\"},\"signature\":\"");
	take_text(c, signature, sizeof(signature));
	EXPECT(c, "\"}");
	return c->bad || c->p != c->end ||
		b64_decode(B64_STD, signature, strlen(signature), cp->signature,
		    sizeof(cp->signature)) != 64
	    ? LEDGER_LINE_BAD
	    : LEDGER_LINE_CHECKPOINT;
}

static enum ledger_line_kind
read_row(struct span line, struct ledger_line *out)
{
	const size_t tail = LEN(HASH) + HEX + 2;
	const char *text = line.p + LEN(LEDGER_LINE_ROW), *end = line.p + line.len, *hash;
	struct cursor c = {text, end, false};

	EXPECT(&c, "{\"seq\":");
	out->seq = take_number(&c);
	EXPECT(&c, ",\"");
	if (c.bad || (size_t)(end - text) < tail || end[-1] != '}')
		return LEDGER_LINE_BAD;
	/* of a row without evidence, so of most; what an agent signed may have such
	 * octets, too, but ends with two braces */
	hash = end - tail;
	if (end[-2] != '"' || memcmp(hash, HASH, LEN(HASH)) != 0)
		hash = memmem(text, (size_t)(end - text), HASH, LEN(HASH));
	if (hash == NULL || (size_t)(end - hash) < tail || hash[-1] != '}' ||
	    hash[LEN(HASH) + HEX] != '"')
		return LEDGER_LINE_BAD;
	out->text = span_mem(text, (size_t)(hash - text));
	out->hash = span_mem(hash + LEN(HASH), HEX);
	return LEDGER_LINE_ROW_KIND;
}

enum ledger_line_kind
ledger_line_read(struct span line, struct ledger_line *out)
{
	struct cursor c = {line.p, line.p + line.len, false};

	out->line = line;
	out->text = out->hash = (struct span){NULL, 0};
	if (line.len < 16)
		return LEDGER_LINE_BAD;
	if (memcmp(line.p, LEDGER_LINE_ROW, LEN(LEDGER_LINE_ROW)) == 0)
		return read_row(line, out);
	memset(&out->checkpoint, 0, sizeof(out->checkpoint));
	return line.p[2] == 'l' ? read_header(&c, out) : read_checkpoint(&c, out);
}

int
ledger_line_hash(const struct ledger_line *l, uint8_t out[32])
{
	return hex_decode(l->hash.p, l->hash.len, out, 32) == 32 ? 0 : -1;
}
