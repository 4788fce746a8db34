/* SPDX-License-Identifier: Apache-2.0 */
/* JSON writer; see jsonw.h. Runs in every process that answers or logs in JSON. */
#include "common/jsonw.h"

#include "common/json.h"
#include "common/utf8.h"

static uint64_t
bit(unsigned int depth)
{
	return (uint64_t)1 << depth;
}

static void
put(struct jsonw *w, const void *p, size_t len)
{
	if (!w->failed && buf_put(w->out, p, len) != 0)
		w->failed = true;
}

/* Writes the comma that is due before a value. Returns false when none may come here. */
static bool
begin_value(struct jsonw *w)
{
	bool in_object = (w->objects & bit(w->depth)) != 0;

	if (w->failed)
		return false;
	if (in_object ? !w->keyed : (w->depth == 0 && w->filled != 0)) {
		w->failed = true;
		return false;
	}
	if (!in_object && (w->filled & bit(w->depth)) != 0)
		put(w, ",", 1);
	w->filled |= bit(w->depth);
	w->keyed = false;
	return !w->failed;
}

void
jsonw_init(struct jsonw *w, struct buf *out)
{
	*w = (struct jsonw){.out = out};
}

int
jsonw_done(const struct jsonw *w)
{
	return w->failed || w->depth != 0 || w->filled == 0 ? -1 : 0;
}

static void
open_container(struct jsonw *w, bool object)
{
	if (!begin_value(w))
		return;
	if (w->depth == JSONW_DEPTH_MAX) {
		w->failed = true;
		return;
	}
	put(w, object ? "{" : "[", 1);
	w->depth++;
	w->filled &= ~bit(w->depth);
	if (object)
		w->objects |= bit(w->depth);
	else
		w->objects &= ~bit(w->depth);
}

static void
close_container(struct jsonw *w, bool object)
{
	if (w->depth == 0 || w->keyed || ((w->objects & bit(w->depth)) != 0) != object) {
		w->failed = true;
		return;
	}
	put(w, object ? "}" : "]", 1);
	w->objects &= ~bit(w->depth);
	w->filled &= ~bit(w->depth);
	w->depth--;
}

void
jsonw_obj_open(struct jsonw *w)
{
	open_container(w, true);
}

void
jsonw_obj_close(struct jsonw *w)
{
	close_container(w, true);
}

void
jsonw_arr_open(struct jsonw *w)
{
	open_container(w, false);
}

void
jsonw_arr_close(struct jsonw *w)
{
	close_container(w, false);
}

int
jsonw_put_char(struct buf *out, uint32_t cp, bool ascii)
{
	static const char hex[] = "0123456789abcdef";
	static const char brief[] = "btn?fr"; /* U+0008 to U+000D; U+000B has none */
	uint8_t tmp[6] = {'\\', 'u', 0, 0, 0, 0};
	uint32_t half;
	int i;

	if (cp == '"' || cp == '\\') {
		tmp[1] = (uint8_t)cp;
		return buf_put(out, tmp, 2);
	}
	if (cp >= 0x08 && cp <= 0x0d && cp != 0x0b) {
		tmp[1] = (uint8_t)brief[cp - 0x08];
		return buf_put(out, tmp, 2);
	}
	if (cp >= 0x20 && (!ascii || cp < 0x7f))
		return buf_put(out, tmp, utf8_encode(cp, tmp));
	if (cp > 0xffff) {
		half = 0xd800 + ((cp - 0x10000) >> 10);
		cp = 0xdc00 + ((cp - 0x10000) & 0x3ff);
		if (jsonw_put_char(out, half, true) != 0)
			return -1;
	}
	for (i = 0; i < 4; i++)
		tmp[2 + i] = (uint8_t)hex[cp >> (12 - 4 * i) & 0xf];
	return buf_put(out, tmp, 6);
}

static void
put_string(struct jsonw *w, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len, *q;
	uint32_t cp;
	size_t n;

	put(w, "\"", 1);
	while (p < end && !w->failed) {
		for (q = p; q < end && *q >= 0x20 && *q < 0x80 && *q != '"' && *q != '\\';
		     q++)
			;
		put(w, p, (size_t)(q - p));
		if ((p = q) == end)
			break;
		if ((n = utf8_decode(p, (size_t)(end - p), &cp)) == 0 || cp == 0) {
			cp = 0xfffd;
			n = 1;
		}
		if (!w->failed && jsonw_put_char(w->out, cp, false) != 0)
			w->failed = true;
		p += n;
	}
	put(w, "\"", 1);
}

void
jsonw_keyn(struct jsonw *w, const void *name, size_t len)
{
	if (w->failed || w->keyed || (w->objects & bit(w->depth)) == 0) {
		w->failed = true;
		return;
	}
	if ((w->filled & bit(w->depth)) != 0)
		put(w, ",", 1);
	w->filled |= bit(w->depth);
	put_string(w, name, len);
	put(w, ":", 1);
	w->keyed = true;
}

void
jsonw_key(struct jsonw *w, const char *name)
{
	jsonw_keyn(w, name, strlen(name));
}

void
jsonw_strn(struct jsonw *w, const void *s, size_t len)
{
	if (begin_value(w))
		put_string(w, len == 0 ? (const void *)"" : s, len);
}

void
jsonw_str(struct jsonw *w, const char *s)
{
	if (s == NULL)
		jsonw_null(w);
	else
		jsonw_strn(w, s, strlen(s));
}

void
jsonw_int(struct jsonw *w, int64_t v)
{
	if (begin_value(w) && buf_printf(w->out, "%lld", (long long)v) != 0)
		w->failed = true;
}

void
jsonw_uint(struct jsonw *w, uint64_t v)
{
	if (begin_value(w) && buf_printf(w->out, "%llu", (unsigned long long)v) != 0)
		w->failed = true;
}

void
jsonw_bool(struct jsonw *w, bool v)
{
	if (begin_value(w))
		put(w, v ? "true" : "false", v ? 4 : 5);
}

void
jsonw_null(struct jsonw *w)
{
	if (begin_value(w))
		put(w, "null", 4);
}

void
jsonw_list(struct jsonw *w, struct span list)
{
	const char *p = list.p, *end = list.p + list.len, *comma;

	jsonw_arr_open(w);
	while (list.len > 0 && p <= end) {
		comma = memchr(p, ',', (size_t)(end - p));
		if (comma == NULL)
			comma = end;
		jsonw_strn(w, p, (size_t)(comma - p));
		p = comma + 1;
	}
	jsonw_arr_close(w);
}

void
jsonw_raw(struct jsonw *w, const void *p, size_t len)
{
	if (len == 0)
		w->failed = true;
	else if (begin_value(w))
		put(w, p, len);
}

void
jsonw_key_str(struct jsonw *w, const char *name, const char *s)
{
	jsonw_key(w, name);
	jsonw_str(w, s);
}

void
jsonw_key_int(struct jsonw *w, const char *name, int64_t v)
{
	jsonw_key(w, name);
	jsonw_int(w, v);
}

void
jsonw_key_bool(struct jsonw *w, const char *name, bool v)
{
	jsonw_key(w, name);
	jsonw_bool(w, v);
}

void
jsonw_key_list(struct jsonw *w, const char *name, const char *list)
{
	jsonw_key(w, name);
	jsonw_list(w, span_str(list));
}
