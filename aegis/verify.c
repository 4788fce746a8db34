/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier. Lines have one form only, so a cursor that expects literal text reads
 * them: whatever differs is malformed. A row's text is hashed as it stands.
 */
#include "aegis/verify.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/ed25519.h"
#include "common/hex.h"
#include "common/rfc3339.h"

#define HEX_LEN 64

/* -- a cursor over one line -- */

struct cursor {
	const char *p, *end;
	bool bad;
};

#define EXPECT(c, literal) expect((c), (literal), sizeof(literal) - 1)

static void
expect(struct cursor *c, const char *literal, size_t len)
{
	if (c->bad || (size_t)(c->end - c->p) < len || memcmp(c->p, literal, len) != 0)
		c->bad = true;
	else
		c->p += len;
}

/* Digits without leading zeros, 1 and up. */
static uint64_t
take_number(struct cursor *c)
{
	uint64_t v = 0;
	const char *start = c->p;

	while (!c->bad && c->p < c->end && *c->p >= '0' && *c->p <= '9') {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*c->p - '0'), &v))
			c->bad = true;
		c->p++;
	}
	if (c->p == start || *start == '0')
		c->bad = true;
	return v;
}

static bool
lower_hex(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
			return false;
	return true;
}

/* 64 lower-case digits as 32 octets. */
static void
take_hash(struct cursor *c, uint8_t out[32])
{
	if (c->bad || c->end - c->p < HEX_LEN || !lower_hex(c->p, HEX_LEN) ||
	    hex_decode(c->p, HEX_LEN, out, 32) != 32) {
		c->bad = true;
		return;
	}
	c->p += HEX_LEN;
}

/* Text up to the next quote, which stays; no escapes are expected in it. */
static void
take_text(struct cursor *c, char *out, size_t size)
{
	const char *quote = c->bad ? NULL : memchr(c->p, '"', (size_t)(c->end - c->p));
	size_t len = quote != NULL ? (size_t)(quote - c->p) : 0;

	if (quote == NULL || len == 0 || len >= size || memchr(c->p, '\\', len) != NULL ||
	    memchr(c->p, '\0', len) != NULL) {
		c->bad = true;
		return;
	}
	memcpy(out, c->p, len);
	out[len] = '\0';
	c->p = quote;
}

/* -- findings -- */

static void
found(struct verify *v, enum verify_kind kind, uint64_t first, uint64_t last)
{
	if (v->nfindings < VERIFY_FINDINGS_MAX)
		v->findings[v->nfindings] =
		    (struct verify_finding){kind, first, last, v->lines};
	v->nfindings++;
}

/* -- hashing -- */

static void
digest(struct verify *v, const void *a, size_t alen, const void *b, size_t blen,
    uint8_t out[32])
{
	if (EVP_DigestInit_ex(v->ctx, NULL, NULL) != 1 ||
	    EVP_DigestUpdate(v->ctx, a, alen) != 1 ||
	    EVP_DigestUpdate(v->ctx, b, blen) != 1 ||
	    EVP_DigestFinal_ex(v->ctx, out, NULL) != 1)
		memset(out, 0, 32);
}

void
verify_kid(const uint8_t key[32], char kid[17])
{
	uint8_t hash[32];

	if (EVP_Digest(key, 32, hash, NULL, EVP_sha256(), NULL) != 1)
		memset(hash, 0, sizeof(hash));
	(void)hex_encode(hash, 8, kid, 17);
}

/* -- lines -- */

static bool
take_header(struct verify *v, struct cursor *c)
{
	uint8_t prev[32], zero[32];
	char chain[65];
	uint64_t from;

	EXPECT(c, "{\"ledger\":\"aegis-1\",\"chain\":\"");
	take_text(c, chain, sizeof(chain));
	EXPECT(c, "\",\"from\":");
	from = take_number(c);
	EXPECT(c, ",\"prev\":\"");
	take_hash(c, prev);
	EXPECT(c, "\"}");
	if (c->bad || c->p != c->end)
		return false;
	memcpy(v->chain, chain, sizeof(v->chain));
	memcpy(v->hash, prev, 32);
	v->expected = from;
	v->begun = true;
	digest(v, "aegis-ledger-1", 14, chain, strlen(chain), zero);
	if (from == 1 && memcmp(prev, zero, 32) != 0)
		found(v, VERIFY_FOREIGN, 0, 0);
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
	}
	v->expected = seq + 1;
	v->unread = false;
	return true;
}

static bool
take_row(struct verify *v, const char *line, size_t len)
{
	static const char head[] = "{\"row\":", tail[] = ",\"hash\":\"";
	size_t over = sizeof(head) - 1 + sizeof(tail) - 1 + HEX_LEN + 2;
	const char *text = line + sizeof(head) - 1;
	uint8_t claimed[32], computed[32];
	char chain[65], time[41];
	struct cursor c;
	uint64_t seq;
	size_t n;

	if (len <= over)
		return false;
	n = len - over;
	c = (struct cursor){text + n, line + len, false};
	EXPECT(&c, ",\"hash\":\"");
	take_hash(&c, claimed);
	EXPECT(&c, "\"}");
	if (c.bad || c.p != c.end || text[n - 1] != '}')
		return false;
	c = (struct cursor){text, text + n, false};
	EXPECT(&c, "{\"seq\":");
	seq = take_number(&c);
	EXPECT(&c, ",\"time\":\"");
	take_text(&c, time, sizeof(time));
	EXPECT(&c, "\",\"chain\":\"");
	take_text(&c, chain, sizeof(chain));
	EXPECT(&c, "\"");
	if (c.bad)
		return false;
	v->rows++;
	if (v->chain[0] == '\0') { /* the header could not be read */
		memcpy(v->chain, chain, sizeof(v->chain));
		digest(v, "aegis-ledger-1", 14, chain, strlen(chain), v->hash);
	}
	if (strcmp(chain, v->chain) != 0) {
		found(v, VERIFY_FOREIGN, seq, seq);
		v->unread = true;
		return true;
	}
	if (!check_order(v, seq))
		return true;
	if (v->first_row == 0)
		v->first_row = seq;
	v->last_row = seq;
	digest(v, v->hash, 32, text, n, computed);
	if (!v->broken && memcmp(computed, claimed, 32) != 0)
		found(v, VERIFY_CHANGED, seq, seq);
	v->broken = false;
	memcpy(v->hash, claimed, 32); /* so that the next row is judged by itself */
	return true;
}

static void
check_checkpoint(struct verify *v, const char *chain, uint64_t seq, const char *head,
    const char *time, const uint8_t signature[64])
{
	char text[256], own[HEX_LEN + 1];
	int n = snprintf(text, sizeof(text),
	    "aegis-checkpoint-1\n%s\n%" PRIu64 "\n%s\n%s\n", chain, seq, head, time);

	if (n < 0 || (size_t)n >= sizeof(text) ||
	    ed25519_verify(v->key, text, (size_t)n, signature) == -1) {
		found(v, VERIFY_SIGNATURE, seq, seq);
		return;
	}
	if (seq > v->last_row) {
		/* rows up to seq existed when this was signed */
		found(v, VERIFY_CUT, v->expected, seq);
		v->expected = seq + 1;
		v->broken = true;
		return;
	}
	(void)hex_encode(v->hash, 32, own, sizeof(own));
	if (seq < v->last_row)
		found(v, VERIFY_REORDERED, seq, seq);
	else if (strcmp(own, head) != 0)
		found(v, VERIFY_HEAD, seq, seq);
	else {
		v->sealed_row = seq;
		snprintf(v->sealed_time, sizeof(v->sealed_time), "%s", time);
	}
}

static bool
take_checkpoint(struct verify *v, struct cursor *c)
{
	char chain[65], head[HEX_LEN + 1], time[41], kid[17], signature[96];
	uint8_t octets[64];
	uint64_t seq;
	int64_t when;

	EXPECT(c, "{\"checkpoint\":{\"chain\":\"");
	take_text(c, chain, sizeof(chain));
	EXPECT(c, "\",\"seq\":");
	seq = take_number(c);
	EXPECT(c, ",\"head\":\"");
	take_text(c, head, sizeof(head));
	EXPECT(c, "\",\"time\":\"");
	take_text(c, time, sizeof(time));
	EXPECT(c, "\",\"kid\":\"");
	take_text(c, kid, sizeof(kid));
	EXPECT(c, "\"},\"signature\":\"");
	take_text(c, signature, sizeof(signature));
	EXPECT(c, "\"}");
	if (c->bad || c->p != c->end || strlen(head) != HEX_LEN ||
	    !lower_hex(head, HEX_LEN) ||
	    rfc3339_parse(time, strlen(time), &when, NULL) == -1 ||
	    b64_decode(B64_STD, signature, strlen(signature), octets, sizeof(octets)) !=
		64)
		return false;
	v->checkpoints++;
	if (strcmp(chain, v->chain) != 0 || strcmp(kid, v->kid) != 0)
		found(v, VERIFY_FOREIGN, seq, seq);
	else if (seq <= v->sealed_row)
		found(v, VERIFY_REORDERED, seq, seq);
	else
		check_checkpoint(v, chain, seq, head, time, octets);
	return true;
}

void
verify_line(struct verify *v, const char *line, size_t len)
{
	struct cursor c = {line, line + len, false};
	bool good;

	v->lines++;
	if (len > VERIFY_LINE_MAX)
		good = false;
	else if (!v->begun)
		good = take_header(v, &c);
	else if (len > 8 && line[2] == 'r')
		good = memcmp(line, "{\"row\":{", 8) == 0 && take_row(v, line, len);
	else
		good = take_checkpoint(v, &c);
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
			found(v, VERIFY_CUT, v->expected, 0);
			return;
		}
		verify_line(v, text, (size_t)(nl - text));
	}
}

int
verify_begin(struct verify *v, const uint8_t key[32])
{
	memset(v, 0, sizeof(*v));
	memcpy(v->key, key, 32);
	verify_kid(key, v->kid);
	v->ctx = EVP_MD_CTX_new();
	if (v->ctx == NULL || EVP_DigestInit_ex(v->ctx, EVP_sha256(), NULL) != 1) {
		verify_free(v);
		return -1;
	}
	return 0;
}

bool
verify_end(struct verify *v)
{
	if (!v->begun)
		found(v, VERIFY_CUT, 1, 0);
	else if (v->rows == 0 || v->sealed_row < v->last_row)
		found(v, VERIFY_CUT, v->sealed_row + 1, 0);
	v->complete = v->nfindings == 0 && v->first_row == 1;
	return v->nfindings == 0;
}

void
verify_free(struct verify *v)
{
	EVP_MD_CTX_free(v->ctx);
	v->ctx = NULL;
}

/* -- words -- */

const char *
verify_kind_name(enum verify_kind k)
{
	static const char *const names[] = {"malformed", "changed", "missing",
	    "reordered", "foreign", "bad_signature", "other_rows_sealed", "cut"};

	return names[k];
}

void
verify_describe(const struct verify_finding *f, char *out, size_t size)
{
	char row[64];

	if (f->last > f->first)
		snprintf(
		    row, sizeof(row), "rows %" PRIu64 " to %" PRIu64, f->first, f->last);
	else
		snprintf(row, sizeof(row), "row %" PRIu64, f->first);
	switch (f->kind) {
	case VERIFY_MALFORMED:
		snprintf(out, size,
		    "line %" PRIu64 " is no line of an export (%s was expected)", f->line,
		    f->first > 0 ? row : "the header");
		break;
	case VERIFY_CHANGED:
		snprintf(out, size, "%s was changed (line %" PRIu64 ")", row, f->line);
		break;
	case VERIFY_MISSING:
		snprintf(out, size, "%s missing (before line %" PRIu64 ")", row, f->line);
		break;
	case VERIFY_REORDERED:
		snprintf(out, size, "%s out of order or repeated (line %" PRIu64 ")", row,
		    f->line);
		break;
	case VERIFY_FOREIGN:
		snprintf(out, size, "%s of another chain or key (line %" PRIu64 ")",
		    f->first > 0 ? row : "the header is", f->line);
		break;
	case VERIFY_SIGNATURE:
		snprintf(out, size,
		    "the checkpoint over %s was not signed by this key (line %" PRIu64
		    ")",
		    row, f->line);
		break;
	case VERIFY_HEAD:
		snprintf(out, size,
		    "the checkpoint over %s seals other rows than these (line %" PRIu64
		    ")",
		    row, f->line);
		break;
	case VERIFY_CUT:
		if (f->last > 0)
			snprintf(out, size,
			    "%s cut off: a checkpoint seals what is not here", row);
		else
			snprintf(out, size,
			    "the end is cut off: nothing seals the rows from %" PRIu64
			    " on",
			    f->first);
		break;
	}
}
