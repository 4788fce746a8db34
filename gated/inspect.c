/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From octets to words: compression, two layers of escapes, cutting. gated; the octets
 * are agents'. What a word is inspect_match.c says.
 */
#include "gated/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/inspect_match.h"

#define KEEP 256 /* of a long word: what a credential across the cut needs */
#define CUT (INSPECT_WORD_MAX - KEEP)
#define LAYERS 2
#define INFLATED_FREE (1024 * 1024) /* this much, and then RATIO_MAX for each octet */
#define RATIO_MAX 100

/* One layer of escapes: JSON's (RFC 8259 section 7) and percent (RFC 3986 section 2.1).
 */
struct layer {
	enum { PLAIN, BACKSLASH, UNICODE, PERCENT } state;
	unsigned char digits[4];
	unsigned n;
	uint64_t start; /* of the escape, in the body */
};

struct inspect {
	struct layer layers[LAYERS];
	char word[INSPECT_WORD_MAX];
	size_t len;
	uint64_t start;  /* of the word, in the body */
	uint64_t middle; /* of its octet CUT */
	uint64_t taken;  /* octets of the body so far */
	bool ended;
	/* what the words before mean for the next */
	enum inspect_before before;
	char name[40];
	size_t name_len;
	unsigned pem; /* words of a PEM header seen */
	/* what the escape right before the word used up, if it was no escape at all */
	char eaten[4];
	size_t neaten;
	uint64_t eaten_start;
	struct inspect_found found[INSPECT_FOUND_MAX];
	unsigned nfound;
	bool hit;
	z_stream *z;
	uint64_t inflated;
};

/* What ends a word: blanks, quotes, brackets, and what separates fields. */
static const char separators[] = " \t\r\n\v\f\"'`,;<>()[]{}|\\&?";
static bool word_octet[256];
enum { PLAIN_OCTET = 1, SIGN_OCTET = 2 }; /* SIGN: = or :, which say what follows is */
static unsigned char plain_octet[256];

static void
tables_make(void)
{
	unsigned c;

	if (word_octet['a'])
		return;
	for (c = 0x21; c < 0x7f; c++) {
		word_octet[c] = strchr(separators, (int)c) == NULL;
		plain_octet[c] = word_octet[c] && c != '%' ? PLAIN_OCTET : 0;
	}
	plain_octet['='] = plain_octet[':'] = PLAIN_OCTET | SIGN_OCTET;
}

struct inspect *
inspect_new(enum inspect_coding coding)
{
	struct inspect *s = calloc(1, sizeof(*s));

	tables_make();
	if (s == NULL || coding == INSPECT_PLAIN)
		return s;
	s->z = calloc(1, sizeof(*s->z));
	/* 15 + 32: zlib or gzip by its header */
	if (s->z == NULL || inflateInit2(s->z, 15 + 32) != Z_OK) {
		free(s->z);
		free(s);
		return NULL;
	}
	return s;
}

void
inspect_free(struct inspect *s)
{
	if (s == NULL)
		return;
	if (s->z != NULL)
		(void)inflateEnd(s->z);
	free(s->z);
	explicit_bzero(s, sizeof(*s)); /* it may hold what it looks for */
	free(s);
}

static void
on_found(void *arg, const char *name, size_t length, bool sure)
{
	struct inspect *s = arg;
	struct inspect_found f = {name, (uint32_t)length, sure};

	if (sure && !s->hit && s->nfound == INSPECT_FOUND_MAX)
		s->nfound--; /* of likely ones only: one that counts takes a place */
	s->hit = s->hit || sure;
	if (s->nfound < INSPECT_FOUND_MAX)
		s->found[s->nfound++] = f;
}

static bool
is(const char *w, size_t n, const char *text)
{
	return n == strlen(text) && memcmp(w, text, n) == 0;
}

/* -----BEGIN [kind] PRIVATE KEY-----, or with '+' for blanks. RFC 7468. */
static void
look_for_pem(struct inspect *s, const char *w, size_t n)
{
	if (s->pem == 0 && *w != '-') /* most words */
		return;
	if (is(w, n, "-----BEGIN"))
		s->pem = 1;
	else if (s->pem > 0 && is(w, n, "PRIVATE"))
		s->pem = 2;
	else if ((s->pem == 2 && (is(w, n, "KEY-----") || is(w, n, "KEY"))) ||
	    (n > 27 && memcmp(w, "-----BEGIN+", 11) == 0 &&
		memmem(w, n, "PRIVATE+KEY-----", 16) != NULL)) {
		on_found(s, "private key", 0, true);
		s->pem = 0;
	} else if (n > 9 || s->pem == 2)
		s->pem = 0;
}

static bool
is_name(const char *w, size_t n)
{
	size_t i;

	if (n == 0 || n > sizeof(((struct inspect *)0)->name))
		return false;
	for (i = 0; i < n; i++)
		if (!inspect_inner((unsigned char)w[i]) && w[i] != '.')
			return false;
	return true;
}

static void
remember(struct inspect *s, const char *w, size_t n)
{
	s->name_len = n <= sizeof(s->name) ? n : 0;
	memcpy(s->name, w, s->name_len);
	/* Bearer and Basic are all that mean something by themselves */
	s->before = (*w | 0x20) == 'b' ? inspect_name(w, n, false) : BEFORE_NOTHING;
}

/* An equals sign or colon follows the word before. */
static void
assign(struct inspect *s)
{
	s->before = is_name(s->name, s->name_len)
	    ? inspect_name(s->name, s->name_len, true)
	    : BEFORE_NOTHING;
}

/* Where name=value or name:value is to be cut, or 0. */
static size_t
split(const char *w, size_t n)
{
	size_t i;

	for (i = 1; i + 1 < n; i++)
		if (w[i] == '=' || w[i] == ':')
			return (w[i] == ':' && w[i + 1] == '/') || w[i + 1] == '=' ||
				!is_name(w, i)
			    ? 0
			    : i;
	return 0;
}

/* name=value may be inside another value: so many deep it is looked at. */
#define NESTED_MAX 4
#define SHORT                                                                    \
	12 /* no credential has fewer octets, unless something before it says so \
	    */

static bool
assigns(const char *w, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (w[i] == '=' || w[i] == ':')
			return true;
	return false;
}

static void
look(struct inspect *s, const char *w, size_t n)
{
	size_t at;
	unsigned known = s->nfound, i;

	for (i = 0; i < NESTED_MAX && s->nfound == known; i++) {
		while (n > 0 && (*w == '=' || *w == ':')) { /* of the name before */
			if (s->before == BEFORE_NOTHING)
				assign(s);
			w++;
			n--;
		}
		if (n == 0)
			return;
		if (n < SHORT && s->before == BEFORE_NOTHING && s->pem == 0 &&
		    *w != '-' && !assigns(w, n)) {
			remember(s, w, n); /* most words of most bodies */
			return;
		}
		look_for_pem(s, w, n);
		inspect_match(w, n, s->before, on_found, s);
		at = split(w, n);
		remember(s, w, at > 0 ? at : n);
		if (at == 0)
			break;
		w += at;
		n -= at;
	}
	if (n > 1 && (w[n - 1] == ':' || w[n - 1] == '=') && is_name(w, n - 1)) {
		remember(s, w, n - 1);
		assign(s);
	}
}

/* A word that lies in one piece, with no escape before it; signs: it has one of = and :.
 */
static void
look_whole(struct inspect *s, const char *w, size_t n, bool signs)
{
	if (n < SHORT && !signs && s->before == BEFORE_NOTHING && s->pem == 0 &&
	    *w != '-')
		remember(s, w, n); /* most words of most bodies */
	else
		look(s, w, n);
}

/*
 * A backslash or percent sign that somebody meant as such takes the first letters of the
 * word behind it: \npm_..., %dckr_pat_... So such a word is read in both ways.
 */
static void
word_look(struct inspect *s)
{
	enum inspect_before before = s->before;
	unsigned pem = s->pem, known = s->nfound;
	char both[INSPECT_WORD_MAX + sizeof(s->eaten)];

	look(s, s->word, s->len);
	if (s->neaten == 0 || s->nfound != known || s->before != BEFORE_NOTHING ||
	    s->pem > 0)
		return;
	memcpy(both, s->eaten, s->neaten);
	memcpy(both + s->neaten, s->word, s->len);
	s->before = before;
	s->pem = pem;
	look(s, both,
	    s->neaten + s->len < INSPECT_WORD_MAX ? s->neaten + s->len
						  : INSPECT_WORD_MAX);
	explicit_bzero(both, sizeof(both));
}

static void
word_end(struct inspect *s)
{
	if (s->len > 0)
		word_look(s);
	s->len = 0;
	s->neaten = 0;
}

/* An escape gave what ends a word; this is what it was written with, but for its sign. */
static void
eat(struct inspect *s, const unsigned char *p, size_t n, uint64_t start)
{
	if (s->len > 0)
		return;
	memcpy(s->eaten, p, n);
	s->neaten = n;
	s->eaten_start = start;
}

/* step: 1 when the octets are the body's own, 0 when all have the same place in it. */
static void
word_put(struct inspect *s, const char *p, size_t n, uint64_t off, unsigned step)
{
	size_t room;

	if (s->len == 0)
		s->start = s->neaten > 0 ? s->eaten_start : off;
	while (n > 0) {
		if (s->len == INSPECT_WORD_MAX) {
			word_look(s);
			s->neaten = 0;
			memmove(s->word, s->word + CUT, KEEP);
			s->len = KEEP;
			s->start = s->middle;
		}
		room = INSPECT_WORD_MAX - s->len;
		room = room < n ? room : n;
		if (s->len <= CUT && s->len + room > CUT)
			s->middle = off + (CUT - s->len) * step;
		memcpy(s->word + s->len, p, room);
		s->len += room;
		p += room;
		off += room * step;
		n -= room;
	}
}

static int
hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
octet(struct inspect *s, unsigned layer, unsigned char c, uint64_t off)
{
	struct layer *l = &s->layers[layer];
	unsigned value = 0, i, want;

	if (layer == LAYERS) {
		if (word_octet[c])
			word_put(s, (const char *)&c, 1, off, 0);
		else
			word_end(s);
		return;
	}
	switch (l->state) {
	case PLAIN:
		if (c != '\\' && c != '%') {
			octet(s, layer + 1, c, off);
			return;
		}
		l->state = c == '%' ? PERCENT : BACKSLASH;
		l->start = off;
		l->n = 0;
		return;
	case BACKSLASH:
		l->state = PLAIN;
		if (c == 'u') {
			l->state = UNICODE;
		} else if (strchr("nrtbf", c) != NULL && c != '\0') {
			octet(s, layer + 1, ' ', l->start);
			eat(s, &c, 1, l->start);
		} else if (c == '"' || c == '\\' || c == '/') {
			octet(s, layer + 1, c, l->start);
		} else {
			octet(s, layer + 1, '\\', l->start);
			octet(s, layer, c, off);
		}
		return;
	default:
		want = l->state == UNICODE ? 4 : 2;
		if (hex(c) >= 0) {
			l->digits[l->n++] = c;
			if (l->n < want)
				return;
			for (i = 0; i < want; i++)
				value = value << 4 | (unsigned)hex(l->digits[i]);
			l->state = PLAIN;
			octet(s, layer + 1, value < 0x80 ? (unsigned char)value : 0x80,
			    l->start);
			eat(s, l->digits, want, l->start);
			return;
		}
		want = l->n; /* no escape after all */
		value = l->state == UNICODE ? '\\' : '%';
		l->state = PLAIN;
		octet(s, layer + 1, (unsigned char)value, l->start);
		if (value == '\\')
			octet(s, layer + 1, 'u', l->start);
		for (i = 0; i < want; i++)
			octet(s, layer + 1, l->digits[i], l->start);
		octet(s, layer, c, off);
	}
}

static bool
begins_escape(unsigned char c)
{
	return c == '\\' || c == '%';
}

/* step as above. */
static void
octets(struct inspect *s, const unsigned char *p, size_t n, uint64_t off, unsigned step)
{
	size_t i = 0, run;
	unsigned kinds;

	while (i < n) {
		if (s->layers[0].state == PLAIN && s->layers[1].state == PLAIN) {
			for (run = i, kinds = 0; run < n && plain_octet[p[run]]; run++)
				kinds |= plain_octet[p[run]];
			if (run > i && run < n && !begins_escape(p[run]) && s->len == 0 &&
			    s->neaten == 0 && run - i <= INSPECT_WORD_MAX)
				look_whole(s, (const char *)p + i, run - i,
				    (kinds & SIGN_OCTET) != 0);
			else if (run > i)
				word_put(s, (const char *)p + i, run - i, off + i * step,
				    step);
			if (run < n && !begins_escape(p[run]))
				word_end(s);
			for (i = run;
			     i < n && !plain_octet[p[i]] && !begins_escape(p[i]);)
				i++;
			if (i == n)
				return;
			if (plain_octet[p[i]])
				continue;
		}
		octet(s, 0, p[i], off + i * step);
		i++;
	}
}

/* What is begun ends here. */
static void
flush(struct inspect *s)
{
	octet(s, 0, ' ', s->taken);
	octet(s, 0, ' ', s->taken);
	s->layers[0].state = s->layers[1].state = PLAIN;
	word_end(s);
}

static int
unfold(struct inspect *s, const void *p, size_t n)
{
	unsigned char out[4096];
	int r;

	memcpy(&s->z->next_in, &p, sizeof(p));
	s->z->avail_in = (uInt)n;
	do {
		s->z->next_out = out;
		s->z->avail_out = sizeof(out);
		r = inflate(s->z, Z_NO_FLUSH);
		if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
			return -1;
		octets(s, out, sizeof(out) - s->z->avail_out, s->taken, 0);
		s->inflated += sizeof(out) - s->z->avail_out;
		if (s->inflated > INFLATED_FREE + RATIO_MAX * (s->taken + n))
			return -1;
		if (r == Z_STREAM_END && s->z->avail_in > 0 && inflateReset(s->z) != Z_OK)
			return -1;
	} while (s->z->avail_in > 0 || s->z->avail_out == 0);
	s->ended = r == Z_STREAM_END;
	return 0;
}

int
inspect_feed(struct inspect *s, const void *p, size_t n)
{
	int r = 0;

	if (n == 0)
		return 0;
	if (s->z != NULL)
		r = unfold(s, p, n);
	else
		octets(s, p, n, s->taken, 1);
	s->taken += n;
	return r;
}

int
inspect_end(struct inspect *s)
{
	if (s->z != NULL && s->taken > 0 && !s->ended)
		return -1;
	flush(s);
	s->ended = true;
	return 0;
}

void
inspect_text(struct inspect *s, struct span text)
{
	octets(s, (const unsigned char *)text.p, text.len, s->taken, 0);
	flush(s);
	s->before = BEFORE_NOTHING;
	s->name_len = 0;
}

uint64_t
inspect_clean(const struct inspect *s)
{
	uint64_t clean = s->len > 0 ? s->start
	    : s->neaten > 0         ? s->eaten_start
				    : s->taken;
	unsigned i;

	for (i = 0; i < LAYERS; i++)
		if (s->layers[i].state != PLAIN && s->layers[i].start < clean)
			clean = s->layers[i].start;
	return clean;
}

bool
inspect_hit(const struct inspect *s)
{
	return s->hit;
}

unsigned
inspect_found(const struct inspect *s, struct inspect_found out[INSPECT_FOUND_MAX])
{
	memcpy(out, s->found, s->nfound * sizeof(*out));
	return s->nfound;
}

void
inspect_words(const struct inspect *s, bool sure, char *out, size_t cap)
{
	size_t at = 0;
	unsigned i;
	int n;

	out[0] = '\0';
	for (i = 0; i < s->nfound; i++) {
		if (s->found[i].sure != sure)
			continue;
		n = snprintf(out + at, cap - at, "%s%s (%u characters)",
		    at > 0 ? ", " : "", s->found[i].name, s->found[i].length);
		if (n < 0 || (size_t)n >= cap - at) {
			out[at] = '\0';
			return;
		}
		at += (size_t)n;
	}
}

int
inspect_coding(struct span v, enum inspect_coding *coding)
{
	*coding = INSPECT_PLAIN;
	if (v.len == 0 || span_ieq(v, "identity"))
		return 0;
	if (span_ieq(v, "gzip") || span_ieq(v, "x-gzip"))
		*coding = INSPECT_GZIP;
	else if (span_ieq(v, "deflate"))
		*coding = INSPECT_DEFLATE;
	else
		return -1;
	return 0;
}
