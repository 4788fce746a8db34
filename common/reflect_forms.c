/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spellings of a secret; see reflect_forms.h. Tables are indexed by the secret's octets:
 * timing is no concern here, nobody but this process runs on its behalf.
 */
#include "common/reflect_forms.h"

#include <stdbool.h>
#include <string.h>

/* A spelling in the making. */
struct form {
	uint8_t *p;
	size_t len;
};

uint8_t
reflect_fold(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c + 32);
	if (c == '-')
		return '+';
	if (c == '_')
		return '/';
	return c;
}

static void
put(struct form *f, uint8_t c)
{
	if (f->len < REFLECT_FORM_MAX)
		f->p[f->len++] = reflect_fold(c);
}

static void
put_text(struct form *f, const char *s)
{
	while (*s != '\0')
		put(f, (uint8_t)*s++);
}

static void
put_hex(struct form *f, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";

	put(f, (uint8_t)digits[c >> 4]);
	put(f, (uint8_t)digits[c & 15]);
}

static bool
is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* -- percent escapes: which octets stay as they are besides letters and digits -- */

static const char *const kept[] = {
    "-._~",                 /* RFC 3986 2.3 */
    "-._~/",                /* the same in paths */
    "-_.!~*'()",            /* encodeURIComponent() */
    "*-._",                 /* forms; a space becomes + */
    "-_.!~*'();/?:@&=+$,#", /* encodeURI() */
    "-._~!$&'()*+,;=:@",    /* RFC 3986 3.3, segments of a path */
    "-._~!$&'()*+,;=:@/?",  /* RFC 3986 3.4, queries */
};
#define KEPT_FORMS 3 /* the one where a space is a plus */

static void
percent(struct form *f, const uint8_t *s, size_t len, size_t which)
{
	for (size_t i = 0; i < len; i++) {
		if (is_alnum(s[i]) ||
		    (s[i] != '\0' && strchr(kept[which], s[i]) != NULL)) {
			put(f, s[i]);
		} else if (s[i] == ' ' && which == KEPT_FORMS) {
			put(f, '+');
		} else {
			put(f, '%');
			put_hex(f, s[i]);
		}
	}
}

/* -- JSON strings (RFC 8259 7) -- */

enum json { JSON_PLAIN, JSON_SLASH, JSON_HTML, JSON_HTML_SLASH, JSON_ALL, JSON_KINDS };

static void
json_unit(struct form *f, uint8_t c)
{
	put_text(f, "\\u00");
	put_hex(f, c);
}

static void
json(struct form *f, const uint8_t *s, size_t len, enum json kind)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *at;

	for (size_t i = 0; i < len; i++) {
		at = s[i] == '\0' ? NULL : strchr(plain, s[i]);
		if (kind == JSON_ALL || (s[i] < 0x20 && at == NULL)) {
			json_unit(f, s[i]);
		} else if (at != NULL) {
			put(f, '\\');
			put(f, (uint8_t)letter[at - plain]);
		} else if (s[i] == '/' &&
		    (kind == JSON_SLASH || kind == JSON_HTML_SLASH)) {
			put_text(f, "\\/");
		} else if (kind >= JSON_HTML && strchr("<>&'", s[i]) != NULL) {
			json_unit(f, s[i]);
		} else {
			put(f, s[i]);
		}
	}
}

/* A string of a JSON text that is itself a string in JSON: what MCP makes of a tool that
 * answers with JSON. */
static void
json_in_json(struct form *f, const uint8_t *s, size_t len, enum json inner)
{
	uint8_t once[8];
	struct form one = {.p = once};

	for (size_t i = 0; i < len; i++) {
		one.len = 0;
		json(&one, s + i, 1, inner);
		json(f, one.p, one.len, JSON_PLAIN);
	}
	explicit_bzero(once, sizeof(once));
}

/* -- HTML entities -- */

static void
html(struct form *f, const uint8_t *s, size_t len, const char *quote,
    const char *apostrophe)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '&')
			put_text(f, "&amp;");
		else if (s[i] == '<')
			put_text(f, "&lt;");
		else if (s[i] == '>')
			put_text(f, "&gt;");
		else if (s[i] == '"')
			put_text(f, quote);
		else if (s[i] == '\'')
			put_text(f, apostrophe);
		else
			put(f, s[i]);
	}
}

/* -- base64 (RFC 4648) -- */

enum b64 { B64_PLAIN, B64_JSON, B64_PERCENT, B64_KINDS };

/* The bits of the secret when `before` octets precede it: bit n of the whole text. */
static unsigned
sextet(const uint8_t *s, size_t before, size_t n)
{
	unsigned v = 0;

	for (size_t bit = n * 6; bit < n * 6 + 6; bit++)
		v = v << 1 | (s[bit / 8 - before] >> (7 - bit % 8) & 1u);
	return v;
}

static void
base64(struct form *f, const uint8_t *s, size_t len, size_t before, enum b64 kind)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t first = (before * 8 + 5) / 6, end = (before + len) * 8 / 6;

	for (size_t n = first; n < end; n++) {
		char c = alphabet[sextet(s, before, n)];

		if (c == '/' && kind == B64_JSON) {
			put_text(f, "\\/");
		} else if ((c == '/' || c == '+') && kind == B64_PERCENT) {
			put(f, '%');
			put_hex(f, (uint8_t)c);
		} else {
			put(f, (uint8_t)c);
		}
	}
}

struct emitter {
	struct form f;
	void (*emit)(const uint8_t *, size_t, void *);
	void *arg;
};

static void
done(struct emitter *e)
{
	if (e->f.len >= REFLECT_MIN)
		e->emit(e->f.p, e->f.len, e->arg);
	e->f.len = 0;
}

static void
plain(struct form *f, const uint8_t *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put(f, s[i]);
}

static void
encodings(struct emitter *e, const uint8_t *s, size_t len)
{
	for (size_t before = 0; before < 3; before++) {
		for (enum b64 k = B64_PLAIN; k < B64_KINDS; k++) {
			base64(&e->f, s, len, before, k);
			done(e);
		}
	}
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		percent(&e->f, s, len, i);
		done(e);
	}
	for (size_t i = 0; i < len; i++) {
		put(&e->f, '%');
		put_hex(&e->f, s[i]);
	}
	done(e);
	for (enum json k = JSON_PLAIN; k < JSON_KINDS; k++) {
		json(&e->f, s, len, k);
		done(e);
	}
	for (enum json k = JSON_PLAIN; k <= JSON_HTML; k++) {
		json_in_json(&e->f, s, len, k);
		done(e);
	}
	html(&e->f, s, len, "&quot;", "&#39;");
	done(e);
	html(&e->f, s, len, "&#34;", "&#x27;");
	done(e);
	html(&e->f, s, len, "\"", "'");
	done(e);
	for (size_t i = 0; i < len; i++)
		put_hex(&e->f, s[i]);
	done(e);
}

void
reflect_forms(const uint8_t *s, size_t len, uint8_t *work,
    void (*emit)(const uint8_t *form, size_t len, void *arg), void *arg)
{
	struct emitter e = {.f = {.p = work}, .emit = emit, .arg = arg};

	if (len < REFLECT_MIN)
		return;
	if (len > REFLECT_PREFIX)
		len = REFLECT_PREFIX;
	plain(&e.f, s, len);
	done(&e);
	if (len >= REFLECT_FORMED)
		encodings(&e, s, len);
	explicit_bzero(work, REFLECT_FORM_MAX);
}
