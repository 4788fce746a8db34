/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers for people: colours on a terminal, aligned tables. Text may come from agents,
 * so control characters never reach the terminal.
 */
#ifndef AEGIS_OUT_H
#define AEGIS_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/json.h"

enum out_colour { OUT_PLAIN, OUT_RED, OUT_GREEN, OUT_YELLOW, OUT_BOLD, OUT_DIM };

/* The escape sequence, or "" when the stream is no terminal or NO_COLOR is set. */
const char *out_colour(FILE *, enum out_colour);
/* Appends text with control characters replaced. */
void out_clean(struct buf *, const void *, size_t);

enum column_kind {
	COLUMN_PLAIN, /* text, number, list joined with commas */
	COLUMN_TIME,  /* milliseconds since 1970, 0 is "-"; text stays */
	COLUMN_YES    /* true is "yes", false "no" */
};

struct column {
	const char *title; /* NULL ends the list */
	const char *member;
	enum column_kind kind;
};

/* JSON of ours, with line breaks and two blanks a level, to be read or put into a file.
 */
void out_json(FILE *, const char *json, size_t len);

struct table;

/* A table whose rows are JSON objects. NULL without memory. */
struct table *table_new(const struct column *);
/* 0, or -1 when it is no JSON object. */
int table_add(struct table *, const void *json, size_t len);
/* Prints; `empty` when there are no rows. */
void table_print(const struct table *, FILE *, const char *empty);
void table_free(struct table *);
/* Appends one member of a JSON object as text for people ("-" when absent). */
void out_member(const struct json_doc *, uint32_t object, const char *member,
    enum column_kind, struct buf *);

#endif
