/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of the ledger's files and exports (doc/ledger-format.md), taken apart. They
 * have one form only, so a cursor that expects literal text reads them: whatever differs
 * is malformed. Command line only; the lines may be hostile.
 */
#ifndef AEGIS_LINE_H
#define AEGIS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

struct buf;

#define LINE_HEX 64

struct line_cursor {
	const char *p, *end;
	bool bad; /* something else stood there; all further taking does nothing */
};

#define LINE_EXPECT(c, literal) line_expect((c), (literal), sizeof(literal) - 1)
void line_expect(struct line_cursor *, const char *literal, size_t len);
/* Whether the literal stands next; it is taken then. */
bool line_try(struct line_cursor *, const char *literal);
/* Digits without leading zeros, 1 and up. */
uint64_t line_number(struct line_cursor *);
/* 64 lower-case digits. */
void line_hash(struct line_cursor *, uint8_t out[32]);
/* Text up to the next quote, which stays; not empty, without escapes. */
struct span line_text(struct line_cursor *);
void line_copy(struct line_cursor *, char *out, size_t size);
/* All was as expected and nothing is left. */
bool line_done(const struct line_cursor *);

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
