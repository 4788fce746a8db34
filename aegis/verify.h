/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifies the ledger's files, exports and receipts (doc/ledger-format.md) line by line:
 * chain and Merkle tree are computed anew over the rows' own octets, and checkpoints are
 * checked against the ledger's public key. Needs nothing but the files and the key; the
 * files may be hostile.
 */
#ifndef AEGIS_VERIFY_H
#define AEGIS_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/merkle.h"

#define VERIFY_LINE_MAX 65536
#define VERIFY_FINDINGS_MAX 20 /* further ones are counted */

enum verify_kind {
	VERIFY_MALFORMED, /* a line that no export has */
	VERIFY_CHANGED,   /* a row does not have the hash it had */
	VERIFY_MISSING,   /* rows first..last are not there */
	VERIFY_REORDERED, /* a row stands where it does not belong, or twice */
	VERIFY_FOREIGN,   /* a row or checkpoint of another chain, or another key's */
	VERIFY_SIGNATURE, /* a checkpoint that the key has not signed */
	VERIFY_HEAD,      /* a checkpoint of this key over other rows than first..last */
	VERIFY_ROOT,      /* the same, seen by the Merkle tree alone */
	VERIFY_CUT,       /* the end is missing */
	VERIFY_OLD,       /* the end is missing: a head kept elsewhere names row `last` */
	VERIFY_HISTORY,   /* a head kept elsewhere names row `last` with another hash */
	VERIFY_EVIDENCE,  /* evidence that is not what the row names */
	VERIFY_ENVELOPE   /* an envelope that the session's key has not signed */
};

struct verify_finding {
	enum verify_kind kind;
	uint64_t first, last; /* rows; 0 when none is meant */
	uint64_t line;        /* of the file, from 1 */
	const char *file;     /* as verify_file() was told; NULL: there is only one */
};

struct evidence;

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
	uint8_t sealed_hash[32];
	bool rooted;       /* the Merkle tree was compared as well, at each checkpoint */
	uint64_t verified; /* envelopes: their signatures are right, */
	uint64_t refuted;  /* or they or their evidence are wrong, */
	uint64_t without;  /* or what would show it is left out */
	bool complete;     /* set by verify_end() */

	/* what to do; set between verify_begin() and the first line */
	bool signatures; /* verify envelopes as well */
	bool open;       /* the end may be unsealed: the judge is writing */

	/* private */
	uint8_t key[32];
	char kid[17];
	const char *file;
	uint8_t hash[32];
	bool begun;
	bool broken;   /* the hash before the next row is not known */
	bool unread;   /* the last line could have been the expected row */
	bool astray;   /* a checkpoint seals other rows: so will all later ones */
	bool has_rows; /* since the last header */
	uint64_t expected;
	uint64_t kept_row; /* the head kept elsewhere; 0: none */
	uint8_t kept_hash[32];
	struct merkle tree; /* over rows 1 to `grown`, if `rooted` */
	bool grown_known;
	uint64_t grown;         /* the hashes of later rows wait for a checkpoint */
	uint8_t grown_hash[32]; /* of row `grown` */
	uint8_t (*waiting)[32];
	size_t nwaiting, size;
	struct evidence *evidence;
};

/* Starts over with the ledger's Ed25519 public key. 0, or -1 without memory. */
int verify_begin(struct verify *, const uint8_t key[32]);
/* A head that was kept elsewhere: the rows must reach it and have this hash there. */
void verify_keep(struct verify *, uint64_t row, const uint8_t hash[32]);
/* Lines of another file follow, which continues the one before. The name must last. */
void verify_file(struct verify *, const char *name);
/* The next line without its newline. */
void verify_line(struct verify *, const char *line, size_t len);
/* All lines of a buffer; the last must end with a newline. */
void verify_text(struct verify *, const char *text, size_t len);
/* No more lines. Returns true when nothing was found, so the last row is sealed too
 * (unless `open`). */
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
/*
 * A head as ROW:HASH, or the name of a file that holds one or ends with a checkpoint,
 * such as an older export. 0, or -1 after writing why to err.
 */
int verify_head_parse(
    const char *text, uint64_t *row, uint8_t hash[32], char *err, size_t err_size);
/* The key's id as checkpoints carry it. */
void verify_kid(const uint8_t key[32], char kid[17]);

/* What a receipt shows. Texts point into the receipt. */
struct verify_receipt {
	uint64_t row, sealed_row;
	const char *text; /* the row */
	size_t text_len;
	uint64_t completion; /* row number; 0: none in the receipt */
	char chain[65], sealed_time[41];
};

/*
 * Whether the ledger with this key holds the receipt's row. 0, or -1 after writing why
 * not to err. Nothing of a receipt that is refused is to be believed.
 */
int verify_receipt(const char *json, size_t len, const uint8_t key[32],
    struct verify_receipt *, char *err, size_t err_size);

#endif
