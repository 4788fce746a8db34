/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifies an export of the ledger (doc/design.md, "The ledger") line by line: the chain
 * is computed anew over the rows' own octets, and checkpoints are checked against the
 * ledger's public key. Needs nothing but the file and the key; the file may be hostile.
 */
#ifndef AEGIS_VERIFY_H
#define AEGIS_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERIFY_LINE_MAX 65536
#define VERIFY_FINDINGS_MAX 20 /* further ones are counted */

enum verify_kind {
	VERIFY_MALFORMED, /* a line that no export has */
	VERIFY_CHANGED,   /* a row does not have the hash it had */
	VERIFY_MISSING,   /* rows first..last are not there */
	VERIFY_REORDERED, /* a row stands where it does not belong, or twice */
	VERIFY_FOREIGN,   /* a row or checkpoint of another chain, or another key's */
	VERIFY_SIGNATURE, /* a checkpoint that the key has not signed */
	VERIFY_HEAD,      /* a checkpoint of this key over other rows than these */
	VERIFY_CUT        /* the end is missing */
};

struct verify_finding {
	enum verify_kind kind;
	uint64_t first, last; /* rows; 0 when none is meant */
	uint64_t line;        /* of the file, from 1 */
};

struct verify {
	/* the result so far */
	struct verify_finding findings[VERIFY_FINDINGS_MAX];
	unsigned nfindings; /* all of them, also those beyond the array */
	char chain[65];
	uint64_t first_row; /* 0: no row yet */
	uint64_t last_row;
	uint64_t rows, checkpoints, lines;
	uint64_t sealed_row; /* of the last good checkpoint */
	char sealed_time[41];
	bool complete; /* set by verify_end() */

	/* private */
	uint8_t key[32];
	char kid[17];
	uint8_t hash[32];
	bool begun;
	bool broken; /* the hash before the next row is not known */
	bool unread; /* the last line could have been the expected row */
	uint64_t expected;
	void *ctx;
};

/* Starts over with the ledger's Ed25519 public key. 0, or -1 without memory. */
int verify_begin(struct verify *, const uint8_t key[32]);
/* The next line without its newline. */
void verify_line(struct verify *, const char *line, size_t len);
/* All lines of a buffer; the last must end with a newline. */
void verify_text(struct verify *, const char *text, size_t len);
/* No more lines. Returns true when nothing was found and the last row is sealed. */
bool verify_end(struct verify *);
/* Frees what verify_begin() made; the result stays. */
void verify_free(struct verify *);

/* One finding in words, such as "row 17 was changed (line 19)". */
void verify_describe(const struct verify_finding *, char *out, size_t size);
/* "changed", "missing" ...: for JSON. */
const char *verify_kind_name(enum verify_kind);

/*
 * A public key as base64, hexadecimal, or the name of a file that holds one of these or
 * 32 octets. 0, or -1 after writing why to err.
 */
int verify_key_parse(const char *text, uint8_t key[32], char *err, size_t err_size);
/* The key's id as checkpoints carry it. */
void verify_kid(const uint8_t key[32], char kid[17]);

#endif
