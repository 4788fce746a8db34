/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables and colours.
 */
#include "aegis/out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rfc3339.h"

struct table {
	const struct column *columns;
	size_t ncolumns, nrows;
	char **cells; /* nrows * ncolumns */
};

const char *
out_colour(FILE *f, enum out_colour c)
{
	static const char *const codes[] = {
	    "\033[0m", "\033[31m", "\033[32m", "\033[33m", "\033[1m", "\033[2m"};

	return isatty(fileno(f)) && getenv("NO_COLOR") == NULL ? codes[c] : "";
}

void
out_clean(struct buf *out, const void *p, size_t len)
{
	const unsigned char *s = p;
	size_t i;

	for (i = 0; i < len; i++) {
		if (s[i] == 0xc2 && i + 1 < len && s[i + 1] >= 0x80 && s[i + 1] <= 0x9f) {
			i++; /* U+0080 to U+009F: control characters as well */
			(void)buf_putc(out, '?');
		} else {
			(void)buf_putc(out, s[i] < 0x20 || s[i] == 0x7f ? '?' : s[i]);
		}
	}
}

static void
put_time(int64_t ms, struct buf *out)
{
	char text[RFC3339_SIZE];

	if (ms <= 0 || rfc3339_format(ms / 1000, 0, 0, text, sizeof(text)) < 0)
		(void)buf_puts(out, "-");
	else
		(void)buf_puts(out, text);
}

static void
put_value(const struct json_doc *d, uint32_t node, enum column_kind kind, struct buf *out)
{
	struct json_iter it;
	const uint8_t *raw;
	struct buf text;
	size_t len, before = out->len;
	int64_t n;

	switch (json_type(d, node)) {
	case JT_STRING:
		buf_init(&text);
		if (json_str_put(d, node, &text) == 0)
			out_clean(out, text.p, text.len);
		buf_free(&text);
		break;
	case JT_TRUE:
	case JT_FALSE:
		(void)buf_puts(out, json_type(d, node) == JT_TRUE ? "yes" : "no");
		break;
	case JT_NUMBER:
		if (kind == COLUMN_TIME && json_int64(d, node, &n) == 0)
			put_time(n, out);
		else if (json_raw(d, node, &raw, &len) == 0)
			out_clean(out, raw, len);
		break;
	case JT_ARRAY:
		json_iter_init(&it, d, node);
		while (json_iter_next(&it, d)) {
			if (out->len > before)
				(void)buf_puts(out, ", ");
			put_value(d, it.value, kind, out);
		}
		break;
	case JT_OBJECT:
		if (json_raw(d, node, &raw, &len) == 0)
			out_clean(out, raw, len);
		break;
	default:
		break;
	}
	if (out->len == before)
		(void)buf_puts(out, "-");
}

void
out_member(const struct json_doc *d, uint32_t object, const char *member,
    enum column_kind kind, struct buf *out)
{
	put_value(d, json_get(d, object, member), kind, out);
}

static void
break_line(FILE *f, unsigned depth)
{
	fprintf(f, "\n%*s", (int)depth * 2, "");
}

void
out_json(FILE *f, const char *p, size_t len)
{
	bool in_text = false, escaped = false;
	unsigned depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = p[i];

		if (in_text) {
			fputc(c, f);
			in_text = escaped || c != '"';
			escaped = !escaped && c == '\\';
			continue;
		}
		if (c == '}' || c == ']')
			break_line(f, --depth);
		fputc(c, f);
		in_text = c == '"';
		if (c == '{' || c == '[')
			break_line(f, ++depth);
		else if (c == ',')
			break_line(f, depth);
		else if (c == ':')
			fputc(' ', f);
	}
	fputc('\n', f);
}

struct table *
table_new(const struct column *columns)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->columns = columns;
	while (columns[t->ncolumns].title != NULL)
		t->ncolumns++;
	return t;
}

int
table_add(struct table *t, const void *json, size_t len)
{
	struct json_doc d;
	struct buf cell;
	char **grown;
	size_t i;
	int r = -1;

	json_init(&d);
	if (json_parse(&d, json, len, NULL) != JSON_OK || json_type(&d, 0) != JT_OBJECT)
		goto out;
	grown = reallocarray(t->cells, (t->nrows + 1) * t->ncolumns, sizeof(*grown));
	if (grown == NULL)
		goto out;
	t->cells = grown;
	for (i = 0; i < t->ncolumns; i++) {
		buf_init(&cell);
		out_member(&d, 0, t->columns[i].member, t->columns[i].kind, &cell);
		grown[t->nrows * t->ncolumns + i] = strndup((char *)cell.p, cell.len);
		buf_free(&cell);
	}
	t->nrows++;
	r = 0;
out:
	json_free(&d);
	return r;
}

/* Characters, near enough to columns of a terminal. */
static size_t
width(const char *s)
{
	size_t n = 0;

	for (; s != NULL && *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void
print_cell(FILE *f, const char *s, size_t columns, bool last)
{
	size_t have = width(s);

	fputs(s != NULL ? s : "", f);
	if (last)
		fputc('\n', f);
	else
		fprintf(f, "%*s", (int)(columns - have + 2), "");
}

static bool
is_empty(const struct table *t, size_t column)
{
	for (size_t j = 0; j < t->nrows; j++)
		if (t->cells[j * t->ncolumns + column] == NULL ||
		    strcmp(t->cells[j * t->ncolumns + column], "-") != 0)
			return false;
	return true;
}

void
table_print(const struct table *t, FILE *f, const char *empty)
{
	size_t *widths = calloc(t->ncolumns, sizeof(*widths)), i, j, n, last = 0;

	if (t->nrows == 0)
		fprintf(f, "%s\n", empty);
	for (i = 0; i < t->ncolumns && widths != NULL && t->nrows > 0; i++) {
		if (i > 0 && is_empty(t, i))
			continue; /* of width 0: left out */
		last = i;
		widths[i] = width(t->columns[i].title);
		for (j = 0; j < t->nrows; j++)
			if ((n = width(t->cells[j * t->ncolumns + i])) > widths[i])
				widths[i] = n;
	}
	if (t->nrows > 0 && widths != NULL) {
		fputs(out_colour(f, OUT_BOLD), f);
		for (i = 0; i < t->ncolumns; i++)
			if (widths[i] > 0)
				print_cell(f, t->columns[i].title, widths[i], i == last);
		fputs(out_colour(f, OUT_PLAIN), f);
		for (j = 0; j < t->nrows; j++)
			for (i = 0; i < t->ncolumns; i++)
				if (widths[i] > 0)
					print_cell(f, t->cells[j * t->ncolumns + i],
					    widths[i], i == last);
	}
	free(widths);
}

void
table_free(struct table *t)
{
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; i < t->nrows * t->ncolumns; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}
