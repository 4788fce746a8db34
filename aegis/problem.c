/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collected errors, and the guess what was meant.
 */
#include "aegis/problem.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/utf8.h"

#define WORD_MAX 64

void
problems_init(struct problems *p, const char *file)
{
	p->file = file;
	p->count = 0;
	p->warnings = 0;
	buf_init(&p->text);
}

void
problems_free(struct problems *p)
{
	buf_free(&p->text);
}

void
problem_add(struct problems *p, const char *where, unsigned line, unsigned column,
    const char *key, const char *fmt, ...)
{
	size_t begin = p->text.len;
	char text[1024];
	va_list ap;

	if (p->count++ >= PROBLEMS_MAX)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (line > 0)
		(void)buf_printf(&p->text, "%s:%u:%u: ", p->file, line, column);
	else if (where != NULL)
		(void)buf_printf(&p->text, "%s: ", where);
	if (key != NULL && key[0] != '\0')
		(void)buf_printf(&p->text, "%s: ", key);
	(void)buf_printf(&p->text, "%s\n", text);
	/* names of files can be any octets, but no message between processes takes them
	 */
	if (p->text.len > begin)
		utf8_repair(p->text.p + begin, p->text.len - begin);
}

/* Edits (insert, delete, replace) that make one word the other; long words are far. */
static size_t
distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), row[WORD_MAX + 1], i, j, diagonal, above,
	       best;

	if (n > WORD_MAX || m > WORD_MAX)
		return SIZE_MAX;
	for (j = 0; j <= m; j++)
		row[j] = j;
	for (i = 1; i <= n; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= m; j++) {
			above = row[j];
			best = diagonal + (a[i - 1] != b[j - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[m];
}

const char *
problem_nearest(const char *word, const char *const *words)
{
	size_t best = strlen(word) / 3 + 1, d;
	const char *found = NULL;

	for (; *words != NULL; words++) {
		d = distance(word, *words);
		if (d <= best && (found == NULL || d < best)) {
			best = d;
			found = *words;
		}
	}
	return found;
}
