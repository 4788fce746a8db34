/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the ledger's files; see ledger_line.h. Judge only. */
#include "keymasterd/judge/ledger_line.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "common/b64.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "common/line_cursor.h"

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

	if (buf_put(out, LINE_HASH, LEN(LINE_HASH)) == -1 ||
	    put_hex(out, hash, 32) == -1 || buf_putc(out, '"') == -1)
		return -1;
	bare = out->len;
	/* without memory, or without room, the hash in the row still binds it */
	if ((r->signed_text.p != NULL || r->token.p != NULL) &&
	    (put_evidence(out, r) == -1 || out->len + 1 - start > LEDGER_LINE_MAX))
		out->len = bare;
	return buf_put(out, "}\n", 2);
}

/* ---- reading ---- */

static enum ledger_line_kind
read_header(struct line_cursor *c, struct ledger_line *out)
{
	LINE_EXPECT(c, "{\"ledger\":\"aegis-2\",\"chain\":\"");
	line_copy(c, out->checkpoint.chain, sizeof(out->checkpoint.chain));
	LINE_EXPECT(c, "\",\"from\":");
	out->seq = line_number(c);
	LINE_EXPECT(c, ",\"prev\":\"");
	line_hash(c, out->checkpoint.head);
	LINE_EXPECT(c, "\"}");
	return !line_done(c) ? LEDGER_LINE_BAD : LEDGER_LINE_HEADER;
}

static enum ledger_line_kind
read_checkpoint(struct line_cursor *c, struct ledger_line *out)
{
	struct ledger_checkpoint *cp = &out->checkpoint;
	char signature[96] = "";

	LINE_EXPECT(c, "{\"checkpoint\":{\"chain\":\"");
	line_copy(c, cp->chain, sizeof(cp->chain));
	LINE_EXPECT(c, "\",\"seq\":");
	cp->seq = out->seq = line_number(c);
	LINE_EXPECT(c, ",\"head\":\"");
	line_hash(c, cp->head);
	LINE_EXPECT(c, "\",\"root\":\"");
	line_hash(c, cp->root);
	LINE_EXPECT(c, "\",\"time\":\"");
	line_copy(c, cp->time, sizeof(cp->time));
	LINE_EXPECT(c, "\",\"kid\":\"");
	line_copy(c, cp->kid, sizeof(cp->kid));
	LINE_EXPECT(c, "\"},\"signature\":\"");
	line_copy(c, signature, sizeof(signature));
	LINE_EXPECT(c, "\"}");
	return !line_done(c) ||
		b64_decode(B64_STD, signature, strlen(signature), cp->signature,
		    sizeof(cp->signature)) != 64
	    ? LEDGER_LINE_BAD
	    : LEDGER_LINE_CHECKPOINT;
}

static enum ledger_line_kind
read_row(struct line_cursor *c, struct ledger_line *out)
{
	const char *text, *hash;

	LINE_EXPECT(c, LINE_ROW);
	text = c->p;
	hash = line_row_end(c);
	LINE_EXPECT(c, "{\"seq\":");
	out->seq = line_number(c);
	LINE_EXPECT(c, ",\"");
	if (c->bad || hash == NULL || c->end[-1] != '}' || hash[-1] != '}' ||
	    hash[LEN(LINE_HASH) + LINE_HEX] != '"')
		return LEDGER_LINE_BAD;
	out->text = span_mem(text, (size_t)(hash - text));
	out->hash = span_mem(hash + LEN(LINE_HASH), LINE_HEX);
	return LEDGER_LINE_ROW_KIND;
}

enum ledger_line_kind
ledger_line_read(struct span line, struct ledger_line *out)
{
	struct line_cursor c = {line.p, line.p + line.len, false};

	out->line = line;
	out->text = out->hash = (struct span){NULL, 0};
	if (line.len < 16)
		return LEDGER_LINE_BAD;
	if (memcmp(line.p, LINE_ROW, LEN(LINE_ROW)) == 0)
		return read_row(&c, out);
	memset(&out->checkpoint, 0, sizeof(out->checkpoint));
	return line.p[2] == 'l' ? read_header(&c, out) : read_checkpoint(&c, out);
}

int
ledger_line_hash(const struct ledger_line *l, uint8_t out[32])
{
	return hex_decode(l->hash.p, l->hash.len, out, 32) == 32 ? 0 : -1;
}
