/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier; line.c takes the lines apart. A row's text is hashed as it stands. The
 * judge goes on writing while vault signs, so a checkpoint may stand behind rows that it
 * does not seal: the Merkle tree grows when a checkpoint comes, over the rows it names.
 */
#include "aegis/verify.h"

#include <stdlib.h>
#include <string.h>

#include "aegis/evidence.h"
#include "aegis/line.h"
#include "common/ed25519.h"
#include "common/hex.h"
#include "common/sha256.h"

/* -- findings -- */

static void
found(struct verify *v, enum verify_kind kind, uint64_t first, uint64_t last)
{
	if (v->nfindings < VERIFY_FINDINGS_MAX)
		v->findings[v->nfindings] =
		    (struct verify_finding){kind, first, last, v->lines, v->file};
	v->nfindings++;
}

void
verify_kid(const uint8_t key[32], char kid[17])
{
	uint8_t hash[32];

	sha256_two(key, 32, NULL, 0, hash);
	(void)hex_encode(hash, 8, kid, 17);
}

/* -- hashes that wait for a checkpoint -- */

/* The rows before `row` are not here, so neither is the root over them; `known`: v->hash
 * is that of the one before. */
static void
restart(struct verify *v, uint64_t row, bool known)
{
	v->nwaiting = 0;
	v->grown = row - 1;
	v->grown_known = known;
	memcpy(v->grown_hash, v->hash, 32);
	v->rooted = row == 1;
	merkle_init(&v->tree);
}

static void
wait_hash(struct verify *v, const uint8_t hash[32])
{
	size_t size = v->size > 0 ? 2 * v->size : 4096;
	void *p;

	if (v->nwaiting == v->size) {
		p = reallocarray(v->waiting, size, sizeof(*v->waiting));
		if (p == NULL)
			abort(); /* a verifier that forgets would be worse */
		v->waiting = p;
		v->size = size;
	}
	memcpy(v->waiting[v->nwaiting++], hash, 32);
}

/* The tree grows up to a row that is here. */
static void
grow(struct verify *v, uint64_t row)
{
	size_t n = (size_t)(row - v->grown), i;
	uint8_t leaf[32];

	if (n == 0)
		return;
	for (i = 0; i < n && v->rooted; i++) {
		merkle_leaf(v->waiting[i], 32, leaf);
		merkle_push(&v->tree, leaf);
	}
	memcpy(v->grown_hash, v->waiting[n - 1], 32);
	v->nwaiting -= n;
	memmove(v->waiting, v->waiting + n, v->nwaiting * sizeof(*v->waiting));
	v->grown = row;
	v->grown_known = true;
}

/* -- lines -- */

/* The first row that is here and not sealed. */
static uint64_t
unsealed(const struct verify *v)
{
	return v->sealed_row + 1 > v->first_row ? v->sealed_row + 1 : v->first_row;
}

static void
check_kept(struct verify *v, uint64_t row)
{
	if (row > 0 && row == v->kept_row && memcmp(v->hash, v->kept_hash, 32) != 0)
		found(v, VERIFY_HISTORY, unsealed(v) < row ? unsealed(v) : row, row);
}

static bool
take_header(struct verify *v, const char *line, size_t len)
{
	struct line_header h;
	uint8_t zero[32];

	if (line_read_header(line, len, &h) == -1)
		return false;
	if (v->begun && strcmp(h.chain, v->chain) != 0) {
		found(v, VERIFY_FOREIGN, 0, 0);
		return true;
	}
	if (v->begun && (h.from < v->expected || !v->has_rows)) {
		found(v, VERIFY_REORDERED, h.from, h.from);
		return true;
	}
	v->has_rows = false;
	if (v->begun && h.from == v->expected) {
		if (!v->broken && memcmp(v->hash, h.prev, 32) != 0)
			found(v, VERIFY_CHANGED, h.from - 1, h.from - 1);
		return true;
	}
	if (v->begun)
		found(v, VERIFY_MISSING, v->expected, h.from - 1);
	memcpy(v->chain, h.chain, sizeof(v->chain));
	memcpy(v->hash, h.prev, 32);
	v->expected = h.from;
	v->begun = true;
	v->broken = false;
	restart(v, h.from, true);
	sha256_two("aegis-ledger-1", 14, h.chain, strlen(h.chain), zero);
	if (h.from == 1 && memcmp(h.prev, zero, 32) != 0)
		found(v, VERIFY_FOREIGN, 0, 0);
	check_kept(v, h.from - 1);
	return true;
}

/* A row that was called missing turns up later: it is not missing, but in the wrong
 * place. */
static void
note_reordered(struct verify *v, uint64_t seq)
{
	struct verify_finding *f;
	unsigned i;

	for (i = 0; i < v->nfindings && i < VERIFY_FINDINGS_MAX; i++) {
		f = &v->findings[i];
		if (f->kind == VERIFY_MISSING && seq >= f->first && seq <= f->last)
			f->kind = VERIFY_REORDERED;
	}
	found(v, VERIFY_REORDERED, seq, seq);
}

/* The row's number must be the next one. False: it is not in its place. */
static bool
check_order(struct verify *v, uint64_t seq)
{
	if (seq < v->expected) {
		note_reordered(v, seq);
		return false;
	}
	if (seq > v->expected) {
		/* unless the line that could not be read was that row */
		if (!v->unread || seq - 1 > v->expected)
			found(v, VERIFY_MISSING, v->expected, seq - 1);
		v->broken = true; /* its hash rests on what is not here */
		restart(v, seq, false);
	}
	v->expected = seq + 1;
	v->unread = false;
	return true;
}

static void
check_evidence(struct verify *v, const struct line_row *r)
{
	switch (evidence_take(v->evidence, r, v->signatures)) {
	case EVIDENCE_NOTHING:
		break;
	case EVIDENCE_WITHOUT:
		v->without++;
		break;
	case EVIDENCE_GOOD:
		v->verified += v->signatures;
		break;
	case EVIDENCE_FOREIGN:
		v->refuted++;
		found(v, VERIFY_EVIDENCE, r->seq, r->seq);
		break;
	case EVIDENCE_FORGED:
		v->refuted++;
		found(v, VERIFY_ENVELOPE, r->seq, r->seq);
		break;
	}
}

static bool
take_row(struct verify *v, const char *line, size_t len)
{
	struct line_row r;
	uint8_t computed[32];

	if (line_read_row(line, len, &r) == -1)
		return false;
	v->rows++;
	v->has_rows = true;
	if (v->chain[0] == '\0') { /* the header could not be read */
		(void)span_copy(r.chain, v->chain, sizeof(v->chain));
		sha256_two("aegis-ledger-1", 14, r.chain.p, r.chain.len, v->hash);
		restart(v, 1, true);
	}
	if (!span_eq(r.chain, v->chain)) {
		found(v, VERIFY_FOREIGN, r.seq, r.seq);
		v->unread = true;
		return true;
	}
	if (!check_order(v, r.seq))
		return true;
	if (v->first_row == 0)
		v->first_row = r.seq;
	v->last_row = r.seq;
	sha256_two(v->hash, 32, r.text.p, r.text.len, computed);
	if (!v->broken && memcmp(computed, r.hash, 32) != 0)
		found(v, VERIFY_CHANGED, r.seq, r.seq);
	v->broken = false;
	memcpy(v->hash, r.hash, 32); /* so that the next row is judged by itself */
	wait_hash(v, r.hash);
	check_kept(v, r.seq);
	check_evidence(v, &r);
	return true;
}

static bool
signed_by_key(const struct line_checkpoint *cp, const uint8_t key[32])
{
	char text[320];
	size_t n = line_signed_text(cp, text, sizeof(text));

	return n > 0 && ed25519_verify(key, text, n, cp->signature) == 0;
}

/* The checkpoint is this key's; it names rows that are here. */
static void
check_sealed(struct verify *v, const struct line_checkpoint *cp)
{
	uint64_t first = unsealed(v);
	uint8_t root[32];

	grow(v, cp->seq);
	if (v->astray)
		return;
	if (memcmp(v->grown_hash, cp->head, 32) != 0) {
		found(v, VERIFY_HEAD, first, cp->seq);
		v->astray = true;
		return;
	}
	if (v->rooted) {
		merkle_root(&v->tree, root);
		if (memcmp(root, cp->root, 32) != 0) {
			found(v, VERIFY_ROOT, first, cp->seq);
			v->astray = true;
			return;
		}
	}
	v->sealed_row = cp->seq;
	memcpy(v->sealed_hash, cp->head, 32);
	memcpy(v->sealed_time, cp->time, sizeof(v->sealed_time));
}

static bool
take_checkpoint(struct verify *v, const char *line, size_t len)
{
	struct line_checkpoint cp;

	if (line_read_checkpoint(line, len, &cp) == -1)
		return false;
	v->checkpoints++;
	if (strcmp(cp.chain, v->chain) != 0 || strcmp(cp.kid, v->kid) != 0)
		found(v, VERIFY_FOREIGN, cp.seq, cp.seq);
	else if (cp.seq <= v->sealed_row)
		found(v, VERIFY_REORDERED, cp.seq, cp.seq);
	else if (!signed_by_key(&cp, v->key))
		found(v, VERIFY_SIGNATURE, cp.seq, cp.seq);
	else if (cp.seq >= v->expected) {
		/* rows up to seq existed when this was signed */
		found(v, VERIFY_CUT, v->expected, cp.seq);
		v->expected = cp.seq + 1;
		v->broken = true;
		restart(v, v->expected, false);
	} else if (cp.seq > v->grown || (cp.seq == v->grown && v->grown_known)) {
		check_sealed(v, &cp);
	} /* else it seals rows that are not here */
	return true;
}

void
verify_line(struct verify *v, const char *line, size_t len)
{
	bool good;

	v->lines++;
	if (len > VERIFY_LINE_MAX || len < 8)
		good = false;
	else if (line[2] == 'r')
		good = v->begun && take_row(v, line, len);
	else if (line[2] == 'l')
		good = take_header(v, line, len);
	else
		good = v->begun && take_checkpoint(v, line, len);
	if (!good) {
		/* perhaps a row: what follows cannot be held against it */
		found(v, VERIFY_MALFORMED, v->expected, v->expected);
		v->unread = v->begun;
		if (!v->begun) {
			v->begun = true;
			v->expected = 1;
		}
	}
}

void
verify_text(struct verify *v, const char *text, size_t len)
{
	const char *end = text + len, *nl;

	for (; text < end; text = nl + 1) {
		nl = memchr(text, '\n', (size_t)(end - text));
		if (nl == NULL) {
			v->lines++;
			if (!v->open)
				found(v, VERIFY_CUT, v->expected, 0);
			return;
		}
		verify_line(v, text, (size_t)(nl - text));
	}
}

void
verify_file(struct verify *v, const char *name)
{
	v->file = name;
	v->lines = 0;
}

void
verify_keep(struct verify *v, uint64_t row, const uint8_t hash[32])
{
	v->kept_row = row;
	memcpy(v->kept_hash, hash, 32);
}

int
verify_begin(struct verify *v, const uint8_t key[32])
{
	memset(v, 0, sizeof(*v));
	memcpy(v->key, key, 32);
	verify_kid(key, v->kid);
	v->evidence = evidence_new();
	return v->evidence != NULL ? 0 : -1;
}

bool
verify_end(struct verify *v)
{
	if (!v->begun)
		found(v, VERIFY_CUT, 1, 0);
	else if (!v->astray && (v->rows == 0 || v->sealed_row < v->last_row) &&
	    !(v->open && v->sealed_row > 0))
		found(v, VERIFY_CUT, v->sealed_row + 1, 0);
	if (v->kept_row > v->last_row)
		found(v, VERIFY_OLD, v->last_row + 1, v->kept_row);
	else if (v->kept_row > 0 && v->kept_row + 1 < v->first_row)
		found(v, VERIFY_MISSING, v->kept_row, v->kept_row);
	v->complete = v->nfindings == 0 && v->first_row == 1;
	return v->nfindings == 0;
}

void
verify_free(struct verify *v)
{
	evidence_free(v->evidence);
	free(v->waiting);
	v->evidence = NULL;
	v->waiting = NULL;
}
