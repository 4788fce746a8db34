/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over rows; a tile of the index is where a walk can begin. Judge only. */
#include "keymasterd/judge/ledger_scan.h"

#include <string.h>

#include "common/rfc3339.h"
#include "keymasterd/judge/ledger_file.h"
#include "keymasterd/judge/ledger_index.h"

/* A cursor at the first row of the tile that holds seq. 0 or -1. */
static int
open_at(struct ledger_cursor *c, uint64_t seq)
{
	const struct ledger_tile *t = ledger_index_tile(seq);
	size_t i;

	if (t == NULL)
		return -1;
	for (i = 0; i < ledger_dir.n && ledger_dir.first[i] != t->file; i++)
		;
	return i == ledger_dir.n ? -1 : ledger_cursor_open(c, i, t->offset);
}

static int
each_up(uint64_t after, uint64_t until, ledger_each_fn fn, void *arg)
{
	struct ledger_cursor c;
	struct ledger_line line;
	struct span octets;
	int r = 0;

	if (open_at(&c, after + 1) == -1)
		return -1;
	while (r == 0) {
		if (ledger_cursor_next(&c, &octets) != LEDGER_NEXT_LINE) {
			r = -1; /* row `until` is there */
			break;
		}
		if (ledger_line_read(octets, &line) != LEDGER_LINE_ROW_KIND ||
		    line.seq <= after)
			continue;
		r = line.seq > until ? 1 : fn(&line, arg);
		if (line.seq == until)
			break;
	}
	ledger_cursor_close(&c);
	return r == -1 ? -1 : 0;
}

/* The rows of one tile, kept, so that they can be given backwards. */
struct kept {
	struct buf octets;
	struct {
		size_t at, len;
	} row[LEDGER_TILE_ROWS];
	size_t n;
};

static int
keep(const struct ledger_line *l, void *arg)
{
	struct kept *k = arg;

	k->row[k->n].at = k->octets.len;
	k->row[k->n].len = l->line.len;
	if (k->n == LEDGER_TILE_ROWS || buf_put(&k->octets, l->line.p, l->line.len) == -1)
		return 1;
	k->n++;
	return 0;
}

static int
each_down(uint64_t after, uint64_t until, ledger_each_fn fn, void *arg)
{
	static struct kept k; /* large; its buffer is kept, too */
	struct ledger_line line;
	uint64_t begin;
	int r = 0;

	while (r == 0 && until > after) {
		begin = (until - 1) / LEDGER_TILE_ROWS * LEDGER_TILE_ROWS;
		if (begin < after)
			begin = after;
		k.n = 0;
		buf_reset(&k.octets);
		if (each_up(begin, until, keep, &k) == -1 || k.n != until - begin)
			return -1;
		until = begin;
		while (r == 0 && k.n-- > 0)
			r = ledger_line_read(
				span_mem(k.octets.p + k.row[k.n].at, k.row[k.n].len),
				&line) == LEDGER_LINE_ROW_KIND
			    ? fn(&line, arg)
			    : -1;
	}
	if (k.octets.cap > 4u << 20)
		buf_free(&k.octets);
	return r == -1 ? -1 : 0;
}

int
ledger_each(uint64_t after, uint64_t until, int down, ledger_each_fn fn, void *arg)
{
	if (until > ledger_seq())
		until = ledger_seq();
	if (after >= until)
		return 0;
	return down ? each_down(after, until, fn, arg) : each_up(after, until, fn, arg);
}

int
ledger_each_line(uint64_t after, ledger_each_fn fn, void *arg)
{
	struct ledger_cursor c;
	struct ledger_line line;
	enum ledger_line_kind kind;
	enum ledger_next next;
	struct span octets;
	int begun = after == 0, header = after == 0, r = 0;

	if (after > ledger_seq())
		return 0;
	if ((after == 0 ? ledger_cursor_open(&c, 0, 0) : open_at(&c, after)) == -1)
		return -1;
	while (r == 0 && (next = ledger_cursor_next(&c, &octets)) == LEDGER_NEXT_LINE) {
		kind = ledger_line_read(octets, &line);
		if (kind == LEDGER_LINE_BAD)
			next = LEDGER_NEXT_ERROR;
		if (kind == LEDGER_LINE_BAD)
			break;
		if (begun && (kind != LEDGER_LINE_HEADER || header))
			r = fn(&line, arg);
		if (kind == LEDGER_LINE_HEADER)
			header = 0;
		if (kind == LEDGER_LINE_ROW_KIND && line.seq == after)
			begun = 1;
	}
	ledger_cursor_close(&c);
	return r == 0 && next != LEDGER_NEXT_END ? -1 : 0;
}

static int
copy_line(const struct ledger_line *l, void *arg)
{
	struct buf *out = arg;

	buf_reset(out);
	return buf_put(out, l->line.p, l->line.len) == 0 ? 1 : 1;
}

int
ledger_row_get(uint64_t seq, struct ledger_line *line, struct buf *octets)
{
	buf_reset(octets);
	if (seq == 0 || ledger_each(seq - 1, seq, 0, copy_line, octets) == -1 ||
	    octets->len == 0)
		return -1;
	return ledger_line_read(span_mem(octets->p, octets->len), line) ==
		LEDGER_LINE_ROW_KIND
	    ? 0
	    : -1;
}

/* When the first row of a tile was written, Unix milliseconds. One that cannot be read is
 * not taken for an old one: what is in it may still count. */
static uint64_t
tile_time(uint64_t seq)
{
	char text[128];
	struct ledger_cursor c;
	struct span line, when;
	int64_t sec = 0;
	uint32_t ns = 0;

	if (open_at(&c, seq) == -1)
		return UINT64_MAX;
	when.len = 0;
	/* not through the cursor: it reads much more than a line's beginning */
	line = span_mem(text, (size_t)ledger_file_read(c.file, text, sizeof(text), c.at));
	if (line.len == sizeof(text)) {
		const char *p = memmem(text, sizeof(text), "\"time\":\"", 8), *end;

		if (p != NULL &&
		    (end = memchr(p + 8, '"', sizeof(text) - (size_t)(p + 8 - text))) !=
			NULL)
			when = span_mem(p + 8, (size_t)(end - p - 8));
	}
	ledger_cursor_close(&c);
	if (when.len == 0 || rfc3339_parse(when.p, when.len, &sec, &ns) == -1 || sec < 0)
		return UINT64_MAX;
	return (uint64_t)sec * 1000 + ns / 1000000;
}

uint64_t
ledger_before(uint64_t unix_ms)
{
	uint64_t begin;

	if (ledger_seq() == 0)
		return 0;
	begin = (ledger_seq() - 1) / LEDGER_TILE_ROWS * LEDGER_TILE_ROWS;
	while (begin > 0 && tile_time(begin + 1) >= unix_ms)
		begin -= LEDGER_TILE_ROWS;
	return begin;
}
