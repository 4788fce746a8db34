/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two files in turn, `marks-0` and `marks-1`, of batches: a head with a checksum, then
 * of each mark what the set keeps of it. When one file is older than the window the other
 * is emptied and goes on. A batch covers the rows (after, upto]; a row that is still to
 * be written may have its mark in it already, which does no harm. Judge only; the files
 * may hold anything after a crash.
 */
#include "keymasterd/judge/seal_marks.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/loop.h"
#include "common/sha256.h"
#include "keymasterd/judge/clock.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_file.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/ledger_scan.h"
#include "keymasterd/judge/seal_verify.h"

#define KEPT ((size_t)REPLAY_KEPT) /* octets of a mark */
#define BATCH_MAX (64u << 20)
#define KEEP (64u << 10) /* of memory between batches */

struct batch {
	char magic[8];
	uint64_t after, upto; /* rows */
	uint64_t unix_ms;     /* when it was written */
	uint64_t count;
	uint8_t sum[SHA256_LEN]; /* of the chain's id and all before, then the marks */
};

static struct buf fresh; /* marks since the last batch */
static int lost;         /* not all of them: memory */
static uint64_t covered; /* rows up to this one are in batches */
static uint64_t window;
static unsigned current;  /* the file that grows */
static uint64_t end;      /* its octets */
static uint64_t begun_ms; /* when it began to */

static void
sum_make(const struct batch *b, const void *marks, uint8_t sum[SHA256_LEN])
{
	uint8_t head[offsetof(struct batch, sum) + 64] = {0};

	memcpy(head, b, offsetof(struct batch, sum));
	memcpy(head + offsetof(struct batch, sum), ledger_chain(),
	    strnlen(ledger_chain(), 64));
	sha256_two(head, sizeof(head), marks, b->count * KEPT, sum);
}

/* ---- reading ---- */

/* What is whole in a file, one batch after the other. */
struct piece {
	struct batch head;
	const uint8_t *marks;
};
struct pieces {
	uint8_t *octets[2];
	struct piece *list;
	size_t n, cap;
	/* of each file: where what is whole ends, when it begins, the last row */
	uint64_t end[2], begun_ms[2], upto[2];
};

static int
note_piece(struct pieces *p, const struct batch *head, const uint8_t *marks)
{
	struct piece *more;
	size_t cap = p->cap == 0 ? 64 : 2 * p->cap;

	if (p->n == p->cap) {
		more = reallocarray(p->list, cap, sizeof(*more));
		if (more == NULL)
			return -1;
		p->list = more;
		p->cap = cap;
	}
	p->list[p->n++] = (struct piece){*head, marks};
	return 0;
}

static void
read_file(struct pieces *p, unsigned i)
{
	uint8_t sum[SHA256_LEN];
	struct batch head;
	struct stat st;
	size_t len, at = 0;

	if (fstat(ledger_dir.marks[i], &st) == -1 || st.st_size <= 0 ||
	    st.st_size > (off_t)BATCH_MAX * 4)
		return;
	len = (size_t)st.st_size;
	p->octets[i] = malloc(len);
	if (p->octets[i] == NULL ||
	    pread(ledger_dir.marks[i], p->octets[i], len, 0) != (ssize_t)len)
		return;
	while (len - at >= sizeof(head)) {
		memcpy(&head, p->octets[i] + at, sizeof(head));
		at += sizeof(head);
		if (memcmp(head.magic, "aegismk2", 8) != 0 ||
		    head.count > (len - at) / KEPT)
			return;
		sum_make(&head, p->octets[i] + at, sum);
		if (memcmp(sum, head.sum, sizeof(sum)) != 0 ||
		    note_piece(p, &head, p->octets[i] + at) == -1)
			return;
		at += head.count * KEPT;
		if (p->end[i] == 0)
			p->begun_ms[i] = head.unix_ms;
		p->end[i] = at;
		p->upto[i] = head.upto;
	}
}

/* Batches of rows that are not there any more: the numbers will be those of other rows,
 * which such a batch must not seem to cover. Rows alone are enough. */
static int
drop_stale(struct pieces *p)
{
	unsigned i;

	if (p->upto[0] <= ledger_seq() && p->upto[1] <= ledger_seq())
		return 0;
	for (i = 0; i < 2; i++) {
		if (ftruncate(ledger_dir.marks[i], 0) == -1)
			return -1;
		p->end[i] = p->upto[i] = 0;
	}
	p->n = 0;
	return 0;
}

static int
by_row(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->head.upto < y->head.upto ? -1 : x->head.upto > y->head.upto;
}

struct loading {
	struct replay *set;
	uint64_t mono_ms;
	int64_t stamp; /* no envelope's time is later */
	int bad;
};

static int
put_kept(struct loading *l, const uint8_t *kept)
{
	uint8_t mark[REPLAY_MARK_LEN] = {0};

	memcpy(mark, kept, KEPT);
	return replay_stamped(l->set, mark, l->mono_ms, l->stamp) == -1 ? -1 : 0;
}

/*
 * Rows with `signed` have an envelope's signature that was verified. Its mark was taken
 * unless the token was refused before (seal_verify.c); a replay's mark is there anyway. A
 * signature that did not verify may be a good one on other octets: it leaves no mark.
 */
static int
load_row(const struct ledger_line *row, void *arg)
{
	struct loading *l = arg;
	uint8_t signature[64], mark[REPLAY_MARK_LEN];
	struct span proof = ledger_text_get(row->text, "proof"), session, detail;

	if (proof.len == 0 || ledger_text_get(row->text, "signed").len == 0 ||
	    b64_decode(B64_STD, proof.p, proof.len, signature, sizeof signature) != 64)
		return 0;
	session = ledger_text_get(row->text, "session");
	detail = ledger_text_get(row->text, "detail");
	if (session.len == 0 || seal_unmarked(detail))
		return 0;
	seal_mark(session, signature, mark);
	/* as if seen now: it lives a little longer than it must */
	if (replay_stamped(l->set, mark, l->mono_ms, l->stamp) == -1)
		return l->bad = 1;
	seal_marks_note(mark);
	return 0;
}

/* The batches that hang together up to the last one; the rest is read from rows. */
static int
load_batches(struct loading *l, const struct pieces *p, uint64_t *after)
{
	size_t i, first = p->n;
	uint64_t k;

	while (first > 0 && p->list[first - 1].head.upto <= ledger_seq() &&
	    (first == p->n || p->list[first - 1].head.upto == p->list[first].head.after))
		first--;
	if (first == p->n)
		return 0;
	/* rows of the window before the first of them */
	if (*after < p->list[first].head.after &&
	    ledger_each(*after, p->list[first].head.after, 0, load_row, l) == -1)
		return -1;
	for (i = first; i < p->n; i++)
		for (k = 0; p->list[i].head.upto > *after && k < p->list[i].head.count;
		     k++)
			if (put_kept(l, p->list[i].marks + k * KEPT) == -1)
				return -1;
	if (*after < p->list[p->n - 1].head.upto)
		*after = p->list[p->n - 1].head.upto;
	covered = p->list[p->n - 1].head.upto;
	return 0;
}

int
seal_marks_load(struct replay *set, uint64_t window_ms)
{
	uint64_t now = judge_now_ms(), after;
	struct loading l = {.set = set,
	    .mono_ms = loop_now_ms(),
	    .stamp = clock_stamp_max(judge_conf.seal_window_s)};
	struct pieces p = {.n = 0};
	int r = 0;

	buf_reset(&fresh);
	lost = 0;
	window = window_ms;
	covered = after = ledger_before(now > window ? now - window : 0);
	read_file(&p, 0);
	read_file(&p, 1);
	r = drop_stale(&p);
	if (r == 0 && p.n > 0) {
		qsort(p.list, p.n, sizeof(*p.list), by_row);
		r = load_batches(&l, &p, &after);
	}
	buf_reset(&fresh); /* of rows that are older than the batches */
	if (r == 0)
		r = ledger_each(after, UINT64_MAX, 0, load_row, &l);
	current = p.upto[1] > p.upto[0];
	end = p.end[current];
	begun_ms = end > 0 ? p.begun_ms[current] : now;
	free(p.octets[0]);
	free(p.octets[1]);
	free(p.list);
	return r == 0 && !l.bad ? 0 : -1;
}

/* ---- writing ---- */

void
seal_marks_note(const uint8_t mark[REPLAY_MARK_LEN])
{
	if (buf_put(&fresh, mark, KEPT) == -1)
		lost = 1;
}

/* The other file is older than the window: it is emptied and goes on. */
static void
turn_over(uint64_t now)
{
	if (now < begun_ms || now - begun_ms <= window)
		return;
	if (ftruncate(ledger_dir.marks[!current], 0) == -1)
		return;
	current = !current;
	end = 0;
	begun_ms = now;
}

void
seal_marks_save(void)
{
	uint64_t now = judge_now_ms();
	struct batch b = {.after = covered,
	    .upto = ledger_seq(),
	    .unix_ms = now,
	    .count = fresh.len / KEPT};
	int fd;

	if (b.upto == covered)
		return;
	turn_over(now);
	fd = ledger_dir.marks[current];
	memcpy(b.magic, "aegismk2", 8);
	sum_make(&b, fresh.p, b.sum);
	/* a batch that is missing is read from the rows */
	if (!lost && ledger_pwrite(fd, &b, sizeof(b), end) == 0 &&
	    ledger_pwrite(fd, fresh.p, fresh.len, end + sizeof(b)) == 0)
		end += sizeof(b) + fresh.len;
	covered = b.upto;
	lost = 0;
	buf_reset(&fresh);
	if (fresh.cap > KEEP)
		buf_free(&fresh);
}
