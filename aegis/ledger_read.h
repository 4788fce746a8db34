/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the ledger through the admin socket, page by page, and puts an export together.
 * Command line only; the connection is open (admin_open).
 */
#ifndef AEGIS_LEDGER_READ_H
#define AEGIS_LEDGER_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_query {
	const char *since, *service, *agent, *kind, *request; /* NULL: any */
	bool newest_first;
	bool exported;  /* for a file, which is a right of its own */
	uint64_t limit; /* rows; 0: all */
};

/* The text of a row, verbatim. Returns 0 to go on, -1 to stop. */
typedef int (*ledger_row_fn)(const char *text, size_t len, void *arg);
/* A line of an export, without its newline. Returns 0 to go on, -1 to stop. */
typedef int (*ledger_line_fn)(const char *line, size_t len, void *arg);

/* Rows that match. 0, or an exit code after saying why. */
int ledger_read_rows(const struct ledger_query *, ledger_row_fn, void *arg);
/*
 * The verifiable form (doc/design.md): has the head signed, then gives header, rows and
 * checkpoints up to the last checkpoint. exported: it leaves for a file, which is a right
 * of its own. 0, or an exit code after saying why.
 */
int ledger_read_export(bool exported, ledger_line_fn, void *arg);
/* The ledger's public key and its id as the judge knows them. 0, or an exit code. */
int ledger_read_key(uint8_t key[32], char *kid, size_t kid_size);

#endif
