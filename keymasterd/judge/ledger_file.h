/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's directory: files NNNNNNNNNNNNNNNNNNNN.jsonl, each named by its first row,
 * the last one growing; `index` (ledger_index.h) and `head`, the newest checkpoint, which
 * can be made again from them. Judge only.
 */
#ifndef AEGIS_JUDGE_LEDGER_FILE_H
#define AEGIS_JUDGE_LEDGER_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/span.h"

#define LEDGER_FILE_MAX (256u << 20)

struct ledger_dir {
	char path[1100];
	int fd;                    /* of the directory, -1: closed */
	int index, head, marks[2]; /* marks: seal_marks.c */
	uint64_t *first;           /* the first row of each file, ascending */
	size_t n, cap;
	int last;        /* descriptor of the last file, -1: there is none */
	uint64_t len;    /* its octets that count */
	int dirty;       /* there may be more behind them */
	uint64_t max;    /* a new file begins behind this many octets */
	char error[160]; /* of the last failure, for people */
};
extern struct ledger_dir ledger_dir;

/*
 * Makes and opens the directory `ledger` in dir; before the system call filter, since
 * listing is not among the calls afterwards. 0, or -1 with text for the operator.
 */
int ledger_dir_open(const char *dir, char *err, size_t err_size);
void ledger_dir_close(void);
/* Notes errno with what was tried. Returns -1. */
int ledger_dir_fail(const char *what);

/* Makes the file that begins with this row (or empties what a failed try left). The
 * descriptor, or -1. It is not part of the ledger yet. */
int ledger_file_make(uint64_t first);
/* It is the last file now, with len octets. Takes fd. 0 or -1 (no memory). */
int ledger_file_add(uint64_t first, int fd, uint64_t len);
/* One that is not the last file goes. 0 or -1. */
int ledger_file_unmake(uint64_t first);
/* The last file has nothing that counts: it goes, and the one before it is the last. */
int ledger_file_drop(void);

/* All of it, or -1 with errno. */
int ledger_pwrite(int fd, const void *p, size_t len, uint64_t at);
/* Up to len octets of file i; fewer at its end only. -1 with errno. */
ssize_t ledger_file_read(size_t i, void *p, size_t len, uint64_t at);
/* How many octets of file i count; -1 with errno. */
int64_t ledger_file_len(size_t i);
/* Cuts the last file to the octets that count. 0 or -1. */
int ledger_file_trim(void);

/* ---- line by line ---- */
struct ledger_cursor {
	size_t file;
	uint64_t at; /* where the next line begins */
	uint8_t *octets;
	size_t pos, end; /* of octets: what was read and not given out */
};
enum ledger_next {
	LEDGER_NEXT_LINE = 1,
	LEDGER_NEXT_END = 0, /* no more files */
	LEDGER_NEXT_ERROR = -1,
	LEDGER_NEXT_TORN = -2 /* what follows at (file, at) is no line */
};
/* 0, or -1 without memory. */
int ledger_cursor_open(struct ledger_cursor *, size_t file, uint64_t at);
void ledger_cursor_close(struct ledger_cursor *);
/* The next line without its newline, valid until the next call; goes from file to file.
 */
enum ledger_next ledger_cursor_next(struct ledger_cursor *, struct span *line);

#endif
