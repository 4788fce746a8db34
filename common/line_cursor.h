/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the lines of the ledger's files (doc/ledger-format.md) apart. They have one form
 * only, so a cursor that expects literal text reads them: whatever differs is malformed.
 * Judge and command line; the lines may be hostile.
 */
#ifndef AEGIS_LINE_CURSOR_H
#define AEGIS_LINE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define LINE_HEX 64
#define LINE_ROW "{\"row\":"     /* before a row's text */
#define LINE_HASH ",\"hash\":\"" /* behind it */

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
/*
 * Where the row's text at the cursor ends and LINE_HASH begins, with as much behind it as
 * a hash has; NULL when it does not. No value can hold these octets, since a quote inside
 * a value is escaped; evidence, which comes later, may.
 */
const char *line_row_end(const struct line_cursor *);

#endif
