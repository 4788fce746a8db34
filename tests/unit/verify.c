/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier of ledger exports: what a sound export says, and that no change of one
 * goes unseen. Exports are made here, with a key of the test's own.
 */
#include "aegis/verify.h"

#include <check.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/export_make.h"

#define ROWS 60
#define EVERY 20     /* rows between two checkpoints */
#define OCTETS 4000  /* mutations of one octet */
#define ATTACKS 6000 /* of rows and checkpoints */

static const char chain[] = "0123456789abcdef0123456789abcdef";
static uint8_t pub[32], sec[64];
static struct maker made;
#define export made.out
static uint8_t kept[32]; /* the head, kept elsewhere */
static uint64_t seed = 42;

static uint64_t
draw(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

/* What a ledger of ROWS rows holds: a session, calls that it signed, other rows. */
static void
put_row(struct maker *m)
{
	uint64_t seq = m->rows + 1;

	if (seq == 2)
		make_session(m);
	else if (seq > 2 && seq % 5 == 3)
		make_call(m,
		    seq == 13       ? MAKE_UTF16
			: seq == 18 ? MAKE_OTHER_TOKEN
			: seq == 28 ? MAKE_BARE
				    : MAKE_PLAIN,
		    0);
	else
		make_row(m, "", "");
}

static void
make_export(struct maker *m, const char *id, const uint8_t *secret, const uint8_t *public)
{
	make_begin(m, id, secret, public);
	while (m->rows < ROWS) {
		put_row(m);
		if (m->rows % EVERY == 0)
			make_checkpoint(m);
	}
}

static void
setup(void)
{
	uint8_t s[32];

	ck_assert_int_ge(sodium_init(), 0);
	memset(s, 7, sizeof(s));
	crypto_sign_seed_keypair(pub, sec, s);
	make_export(&made, chain, sec, pub);
	memcpy(kept, made.hash, 32);
}

static void
teardown(void)
{
	make_free(&made);
}

/* Verifies; true when nothing was found. */
static bool
verify(struct verify *v, const void *p, size_t len)
{
	bool good;

	ck_assert_int_eq(verify_begin(v, pub), 0);
	verify_text(v, p, len);
	good = verify_end(v);
	verify_free(v);
	ck_assert(good == (v->nfindings == 0));
	return good;
}

/* Line n (from 0) of the export. */
static const char *
line_at(unsigned n, size_t *len)
{
	const char *p = (const char *)export.p, *end = p + export.len, *nl;

	for (;; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		ck_assert_ptr_nonnull(nl);
		if (n-- == 0)
			break;
	}
	*len = (size_t)(nl - p) + 1;
	return p;
}

/* The line's number of a row: the header, and a checkpoint after each EVERY rows. */
static unsigned
line_of_row(unsigned seq)
{
	return seq + (seq - 1) / EVERY;
}

/* The export without some lines, or with two exchanged. */
static void
without_lines(struct buf *out, unsigned first, unsigned last)
{
	size_t a, b;
	const char *p = line_at(first, &a), *q = line_at(last, &b);

	buf_put(out, export.p, (size_t)(p - (const char *)export.p));
	buf_put(out, q + b, export.len - (size_t)(q + b - (const char *)export.p));
}

START_TEST(sound)
{
	struct verify v;

	ck_assert(verify(&v, export.p, export.len));
	ck_assert(v.complete);
	ck_assert_uint_eq(v.rows, ROWS);
	ck_assert_uint_eq(v.last_row, ROWS);
	ck_assert_uint_eq(v.sealed_row, ROWS);
	ck_assert_uint_eq(v.checkpoints, ROWS / EVERY);
	ck_assert_str_eq(v.sealed_time, "2031-05-06T08:00:00.000000Z");
}
END_TEST

START_TEST(changed_row)
{
	struct verify v;
	char *at = memmem(export.p, export.len, "/a\\\"b/17\"", 9);

	at[1] = 'b';
	ck_assert(!verify(&v, export.p, export.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_CHANGED);
	ck_assert_uint_eq(v.findings[0].first, 17);
	ck_assert_uint_eq(v.nfindings, 1); /* the others are as they were */
	ck_assert(!v.complete);
}
END_TEST

START_TEST(missing_rows)
{
	struct verify v;
	struct buf b;

	buf_init(&b);
	without_lines(&b, line_of_row(25), line_of_row(27));
	ck_assert(!verify(&v, b.p, b.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_MISSING);
	ck_assert_uint_eq(v.findings[0].first, 25);
	ck_assert_uint_eq(v.findings[0].last, 27);
	ck_assert_uint_eq(v.nfindings, 1);
	buf_free(&b);
}
END_TEST

START_TEST(cut_tail)
{
	struct verify v;
	struct buf b;
	size_t len;
	const char *p;

	/* the closing checkpoint is gone */
	p = line_at(line_of_row(ROWS) + 1, &len);
	ck_assert(!verify(&v, export.p, (size_t)(p - (const char *)export.p)));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_CUT);
	ck_assert_uint_eq(v.findings[0].first, ROWS - EVERY + 1);
	/* it is there, but the last row is not */
	buf_init(&b);
	without_lines(&b, line_of_row(ROWS), line_of_row(ROWS));
	ck_assert(!verify(&v, b.p, b.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_CUT);
	ck_assert_uint_eq(v.findings[0].first, ROWS);
	ck_assert_uint_eq(v.findings[0].last, ROWS);
	/* in the middle of a line */
	ck_assert(!verify(&v, export.p, export.len - 1));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_CUT);
	/* nothing at all */
	ck_assert(!verify(&v, "", 0));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_CUT);
	buf_free(&b);
}
END_TEST

/* Whole, and sealed, but not to today's end: it says up to where. */
START_TEST(older_export)
{
	struct verify v;
	size_t len;
	const char *p = line_at(line_of_row(EVERY) + 2, &len);

	ck_assert(verify(&v, export.p, (size_t)(p - (const char *)export.p)));
	ck_assert_uint_eq(v.sealed_row, EVERY);
}
END_TEST

START_TEST(reordered)
{
	struct verify v;
	struct buf b;
	size_t a, c;
	const char *p = line_at(line_of_row(31), &a), *q = line_at(line_of_row(32), &c);

	buf_init(&b);
	buf_put(&b, export.p, (size_t)(p - (const char *)export.p));
	buf_put(&b, q, c);
	buf_put(&b, p, a);
	buf_put(&b, q + c, export.len - (size_t)(q + c - (const char *)export.p));
	ck_assert_uint_eq(b.len, export.len);
	ck_assert(!verify(&v, b.p, b.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_REORDERED);
	ck_assert_uint_eq(v.findings[0].first, 31);
	buf_free(&b);
}
END_TEST

START_TEST(foreign_chain)
{
	static const char other[] = "fedcba9876543210fedcba9876543210";
	struct maker m;
	struct buf mixed;
	uint8_t pub2[32], sec2[64], s[32] = {1};
	struct verify v;
	size_t len;
	const char *p;

	/* another key */
	crypto_sign_seed_keypair(pub2, sec2, s);
	make_export(&m, chain, sec2, pub2);
	ck_assert(!verify(&v, m.out.p, m.out.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_FOREIGN);
	make_free(&m);
	/* a row of another chain among ours */
	buf_init(&mixed);
	make_export(&m, other, sec, pub);
	p = line_at(line_of_row(5), &len);
	buf_put(&mixed, export.p, (size_t)(p - (const char *)export.p));
	buf_put(&mixed, m.out.p + (p - (const char *)export.p), len);
	buf_put(&mixed, p + len, export.len - (size_t)(p + len - (const char *)export.p));
	ck_assert(!verify(&v, mixed.p, mixed.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_FOREIGN);
	ck_assert_uint_eq(v.findings[0].first, 5);
	make_free(&m);
	buf_free(&mixed);
}
END_TEST

/* A forger without the key: a whole chain of its own under our key's id. */
START_TEST(forged)
{
	uint8_t pub2[32], sec2[64], s[32] = {2};
	struct verify v;
	struct maker m;

	crypto_sign_seed_keypair(pub2, sec2, s);
	make_export(&m, chain, sec2, pub);
	ck_assert(!verify(&v, m.out.p, m.out.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_SIGNATURE);
	ck_assert_uint_eq(v.findings[0].first, EVERY);
	make_free(&m);
}
END_TEST

/* The checkpoints of the export, where those of m are: true once, over other rows. */
static void
with_our_checkpoints(struct maker *m, struct buf *out)
{
	const char *p = (const char *)m->out.p, *end = p + m->out.len, *nl, *ours;
	unsigned n = 0;
	size_t len;

	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (p[2] == 'c') {
			n += EVERY;
			ours = line_at(line_of_row(n) + 1, &len);
			buf_put(out, ours, len);
		} else {
			buf_put(out, p, (size_t)(nl + 1 - p));
		}
	}
}

/* Rows chained anew from one on, with hashes that fit, under checkpoints that were true.
 */
static void
rechain(struct buf *out, unsigned from)
{
	struct maker m;

	make_begin(&m, chain, sec, pub);
	while (m.rows < ROWS) {
		if (m.rows + 1 == from)
			make_row(&m, ",\"detail\":\"forged\"", "");
		else
			put_row(&m);
		if (m.rows % EVERY == 0)
			make_checkpoint(&m);
	}
	with_our_checkpoints(&m, out);
	make_free(&m);
}

START_TEST(rewritten)
{
	struct verify v;
	struct buf b;
	unsigned from;

	for (from = 1; from <= ROWS; from++) {
		buf_init(&b);
		rechain(&b, from);
		ck_assert(!verify(&v, b.p, b.len));
		ck_assert_int_eq(v.findings[0].kind, VERIFY_HEAD);
		ck_assert_uint_eq(v.findings[0].first, (from - 1) / EVERY * EVERY + 1);
		ck_assert_uint_eq(v.findings[0].last, v.findings[0].first + EVERY - 1);
		ck_assert_uint_eq(v.sealed_row, (from - 1) / EVERY * EVERY);
		buf_free(&b);
	}
}
END_TEST

/* A judge that signs a root which is not that of its rows. */
START_TEST(other_root)
{
	struct verify v;
	struct maker m;

	make_begin(&m, chain, sec, pub);
	while (m.rows < ROWS)
		put_row(&m);
	m.leaves[4][0] ^= 1;
	make_checkpoint(&m);
	ck_assert(!verify(&v, m.out.p, m.out.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_ROOT);
	ck_assert_uint_eq(v.nfindings, 1);
	ck_assert_uint_eq(v.sealed_row, 0);
	make_free(&m);
}
END_TEST

/* The judge goes on writing while vault signs. */
START_TEST(late_checkpoint)
{
	struct verify v;
	struct maker m;

	make_begin(&m, chain, sec, pub);
	while (m.rows < ROWS) {
		put_row(&m);
		if (m.rows % EVERY == 7)
			make_checkpoint_of(&m, m.rows - 7 + (m.rows < 8));
	}
	ck_assert(!verify(&v, m.out.p, m.out.len));
	ck_assert_uint_eq(v.nfindings, 1);
	ck_assert_int_eq(v.findings[0].kind, VERIFY_CUT);
	ck_assert_uint_eq(v.sealed_row, 40);
	make_checkpoint(&m);
	ck_assert(verify(&v, m.out.p, m.out.len));
	ck_assert(v.complete && v.rooted);
	/* an older one once more */
	make_checkpoint_of(&m, 40);
	ck_assert(!verify(&v, m.out.p, m.out.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_REORDERED);
	make_free(&m);
}
END_TEST

/* Which line (from 1) an offset lies in. */
static uint64_t
line_of_offset(size_t at)
{
	uint64_t n = 1;
	size_t i;

	for (i = 0; i < at; i++)
		n += export.p[i] == '\n';
	return n;
}

/*
 * Any octet changed, removed or added: always seen, and the first finding is in the line
 * of the change, or in the line after it when the change joined or split lines.
 */
START_TEST(mutations)
{
	struct verify v;
	struct buf b;
	unsigned i;

	buf_init(&b);
	for (i = 0; i < OCTETS; i++) {
		size_t at = (size_t)draw(export.len);
		unsigned how = (unsigned)draw(3);
		uint8_t octet = (uint8_t)draw(256);
		uint64_t line = line_of_offset(at);

		buf_reset(&b);
		buf_put(&b, export.p, at);
		if (how == 0)
			buf_putc(&b, octet != export.p[at] ? octet : octet ^ 1);
		else if (how == 1) {
			buf_putc(&b, octet);
			buf_putc(&b, export.p[at]);
		}
		buf_put(&b, export.p + at + 1, export.len - at - 1);
		ck_assert_msg(!verify(&v, b.p, b.len), "unseen: %zu how %u octet %u", at,
		    how, octet);
		ck_assert_msg(
		    v.findings[0].line >= line && v.findings[0].line <= line + 1,
		    "at %zu how %u octet %u: line %llu, found in %llu", at, how, octet,
		    (unsigned long long)line, (unsigned long long)v.findings[0].line);
	}
	buf_free(&b);
}
END_TEST

/* Verifies against the head that was kept elsewhere. */
static bool
verify_kept(struct verify *v, const struct buf *b)
{
	bool good;

	ck_assert_int_eq(verify_begin(v, pub), 0);
	verify_keep(v, ROWS, kept);
	verify_text(v, (const char *)b->p, b->len);
	good = verify_end(v);
	verify_free(v);
	return good;
}

static void
put_rest(struct buf *b, const char *from)
{
	buf_put(b, from, (size_t)((const char *)export.p + export.len - from));
}

static void
put_before(struct buf *b, const char *to)
{
	buf_put(b, export.p, (size_t)(to - (const char *)export.p));
}

/* Two rows in each other's place. */
static void
exchange(struct buf *b, const char *p, size_t a, const char *q, size_t c)
{
	put_before(b, p);
	buf_put(b, q, c);
	buf_put(b, p + a, (size_t)(q - p) - a);
	buf_put(b, p, a);
	put_rest(b, q + c);
}

enum attack {
	GONE,
	TWICE,
	EXCHANGED,
	INSERTED,
	TRUNCATED,
	RECHAINED,
	REPLAYED,
	NATTACKS
};

/* The first row that is touched, 0 when a checkpoint is. */
static unsigned
attack(struct buf *b, enum attack how, unsigned one, unsigned two)
{
	size_t a, c;
	const char *p = line_at(line_of_row(one), &a), *q = line_at(line_of_row(two), &c);

	switch (how) {
	case GONE:
		put_before(b, p);
		put_rest(b, p + a);
		return one;
	case TWICE:
		put_before(b, p);
		buf_put(b, p, a);
		put_rest(b, p);
		return one;
	case EXCHANGED:
		exchange(b, p, a, q, c);
		return one;
	case INSERTED: /* a row of further on */
		put_before(b, p);
		buf_put(b, q, c);
		put_rest(b, p);
		return one;
	case TRUNCATED: /* also where a checkpoint closes it */
		put_before(b, p);
		return one;
	case RECHAINED:
		rechain(b, one);
		return one;
	default: /* a checkpoint for the one after it, or for the last */
		one = one > ROWS - EVERY ? 1 : one;
		p = line_at(line_of_row((one + EVERY - 1) / EVERY * EVERY) + 1, &a);
		q = line_at(line_of_row(ROWS) + 1, &c);
		put_before(b, q);
		buf_put(b, p, a);
		return 0;
	}
}

/* Rows and checkpoints gone, twice, exchanged, put in, cut off, chained anew, replayed.
 */
START_TEST(attacks)
{
	unsigned i, one, two, swap, touched, seen[NATTACKS] = {0};
	enum attack how;
	struct verify v;
	struct buf b;

	buf_init(&b);
	for (i = 0; i < ATTACKS; i++) {
		one = 1 + (unsigned)draw(ROWS - 1);
		two = 1 + (unsigned)draw(ROWS - 1);
		two += two >= one;
		swap = one < two ? one : two;
		two = one < two ? two : one;
		one = swap;
		how = (enum attack)draw(NATTACKS);
		seen[how]++;
		buf_reset(&b);
		touched = attack(&b, how, one, two);
		ck_assert_msg(!verify_kept(&v, &b), "unseen: %d %u %u", how, one, two);
		if (touched > 0)
			ck_assert_msg(v.findings[0].first <= touched &&
				v.findings[0].last + (v.findings[0].last == 0) * ROWS >=
				    touched,
			    "attack %d of row %u: found in %llu to %llu", how, touched,
			    (unsigned long long)v.findings[0].first,
			    (unsigned long long)v.findings[0].last);
		/* a range only where nothing says which row it was */
		if (how == GONE || how == TWICE || how == EXCHANGED)
			ck_assert_uint_eq(v.findings[0].first, touched);
	}
	for (i = 0; i < NATTACKS; i++)
		ck_assert_uint_gt(seen[i], ATTACKS / NATTACKS / 2);
	buf_free(&b);
}
END_TEST

/* A copy of last week: sound, but a head of later was kept. */
START_TEST(old_copy)
{
	char head[80], hex[65], path[] = "/tmp/verify-head-XXXXXX", err[200], words[700];
	const char *p;
	struct verify v;
	uint8_t hash[32];
	uint64_t row;
	size_t len;
	int fd;

	p = line_at(line_of_row(EVERY) + 2, &len);
	ck_assert_int_eq(verify_begin(&v, pub), 0);
	verify_keep(&v, ROWS, kept);
	verify_text(&v, (char *)export.p, (size_t)(p - (const char *)export.p));
	ck_assert(!verify_end(&v) && !v.complete);
	ck_assert_int_eq(v.findings[0].kind, VERIFY_OLD);
	ck_assert_uint_eq(v.findings[0].first, EVERY + 1);
	verify_describe(&v.findings[0], words, sizeof(words));
	ck_assert_ptr_nonnull(strstr(words, "old copy"));
	verify_free(&v);
	/* another ledger of the same key, as long as ours */
	ck_assert_int_eq(verify_begin(&v, pub), 0);
	verify_keep(&v, 30, kept);
	verify_text(&v, (char *)export.p, export.len);
	ck_assert(!verify_end(&v));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_HISTORY);
	ck_assert_uint_eq(v.findings[0].first, EVERY + 1);
	ck_assert_uint_eq(v.findings[0].last, 30);
	verify_free(&v);
	/* how a head is named */
	hex_encode(kept, 32, hex, sizeof(hex));
	snprintf(head, sizeof(head), "%d:%s", ROWS, hex);
	ck_assert_int_eq(verify_head_parse(head, &row, hash, err, sizeof(err)), 0);
	ck_assert_uint_eq(row, ROWS);
	ck_assert_mem_eq(hash, kept, 32);
	fd = mkstemp(path);
	ck_assert_int_eq(write(fd, export.p, export.len), (ssize_t) export.len);
	memset(hash, 0, 32);
	ck_assert_int_eq(verify_head_parse(path, &row, hash, err, sizeof(err)), 0);
	ck_assert_uint_eq(row, ROWS);
	ck_assert_mem_eq(hash, kept, 32);
	ck_assert_int_eq(ftruncate(fd, (off_t) export.len - 9), 0);
	ck_assert_int_eq(verify_head_parse(path, &row, hash, err, sizeof(err)), -1);
	ck_assert_ptr_nonnull(strstr(err, "holds no head"));
	close(fd);
	unlink(path);
	ck_assert_int_eq(verify_head_parse("17", &row, hash, err, sizeof(err)), -1);
	ck_assert_ptr_nonnull(strstr(err, "neither ROW:HASH nor a file"));
}
END_TEST

/* Several files, as the judge begins new ones. */
START_TEST(files)
{
	struct verify v;
	struct maker m;
	size_t second = 0, third = 0;
	char words[700];

	make_begin(&m, chain, sec, pub);
	while (m.rows < ROWS) {
		if (m.rows == 25) {
			second = m.out.len;
			make_header(&m);
		}
		if (m.rows == 45) {
			third = m.out.len;
			make_header(&m);
		}
		put_row(&m);
		if (m.rows % EVERY == 6 && m.rows > EVERY)
			make_checkpoint_of(&m, m.rows - 6);
	}
	make_checkpoint(&m);
#define FIRST (char *)m.out.p, second
#define SECOND (char *)m.out.p + second, third - second
#define THIRD (char *)m.out.p + third, m.out.len - third
	/* as they are, also in one */
	ck_assert(verify(&v, m.out.p, m.out.len) && v.complete && v.rooted);
	ck_assert_int_eq(verify_begin(&v, pub), 0);
	verify_file(&v, "1");
	verify_text(&v, FIRST);
	verify_file(&v, "2");
	verify_text(&v, SECOND);
	verify_file(&v, "3");
	verify_text(&v, THIRD);
	ck_assert(verify_end(&v) && v.complete);
	verify_free(&v);
	/* the last ones alone: sound, but not complete */
	ck_assert_int_eq(verify_begin(&v, pub), 0);
	verify_text(&v, SECOND);
	verify_text(&v, THIRD);
	ck_assert(verify_end(&v) && !v.complete && !v.rooted);
	ck_assert_uint_eq(v.first_row, 26);
	verify_free(&v);
	/* one is missing */
	ck_assert_int_eq(verify_begin(&v, pub), 0);
	verify_file(&v, "1");
	verify_text(&v, FIRST);
	verify_file(&v, "3");
	verify_text(&v, THIRD);
	ck_assert(!verify_end(&v));
	ck_assert_uint_eq(v.nfindings, 1);
	ck_assert_int_eq(v.findings[0].kind, VERIFY_MISSING);
	ck_assert_uint_eq(v.findings[0].first, 26);
	ck_assert_uint_eq(v.findings[0].last, 45);
	verify_describe(&v.findings[0], words, sizeof(words));
	ck_assert_str_eq(words, "rows 26 to 45 missing (before line 1 of 3)");
	verify_free(&v);
	/* in the wrong order */
	ck_assert_int_eq(verify_begin(&v, pub), 0);
	verify_text(&v, SECOND);
	verify_text(&v, FIRST);
	ck_assert(!verify_end(&v));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_REORDERED);
	verify_free(&v);
	/* while the judge writes: the end is neither sealed nor whole */
	ck_assert_int_eq(verify_begin(&v, pub), 0);
	v.open = true;
	verify_text(&v, FIRST);
	verify_text(&v, (char *)m.out.p + second, 9000);
	ck_assert(verify_end(&v) && v.complete);
	ck_assert_uint_lt(v.sealed_row, v.last_row);
	verify_free(&v);
	make_free(&m);
}
END_TEST

/* What agents signed: counted, and every wrong one named. */
START_TEST(envelopes)
{
	struct verify v;
	struct maker m;
	char words[700], *at;

	ck_assert_int_eq(verify_begin(&v, pub), 0);
	v.signatures = true;
	verify_text(&v, (char *)export.p, export.len);
	ck_assert(verify_end(&v) && v.complete);
	ck_assert_uint_eq(v.verified, 11);
	ck_assert_uint_eq(v.without, 1);
	verify_free(&v);
	/* not by the session's key */
	make_begin(&m, chain, sec, pub);
	make_session(&m);
	make_call(&m, MAKE_PLAIN, 0);
	make_call(&m, MAKE_PLAIN, 1);
	make_call(&m, MAKE_UTF16, 1);
	make_checkpoint(&m);
	ck_assert(verify(&v, m.out.p, m.out.len)); /* who does not ask is not told */
	ck_assert_int_eq(verify_begin(&v, pub), 0);
	v.signatures = true;
	verify_text(&v, (char *)m.out.p, m.out.len);
	ck_assert(!verify_end(&v) && !v.complete);
	ck_assert_uint_eq(v.verified, 1);
	ck_assert_uint_eq(v.nfindings, 2);
	ck_assert_uint_eq(v.refuted, 2);
	ck_assert_int_eq(v.findings[0].kind, VERIFY_ENVELOPE);
	ck_assert_uint_eq(v.findings[0].first, 3);
	verify_describe(&v.findings[0], words, sizeof(words));
	ck_assert_str_eq(
	    words, "the request of row 3 was not signed by its session's key (line 4)");
	verify_free(&v);
	make_free(&m);
	/* other evidence than the row's, without asking for signatures */
	at = memmem(export.p, export.len, "\"timestamp\":193", 15);
	at[13] = '2';
	ck_assert(!verify(&v, export.p, export.len));
	ck_assert_int_eq(v.findings[0].kind, VERIFY_EVIDENCE);
	ck_assert_uint_eq(v.findings[0].first, 3);
	ck_assert_uint_eq(v.nfindings, 1);
}
END_TEST

/* An agent may sign what looks like the hash of a row, in any place of the line's end. */
START_TEST(evidence_like_a_hash)
{
	char payload[128];
	struct verify v;
	struct maker m;
	int n;

	make_begin(&m, chain, sec, pub);
	make_session(&m);
	for (n = 0; n < 80; n++) {
		snprintf(payload, sizeof(payload), "{\"a\":{},\"hash\":\"%0*d\"}", n, 0);
		make_call_of(&m, MAKE_PLAIN, 0, payload);
	}
	make_checkpoint(&m);
	ck_assert_int_eq(verify_begin(&v, pub), 0);
	v.signatures = true;
	verify_text(&v, (char *)m.out.p, m.out.len);
	ck_assert(verify_end(&v) && v.complete);
	ck_assert_uint_eq(v.verified, 80);
	verify_free(&v);
	make_free(&m);
}
END_TEST

START_TEST(keys)
{
	char hex[65], b64[64], path[] = "/tmp/verify-key-XXXXXX", err[200];
	uint8_t key[32];
	int fd;

	hex_encode(pub, 32, hex, sizeof(hex));
	b64_encode(B64_STD, pub, 32, b64, sizeof(b64));
	ck_assert_int_eq(verify_key_parse(hex, key, err, sizeof(err)), 0);
	ck_assert_mem_eq(key, pub, 32);
	ck_assert_int_eq(verify_key_parse(b64, key, err, sizeof(err)), 0);
	ck_assert_mem_eq(key, pub, 32);
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, b64, strlen(b64)), (ssize_t)strlen(b64));
	ck_assert_int_eq(write(fd, "\n", 1), 1);
	ck_assert_int_eq(verify_key_parse(path, key, err, sizeof(err)), 0);
	ck_assert_mem_eq(key, pub, 32);
	ck_assert_int_eq(ftruncate(fd, 4), 0);
	ck_assert_int_eq(verify_key_parse(path, key, err, sizeof(err)), -1);
	close(fd);
	unlink(path);
	ck_assert_int_eq(verify_key_parse("no such file", key, err, sizeof(err)), -1);
	memset(hex, '0', 64); /* a point of small order */
	ck_assert_int_eq(verify_key_parse(hex, key, err, sizeof(err)), -1);
}
END_TEST

static double
verify_speed(const struct maker *m)
{
	struct timespec t0, t1;
	struct verify v;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
	ck_assert(verify(&v, m->out.p, m->out.len));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
	ck_assert(v.rooted);
	return (double)m->rows /
	    ((double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9);
}

/* The target is a million rows a second; slow machines and sanitizers get a tenth. */
START_TEST(speed)
{
	struct maker m;
	double plain, evidence;

	make_begin(&m, chain, sec, pub);
	while (m.rows < 100000)
		make_row(&m,
		    ",\"domain\":\"api.example.com\",\"judged\":"
		    "\"000102030405060708090a0b0c"
		    "0d0e0f000102030405060708090a0b0c0d0e0f\",\"peer\":\"127.0.0.1:"
		    "40000\"",
		    "");
	make_checkpoint(&m);
	plain = verify_speed(&m);
	make_free(&m);
	make_begin(&m, chain, sec, pub);
	make_session(&m);
	while (m.rows < 20000)
		make_call(&m, MAKE_PLAIN, 0);
	make_checkpoint(&m);
	evidence = verify_speed(&m);
	make_free(&m);
	printf("verify: %.0f rows/s, with evidence %.0f rows/s\n", plain, evidence);
	ck_assert(plain > 100000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("verify");
	TCase *tc = tcase_create("verify");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 180);
	tcase_add_test(tc, sound);
	tcase_add_test(tc, changed_row);
	tcase_add_test(tc, missing_rows);
	tcase_add_test(tc, cut_tail);
	tcase_add_test(tc, older_export);
	tcase_add_test(tc, reordered);
	tcase_add_test(tc, foreign_chain);
	tcase_add_test(tc, forged);
	tcase_add_test(tc, rewritten);
	tcase_add_test(tc, mutations);
	tcase_add_test(tc, attacks);
	tcase_add_test(tc, other_root);
	tcase_add_test(tc, late_checkpoint);
	tcase_add_test(tc, old_copy);
	tcase_add_test(tc, files);
	tcase_add_test(tc, envelopes);
	tcase_add_test(tc, evidence_like_a_hash);
	tcase_add_test(tc, keys);
	tcase_add_test(tc, speed);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
