/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a receipt. It has one form only, to the octet, like the ledger's own lines.
 * Judge only.
 */
#include <inttypes.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/hex.h"
#include "common/merkle.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_scan.h"
#include "keymasterd/judge/receipt.h"

static int
put_hash(struct buf *out, const char *before, const uint8_t hash[32])
{
	char hex[65];

	(void)hex_encode(hash, 32, hex, sizeof(hex));
	return buf_printf(out, "%s\"%s\"", before, hex);
}

/* The hash of row seq, of the chain itself for 0. */
static int
hash_of(uint64_t seq, uint8_t hash[32])
{
	struct ledger_line line;
	struct buf octets;
	int r = 0;

	if (seq == 0) {
		ledger_hash_zero(hash);
		return 0;
	}
	buf_init(&octets);
	if (ledger_row_get(seq, &line, &octets) == -1 ||
	    ledger_line_hash(&line, hash) == -1)
		r = -1;
	buf_free(&octets);
	return r;
}

/* "row":TEXT,"hash":H,"prev":H,"index":N,"path":[H,...] */
static int
put_row(struct buf *out, uint64_t seq, uint64_t size)
{
	uint8_t path[MERKLE_PATH_MAX][32], hash[32], prev[32];
	struct ledger_line line;
	struct buf octets;
	size_t n, i;
	int bad;

	buf_init(&octets);
	bad = ledger_row_get(seq, &line, &octets) == -1 ||
	    ledger_line_hash(&line, hash) == -1 || hash_of(seq - 1, prev) == -1 ||
	    ledger_path(seq, size, path, &n) == -1 || buf_puts(out, "\"row\":") == -1 ||
	    buf_put(out, line.text.p, line.text.len) == -1 ||
	    put_hash(out, ",\"hash\":", hash) == -1 ||
	    put_hash(out, ",\"prev\":", prev) == -1 ||
	    buf_printf(out, ",\"index\":%" PRIu64 ",\"path\":[", seq) == -1;
	for (i = 0; !bad && i < n; i++)
		bad = put_hash(out, i > 0 ? "," : "", path[i]) == -1;
	buf_free(&octets);
	return bad || buf_putc(out, ']') == -1 ? -1 : 0;
}

static int
put_checkpoint(struct buf *out, const struct ledger_checkpoint *c)
{
	struct buf line;
	int r;

	buf_init(&line); /* {"checkpoint":...,"signature":"..."} and a newline */
	r = ledger_line_checkpoint(&line, c) == -1 || buf_putc(out, ',') == -1
	    ? -1
	    : buf_put(out, line.p + 1, line.len - 3);
	buf_free(&line);
	return r;
}

int
receipt_make(struct buf *out, uint64_t seq, uint64_t completion)
{
	const struct ledger_checkpoint *c = ledger_checkpoint_newest();
	char key[B64_SIZE(32)];
	int bad;

	if (seq > c->seq || completion > c->seq)
		return -1;
	(void)b64_encode(B64_STD, judge_keys.ledger_pub, 32, key, sizeof(key));
	bad = buf_puts(out, "{\"receipt\":\"aegis-1\",") == -1 ||
	    put_row(out, seq, c->seq) == -1;
	if (!bad && completion > 0)
		bad = buf_puts(out, ",\"completion\":{") == -1 ||
		    put_row(out, completion, c->seq) == -1 || buf_putc(out, '}') == -1;
	return bad || put_checkpoint(out, c) == -1 ||
		buf_printf(out, ",\"public_key\":\"%s\"}", key) == -1
	    ? -1
	    : 0;
}
