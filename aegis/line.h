/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of the ledger's files and exports (doc/ledger-format.md), taken apart
 * with all that is in them. Command line only; the lines may be hostile.
 */
#ifndef AEGIS_LINE_H
#define AEGIS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/line_cursor.h"
#include "common/span.h"

struct buf;

struct line_header {
	char chain[65];
	uint64_t from;
	uint8_t prev[32];
};

struct line_checkpoint {
	char chain[65];
	uint64_t seq;
	uint8_t head[32], root[32];
	char time[41], kid[17];
	uint8_t signature[64];
};

enum line_evidence { LINE_NONE, LINE_SIGNED, LINE_SIGNED_TEXT, LINE_TOKEN };

struct line_row {
	uint64_t seq;
	struct span text, chain;
	uint8_t hash[32];
	size_t bare_len; /* of the line up to its evidence: all but a last brace */
	enum line_evidence evidence;
	struct span payload, timestamp; /* of LINE_SIGNED */
	struct span object;             /* of LINE_SIGNED_TEXT: {"form":...,"text":...} */
	struct span token;              /* of LINE_TOKEN */
};

/* Each: 0, or -1 when the line is none of these. */
int line_read_header(const char *line, size_t len, struct line_header *);
int line_read_checkpoint(const char *line, size_t len, struct line_checkpoint *);
int line_read_row(const char *line, size_t len, struct line_row *);
/* The row's text, {"seq":...}, and how it begins. */
int line_read_text(struct span text, uint64_t *seq, struct span *chain);
/* {"chain":...} and ,"signature":"..." of a checkpoint. */
void line_take_checkpoint(struct line_cursor *, struct line_checkpoint *);

/*
 * A member of a row's text that is a string without escapes, as it stands; len 0 when
 * there is none. No value can look like a member, since a quote inside is escaped.
 */
struct span line_member(struct span text, const char *name);

/* The octets that vault signed for a checkpoint; their length, 0 when they do not fit. */
size_t line_signed_text(const struct line_checkpoint *, char *out, size_t size);

#endif
