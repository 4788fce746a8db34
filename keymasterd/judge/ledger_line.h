/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of the ledger's files (doc/design.md, "The ledger"): put together, and taken
 * apart again. Pure functions, in the judge and in tests; a file may hold anything after
 * a crash, so the readers trust nothing of it.
 */
#ifndef AEGIS_JUDGE_LEDGER_LINE_H
#define AEGIS_JUDGE_LEDGER_LINE_H

#include <stdint.h>

#include "common/buf.h"
#include "common/span.h"
#include "keymasterd/judge/ledger.h"

#define LEDGER_LINE_MAX 59900 /* without its newline; fits an admin_row */

/* {"ledger":"aegis-2","chain":...,"from":from,"prev":"<hex>"} and a newline. 0 or -1. */
int ledger_line_header(
    struct buf *out, const char *chain, uint64_t from, const uint8_t prev[32]);

/* A checkpoint and a newline. 0 or -1. */
int ledger_line_checkpoint(struct buf *out, const struct ledger_checkpoint *);

/*
 * What comes after a row's text, before which LINE_ROW stands (common/line_cursor.h):
 * hash, evidence, newline. `start` is where the line begins in out; evidence that would
 * make it longer than LEDGER_LINE_MAX is left out. 0 or -1.
 */
int ledger_line_end(
    struct buf *out, size_t start, const struct ledger_row *, const uint8_t hash[32]);

enum ledger_line_kind {
	LEDGER_LINE_BAD,
	LEDGER_LINE_HEADER,
	LEDGER_LINE_ROW_KIND,
	LEDGER_LINE_CHECKPOINT
};

/* What a line says; spans point into it. */
struct ledger_line {
	struct span line;
	uint64_t seq;     /* of a row, of the row a checkpoint names, a header's `from` */
	struct span text; /* of a row */
	struct span hash; /* of a row: 64 digits */
	/* of the others */
	struct ledger_checkpoint checkpoint; /* of a header: chain, and prev as head */
};

/* The line without its newline. Only what the kind has is filled in. */
enum ledger_line_kind ledger_line_read(struct span line, struct ledger_line *out);
/* The digits of hash, as octets. 0, or -1 when they are none. */
int ledger_line_hash(const struct ledger_line *, uint8_t out[32]);

#endif
