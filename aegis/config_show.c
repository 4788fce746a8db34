/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration in force, and where each value comes from.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aegis/config.h"
#include "aegis/keys.h"
#include "common/buf.h"
#include "common/jsonw.h"

static const char *const origins[] = {"default", "file", ".env", "environment", "flag"};

/* Time in the largest unit that leaves nothing over. */
static void
put_ms(struct buf *out, uint64_t ms)
{
	if (ms != 0 && ms % 60000 == 0)
		(void)buf_printf(out, "%" PRIu64 "m", ms / 60000);
	else if (ms % 1000 == 0)
		(void)buf_printf(out, "%" PRIu64 "s", ms / 1000);
	else
		(void)buf_printf(out, "%" PRIu64 "ms", ms);
}

static void
put_choice(struct buf *out, const char *choices, int i)
{
	for (; i > 0; i--)
		choices += strcspn(choices, "|") + 1;
	(void)buf_put(out, choices, strcspn(choices, "|"));
}

/* Appends the value as text; nothing when there is none. */
static void
put_value(const struct config_key *k, const struct config *c, struct buf *out)
{
	const void *m = (const uint8_t *)c + k->offset;
	char *const *list;

	switch (k->type) {
	case KEY_TEXT:
	case KEY_WORD:
	case KEY_PATH:
		if (*(char *const *)m != NULL)
			(void)buf_puts(out, *(char *const *)m);
		break;
	case KEY_TEXTS:
		for (list = *(char **const *)m; list != NULL && *list != NULL; list++)
			(void)buf_printf(out, "%s%s", out->len > 0 ? ", " : "", *list);
		break;
	case KEY_BOOL:
		(void)buf_puts(out, *(const bool *)m ? "true" : "false");
		break;
	case KEY_UINT:
		(void)buf_printf(out, "%u", *(const unsigned *)m);
		break;
	case KEY_SIZE:
		(void)buf_printf(out, "%" PRIu64, *(const uint64_t *)m);
		break;
	case KEY_MS:
	case KEY_SEC_MS:
		put_ms(out, *(const unsigned *)m);
		break;
	case KEY_SECONDS:
		(void)buf_printf(out, "%us", *(const unsigned *)m);
		break;
	case KEY_CHOICE:
		put_choice(out, k->choices, *(const int *)m);
		break;
	case KEY_EITHER:
		put_choice(out, k->choices, *(const bool *)m);
		break;
	case KEY_SECRET:
		if (*(struct secret *const *)m != NULL)
			(void)buf_puts(out, "********");
		break;
	case KEY_TREE:
		(void)buf_printf(out, "%zu",
		    strcmp(k->path, "contexts") == 0           ? c->ncontexts
			: strcmp(k->path, "webhooks") == 0     ? c->nhooks
			: strcmp(k->path, "seal.issuers") == 0 ? c->nissuers
							       : c->ntools);
		break;
	case KEY_LATER:
		break;
	}
}

static const char *
source_of(const struct config_key *k, const struct config *c, bool set)
{
	if (k->type == KEY_SECRET && set)
		return c->master_key_source;
	return origins[c->origins[k - config_keys]];
}

static void
write_json(const struct config *c, struct jsonw *w)
{
	const struct config_key *k;
	struct buf value;

	jsonw_obj_open(w);
	jsonw_key_str(w, "file", c->file);
	jsonw_key_str(w, "base_dir", c->base_dir);
	jsonw_key(w, "keys");
	jsonw_obj_open(w);
	for (k = config_keys; k->path != NULL; k++) {
		if (k->type == KEY_LATER)
			continue;
		buf_init(&value);
		put_value(k, c, &value);
		jsonw_key(w, k->path);
		jsonw_obj_open(w);
		jsonw_key(w, "value");
		if (value.len == 0)
			jsonw_null(w);
		else if (k->type == KEY_BOOL || k->type == KEY_UINT ||
		    k->type == KEY_SIZE || k->type == KEY_TREE)
			jsonw_raw(w, value.p, value.len);
		else
			jsonw_strn(w, value.p, value.len);
		jsonw_key_str(w, "from", source_of(k, c, value.len > 0));
		jsonw_obj_close(w);
		buf_free(&value);
	}
	jsonw_obj_close(w);
	jsonw_obj_close(w);
}

int
config_show(const struct config *c, FILE *f, bool json)
{
	const struct config_key *k;
	struct buf out;
	struct jsonw w;
	int r = 0;

	buf_init(&out);
	if (json) {
		jsonw_init(&w, &out);
		write_json(c, &w);
		r = jsonw_done(&w);
		if (r == 0)
			fprintf(f, "%.*s\n", (int)out.len, (char *)out.p);
		buf_free(&out);
		return r;
	}
	fprintf(f, "%-32s %-36s %s\n", "file", c->file != NULL ? c->file : "none", "");
	for (k = config_keys; k->path != NULL; k++) {
		if (k->type == KEY_LATER)
			continue;
		buf_reset(&out);
		put_value(k, c, &out);
		fprintf(f, "%-32s %-36.*s %s\n", k->path, out.len > 0 ? (int)out.len : 1,
		    out.len > 0 ? (char *)out.p : "-", source_of(k, c, out.len > 0));
	}
	buf_free(&out);
	return ferror(f) ? -1 : r;
}
