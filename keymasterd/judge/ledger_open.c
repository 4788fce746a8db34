/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger at start. What a crash can leave behind is cut off: half a line, zeros, rows
 * that do not follow, all of it behind what was on the disk. What a crash cannot do is
 * refused: a row that a checkpoint names is another one, or missing; for a checkpoint is
 * only written when its rows are on the disk. Judge only; the files may hold anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/sha256.h"
#include "keymasterd/judge/ledger_file.h"
#include "keymasterd/judge/ledger_index.h"
#include "keymasterd/judge/ledger_int.h"
#include "keymasterd/judge/ledger_line.h"
#include "keymasterd/judge/ledger_sync.h"

#define VERIFY_TILES 4 /* 1,024 rows at least */
#define BROKEN                                                                         \
	"the ledger is broken at row %" PRIu64                                         \
	": it does not follow from the row before it, so its files were changed from " \
	"outside or are damaged; nothing starts on them. Keep a copy, and restore a "  \
	"backup or begin with a new data directory"

int
ledger_file_begin(const char *chain, uint64_t from, const uint8_t prev[32])
{
	struct buf header;
	int fd = -1, made = 0, r = -1;

	buf_init(&header);
	if (ledger_line_header(&header, chain, from, prev) == -1) {
		errno = ENOMEM;
		goto out;
	}
	fd = ledger_file_make(from);
	made = fd != -1;
	if (!made || ledger_pwrite(fd, header.p, header.len, 0) == -1 ||
	    fdatasync(fd) == -1 || fsync(ledger_dir.fd) == -1)
		goto out;
	r = ledger_file_add(from, fd, header.len);
	fd = -1;
out:
	if (r == -1)
		(void)ledger_dir_fail("a new file");
	/* the file before it grows on, so this one would be in the way of a start */
	if (r == -1 && made)
		(void)ledger_file_unmake(from);
	if (fd >= 0)
		close(fd);
	buf_free(&header);
	return r;
}

/* ---- the newest checkpoint: the file `head` has two slots ---- */

static void
read_head(const char *chain, struct ledger_checkpoint *newest)
{
	static char octets[2 * LEDGER_HEAD_SLOT];
	struct ledger_line line;
	const char *p, *nl;
	ssize_t n;

	memset(octets, 0, sizeof(octets));
	n = pread(ledger_dir.head, octets, sizeof(octets), 0);
	for (p = octets; n > 0 && p < octets + n; p += LEDGER_HEAD_SLOT) {
		nl = memchr(p, '\n', LEDGER_HEAD_SLOT);
		if (nl != NULL &&
		    ledger_line_read(span_mem(p, (size_t)(nl - p)), &line) ==
			LEDGER_LINE_CHECKPOINT &&
		    strcmp(line.checkpoint.chain, chain) == 0 && line.seq > newest->seq)
			*newest = line.checkpoint;
	}
}

/* ---- walking over rows ---- */

#define RING 65536 /* hashes that are known, for checkpoints that come later */

struct walk {
	const char *chain;
	uint64_t seq;     /* the last good row */
	uint8_t hash[32]; /* its hash */
	int trust;        /* the next row's own hash is taken as it is */
	size_t file;      /* where the next line begins */
	uint64_t at;
	uint64_t begin; /* the first row walked over */
	uint8_t (*ring)[32];
	struct ledger_checkpoint known; /* of the file `head`; its root once reached */
	uint8_t root[32];
	struct ledger_checkpoint last; /* the last one read */
	int disk;                      /* the files cannot be read */
};

static int
walk_row(struct walk *w, const struct ledger_line *l)
{
	uint8_t claimed[32], computed[32];

	if (l->seq != w->seq + 1 || ledger_line_hash(l, claimed) == -1)
		return -1;
	sha256_two(w->hash, 32, l->text.p, l->text.len, computed);
	if (!w->trust && memcmp(claimed, computed, 32) != 0)
		return -1;
	if (ledger_index_reserve(1) == -1) {
		w->disk = 1; /* no memory says nothing of the row: it must stay */
		return -1;
	}
	w->trust = 0;
	w->seq = l->seq;
	memcpy(w->hash, claimed, 32);
	memcpy(w->ring[w->seq % RING], claimed, 32);
	ledger_index_row(claimed, ledger_dir.first[w->file], w->at);
	if (w->seq == w->known.seq)
		ledger_index_root(w->root);
	return 0;
}

/* A checkpoint's row came before it, some rows ago. */
static int
walk_checkpoint(struct walk *w, const struct ledger_line *l)
{
	const struct ledger_checkpoint *c = &l->checkpoint;

	if (c->seq > w->seq || c->seq < w->last.seq || strcmp(c->chain, w->chain) != 0)
		return -1;
	if (c->seq >= w->begin && w->seq - c->seq < RING &&
	    memcmp(c->head, w->ring[c->seq % RING], 32) != 0)
		return -1;
	w->last = *c;
	return 0;
}

static int
walk_header(struct walk *w, const struct ledger_line *l)
{
	return w->at == 0 && l->seq == w->seq + 1 &&
		ledger_dir.first[w->file] == l->seq &&
		strcmp(l->checkpoint.chain, w->chain) == 0 &&
		(w->trust || memcmp(l->checkpoint.head, w->hash, 32) == 0)
	    ? 0
	    : -1;
}

/* To the end, or to the first line that is none of ours: w->file, w->at say where. */
static void
walk(struct walk *w)
{
	struct ledger_cursor c;
	struct ledger_line line;
	struct span octets;
	enum ledger_next next;
	int bad = 0;

	if (ledger_cursor_open(&c, w->file, w->at) == -1) {
		w->disk = 1;
		return;
	}
	while ((next = ledger_cursor_next(&c, &octets)) == LEDGER_NEXT_LINE) {
		/* the cursor stands behind the line */
		w->file = c.file;
		w->at = c.at - octets.len - 1;
		switch (ledger_line_read(octets, &line)) {
		case LEDGER_LINE_HEADER:
			bad = walk_header(w, &line);
			break;
		case LEDGER_LINE_ROW_KIND:
			/* every file begins with its header */
			bad = w->at == 0 ? -1 : walk_row(w, &line);
			break;
		case LEDGER_LINE_CHECKPOINT:
			bad = w->at == 0 ? -1 : walk_checkpoint(w, &line);
			break;
		default:
			bad = -1;
		}
		if (bad != 0)
			break;
		w->file = c.file;
		w->at = c.at;
	}
	if (next == LEDGER_NEXT_TORN || next == LEDGER_NEXT_END) {
		w->file = c.file;
		w->at = c.at;
	}
	if (next == LEDGER_NEXT_ERROR)
		w->disk = 1;
	ledger_cursor_close(&c);
}

static int
file_number(uint64_t first, size_t *i)
{
	for (*i = 0; *i < ledger_dir.n; (*i)++)
		if (ledger_dir.first[*i] == first)
			return 0;
	return -1;
}

/* From the tile, or from the beginning when that is not where the index says. */
static void
walk_from(struct walk *w, uint64_t tile, const uint8_t zero[32])
{
	const struct ledger_tile *t;

	w->file = 0;
	w->at = 0;
	w->seq = 0;
	memcpy(w->hash, zero, 32);
	w->trust = 0;
	memset(&w->last, 0, sizeof(w->last));
	memset(w->root, 0, sizeof(w->root));
	t = tile > 0 ? ledger_index_tile(tile * LEDGER_TILE_ROWS + 1) : NULL;
	if (t != NULL && file_number(t->file, &w->file) == 0) {
		w->at = t->offset;
		w->seq = tile * LEDGER_TILE_ROWS;
		w->trust = 1;
	} else {
		tile = 0;
	}
	w->begin = w->seq + 1;
	ledger_index_cut(tile);
	walk(w);
}

/* ---- what is behind the last good line ---- */

/* Does it hold a checkpoint of this chain over rows that are not there? */
static uint64_t
names_more(const struct walk *w, const uint8_t *p, size_t len)
{
	static const char mark[] = "{\"checkpoint\":{";
	const uint8_t *end = p + len, *nl;
	struct ledger_line line;

	while ((p = memmem(p, (size_t)(end - p), mark, sizeof(mark) - 1)) != NULL) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl != NULL &&
		    ledger_line_read(span_mem(p, (size_t)(nl - p)), &line) ==
			LEDGER_LINE_CHECKPOINT &&
		    strcmp(line.checkpoint.chain, w->chain) == 0 && line.seq > w->seq)
			return line.seq;
		p++;
	}
	return 0;
}

static int
keep_aside(const struct walk *w, const void *p, size_t len, char *name, size_t size)
{
	int fd, r;

	snprintf(name, size, "cut-%" PRIu64 "-%" PRIu64, w->seq, loop_unix_ms() / 1000);
	fd = openat(ledger_dir.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	r = ledger_pwrite(fd, p, len, 0) == -1 || fdatasync(fd) == -1 ? -1 : 0;
	close(fd);
	return r;
}

static int
cut(const struct walk *w, struct ledger_found *found, char *err, size_t err_size)
{
	size_t len = (size_t)(ledger_dir.len - w->at);
	uint8_t *octets = malloc(len);
	uint64_t named;
	char name[64];
	int r = -1;

	if (octets == NULL ||
	    ledger_file_read(w->file, octets, len, w->at) != (ssize_t)len)
		goto bad;
	if ((named = names_more(w, octets, len)) > 0) {
		snprintf(err, err_size, BROKEN, w->seq + 1);
		goto out;
	}
	if (keep_aside(w, octets, len, name, sizeof(name)) == -1)
		goto bad;
	ledger_dir.len = w->at;
	if (ledger_file_trim() == -1 || fdatasync(ledger_dir.last) == -1)
		goto bad;
	/* not even a header: the file before it is the last one */
	if (w->at == 0 && ledger_file_drop() == -1)
		goto bad;
	snprintf(found->note, sizeof(found->note),
	    "%zu octets behind row %" PRIu64 " were no whole rows and are kept in "
	    "ledger/%s",
	    len, w->seq, name);
	LOG_WARN(
	    "ledger.recovered", LU("seq", w->seq), LU("octets", len), LS("kept", name));
	r = 0;
	goto out;
bad:
	snprintf(err, err_size, "the end of the ledger cannot be repaired: %s",
	    octets == NULL ? "out of memory" : strerror(errno));
out:
	free(octets);
	return r;
}

/* ---- */

static int
judge_walk(struct walk *w, struct ledger_found *found, char *err, size_t err_size)
{
	int torn = w->file + 1 < ledger_dir.n || w->at < ledger_dir.len;

	if (w->disk) {
		snprintf(err, err_size, "the ledger cannot be read: %s", strerror(errno));
		return -1;
	}
	if (w->file + 1 < ledger_dir.n || (torn && w->seq < w->known.seq) ||
	    (w->file == 0 && w->at == 0)) {
		snprintf(err, err_size, BROKEN, w->seq + 1);
		return -1;
	}
	if (w->seq < w->known.seq || w->seq < w->last.seq) {
		snprintf(err, err_size,
		    "the ledger ends at row %" PRIu64
		    " but a signed checkpoint names row %" PRIu64 ": rows were removed",
		    w->seq, w->known.seq);
		return -1;
	}
	if (!torn && w->at == 0 && ledger_file_drop() == -1) {
		snprintf(err, err_size,
		    "an empty file of the ledger cannot be removed: %s", strerror(errno));
		return -1;
	}
	if (torn && cut(w, found, err, err_size) == -1)
		return -1;
	found->seq = w->seq;
	memcpy(found->hash, w->hash, 32);
	found->checkpoint = w->last.seq > w->known.seq ? w->last : w->known;
	return 0;
}

/* The row that the checkpoint names is the one that was signed. */
static int
head_fits(const struct walk *w)
{
	return w->known.seq < w->begin || w->seq < w->known.seq ||
	    w->seq - w->known.seq >= RING ||
	    memcmp(w->known.head, w->ring[w->known.seq % RING], 32) == 0;
}

int
ledger_recover(const char *chain, struct ledger_found *found, char *err, size_t err_size)
{
	struct walk w = {.chain = chain, .ring = calloc(RING, 32)};
	uint64_t tiles;
	uint8_t zero[32];
	int r = -1;

	memset(found, 0, sizeof(*found));
	if (w.ring == NULL) {
		snprintf(err, err_size, "out of memory");
		return -1;
	}
	ledger_hash_zero(zero);
	read_head(chain, &w.known);
	/* what the index says of rows up to the checkpoint its root will confirm */
	tiles = ledger_index_load(
	    chain, w.known.seq > 0 ? (w.known.seq - 1) / LEDGER_TILE_ROWS : 0);
	walk_from(&w, tiles > VERIFY_TILES ? tiles - VERIFY_TILES : 0, zero);
	if (w.begin > 1 &&
	    (w.seq < w.known.seq || memcmp(w.root, w.known.root, 32) != 0)) {
		LOG_WARN("ledger.index", LS("error", "it does not fit: made again"));
		walk_from(&w, 0, zero);
	}
	if (!head_fits(&w) ||
	    (w.seq >= w.known.seq && w.known.seq > 0 &&
		memcmp(w.root, w.known.root, 32) != 0))
		snprintf(err, err_size, BROKEN, w.known.seq);
	else
		r = judge_walk(&w, found, err, err_size);
	free(w.ring);
	return r;
}

/* ---- rows that may not be on the disk any more ---- */

int
ledger_recheck(uint64_t first, uint64_t last, const uint8_t hash[32])
{
	const struct ledger_tile *t = ledger_index_tile(first);
	struct ledger_cursor c;
	struct ledger_line line;
	struct span octets;
	uint8_t own[32] = {0}, computed[32];
	uint64_t seq = 0;
	size_t file;
	int r = -1;

	if (t == NULL || file_number(t->file, &file) == -1 ||
	    ledger_cursor_open(&c, file, t->offset) == -1)
		return -1;
	while (seq < last && ledger_cursor_next(&c, &octets) == LEDGER_NEXT_LINE) {
		if (ledger_line_read(octets, &line) != LEDGER_LINE_ROW_KIND)
			continue;
		sha256_two(own, 32, line.text.p, line.text.len, computed);
		if (ledger_line_hash(&line, own) == -1 ||
		    (seq > 0 && (line.seq != seq + 1 || memcmp(own, computed, 32) != 0)))
			break;
		seq = line.seq;
		if (seq == last)
			r = memcmp(own, hash, 32) == 0 ? 0 : -1;
	}
	ledger_cursor_close(&c);
	return r;
}
