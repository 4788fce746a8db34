/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments for the ledger (section 10 of the protocol notes: sanitised). Judge only, on
 * what agents wrote. When in doubt a value goes: the signature in the row is over the
 * whole call in any case.
 */
#include "keymasterd/judge/seal_arguments.h"

#include <ctype.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"

#define DEPTH_MAX 6
#define TEXT_MAX 256
#define STARS "***"

/* Lower case without - and _, so that API-Key and apiKey are one. */
static bool
name_is_secret(const char *name, size_t len)
{
	static const char *const words[] = {"passw", "passphrase", "secret", "token",
	    "apikey", "accesskey", "privatekey", "credential", "authorization", "cookie",
	    "bearer"};
	char plain[128];
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < sizeof plain; i++)
		if (isalnum((unsigned char)name[i]))
			plain[n++] = (char)tolower((unsigned char)name[i]);
	plain[n] = '\0';
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strstr(plain, words[i]) != NULL)
			return true;
	return strcmp(plain, "pin") == 0 || strcmp(plain, "pwd") == 0 ||
	    strcmp(plain, "auth") == 0;
}

/* Begins like a credential does: a scheme of Authorization, a JWT, a key with a prefix.
 */
static bool
text_is_secret(const char *p, size_t len)
{
	static const char *const starts[] = {"bearer ", "basic ", "eyj", "sk-", "sk_",
	    "pk_", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xox", "akia",
	    "aegis_", "-----begin"};

	for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
		size_t n = strlen(starts[i]);

		if (len >= n + 4 && strncasecmp(p, starts[i], n) == 0)
			return true;
	}
	return false;
}

static void
put_text(struct jsonw *w, const struct json_doc *d, uint32_t node)
{
	struct buf text;
	size_t n;

	buf_init(&text);
	if (json_str_put(d, node, &text) != 0 ||
	    text_is_secret((const char *)text.p, text.len)) {
		jsonw_str(w, STARS);
	} else if (text.len <= TEXT_MAX) {
		jsonw_strn(w, text.p, text.len);
	} else {
		for (n = TEXT_MAX; n > 0 && (text.p[n] & 0xc0) == 0x80;)
			n--; /* not in the middle of a character */
		text.len = n;
		if (buf_puts(&text, "...") == 0)
			jsonw_strn(w, text.p, text.len);
	}
	buf_free(&text);
}

static void
put(struct jsonw *w, const struct json_doc *d, uint32_t node, unsigned depth)
{
	enum json_type type = json_type(d, node);
	struct json_iter it;
	struct buf name;
	const uint8_t *p;
	size_t len;

	if (type == JT_STRING) {
		put_text(w, d, node);
	} else if (type != JT_OBJECT && type != JT_ARRAY) {
		if (json_raw(d, node, &p, &len) == 0 && len <= TEXT_MAX)
			jsonw_raw(w, p, len);
		else
			jsonw_null(w);
	} else if (depth == DEPTH_MAX) {
		jsonw_str(w, "...");
	} else if (type == JT_ARRAY) {
		jsonw_arr_open(w);
		json_iter_init(&it, d, node);
		while (json_iter_next(&it, d))
			put(w, d, it.value, depth + 1);
		jsonw_arr_close(w);
	} else {
		buf_init(&name);
		jsonw_obj_open(w);
		json_iter_init(&it, d, node);
		while (json_iter_next(&it, d)) {
			buf_reset(&name);
			if (json_str_put(d, it.name, &name) != 0)
				break;
			jsonw_keyn(w, name.p, name.len);
			if (name_is_secret((const char *)name.p, name.len))
				jsonw_str(w, STARS);
			else
				put(w, d, it.value, depth + 1);
		}
		jsonw_obj_close(w);
		buf_free(&name);
	}
}

int
seal_arguments(const struct json_doc *d, uint32_t node, struct buf *out)
{
	const uint8_t *p;
	struct jsonw w;
	size_t len = 0;

	jsonw_init(&w, out);
	if (node == JSON_NONE) {
		jsonw_raw(&w, "{}", 2);
	} else if (json_raw(d, node, &p, &len) == 0 && len <= 16384) {
		put(&w, d, node, 0);
	}
	if (jsonw_done(&w) == 0 && out->len > 0 && out->len <= SEAL_ARGUMENTS_MAX)
		return 0;
	buf_reset(out);
	return buf_printf(out, "{\"...\":\"%zu octets\"}", len) < 0 ? -1 : 0;
}
