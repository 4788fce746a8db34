/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a configuration, collected so that everything is reported at once.
 * Command line and master; the text of a file is the operator's, but may be careless.
 */
#ifndef AEGIS_PROBLEM_H
#define AEGIS_PROBLEM_H

#include "common/buf.h"

#define PROBLEMS_MAX 100 /* further ones are counted, not worded */

struct problems {
	const char *file; /* what line and column refer to */
	struct buf text;  /* one line each */
	unsigned count;
	unsigned warnings;
};

/* Starts an empty collection. */
void problems_init(struct problems *, const char *file);
void problems_free(struct problems *);
/*
 * Adds `FILE:LINE:COLUMN: key: text`; line 0 leaves the place out and names `where`
 * (such as "environment AEGIS_PORT") when it is not NULL.
 */
void problem_add(struct problems *, const char *where, unsigned line, unsigned column,
    const char *key, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* The word of `words` (NULL-terminated) nearest to `word`, or NULL when none is near. */
const char *problem_nearest(const char *word, const char *const *words);

#endif
