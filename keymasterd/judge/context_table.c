/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts by tenant and name: built in, from the configuration (conf_context) and from
 * the database. Judge only.
 */
#include "keymasterd/judge/context_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/canon.h"
#include "common/hex.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/sha256.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/turn.h"

#define CONTEXT_GONE_MAX 1000 /* as many as a configuration may have */

struct context_entry_list context_entries = TAILQ_HEAD_INITIALIZER(context_entries);
static struct map by_key;
static uint64_t generations;

/* tenant NUL name */
static size_t
key_make(char *key, size_t size, const char *tenant, struct span name)
{
	size_t t = strlen(tenant);

	if (t + 1 + name.len > size)
		return 0;
	memcpy(key, tenant, t + 1);
	if (name.len > 0)
		memcpy(key + t + 1, name.p, name.len);
	return t + 1 + name.len;
}

static struct context_entry *
find_exactly(const char *tenant, struct span name)
{
	char key[STORE_TENANT_MAX + STORE_CONTEXT_MAX];
	size_t n = key_make(key, sizeof key, tenant, name);

	return n == 0 ? NULL : map_get(&by_key, key, n);
}

struct context_entry *
context_find(const char *tenant, struct span name)
{
	struct context_entry *all = find_exactly("", name), *own;

	if (all != NULL && all->origin == CONTEXT_CONFIGURED)
		return all;
	own = find_exactly(tenant, name);
	return own != NULL ? own : all;
}

const char *
context_origin_name(enum context_origin o)
{
	switch (o) {
	case CONTEXT_BUILTIN:
		return "built-in";
	case CONTEXT_CONFIGURED:
		return "configuration";
	case CONTEXT_MADE:
		return "administrator";
	}
	return "";
}

/* It is out of the map already. */
static void
entry_free(struct context_entry *e)
{
	TAILQ_REMOVE(&context_entries, e, link);
	context_free(e->rules);
	free(e->json);
	free(e);
}

void
context_remove_entry(struct context_entry *e)
{
	map_del(&by_key, e->key, e->keylen);
	entry_free(e);
}

/* Two writings of the same context have the same. 0 or -1. */
static int
digest(struct span json, char hex[65])
{
	struct json_doc doc;
	uint8_t hash[32];
	struct buf text;
	int r = -1;

	json_init(&doc);
	buf_init(&text);
	if (json_parse(&doc, json.p, json.len, &context_json_limits) == JSON_OK &&
	    canon_value(&doc, json_root(&doc), &text, CANON_UTF8) == 0) {
		sha256_two(text.p, text.len, NULL, 0, hash);
		(void)hex_encode(hash, sizeof hash, hex, 65);
		r = 0;
	}
	buf_free(&text);
	json_free(&doc);
	return r;
}

struct context_entry *
context_enter(const char *tenant, enum context_origin origin, struct context *rules,
    struct span json, uint32_t version, uint64_t updated_ms)
{
	struct span name = span_str(rules->name);
	struct context_entry *old = find_exactly(tenant, name), *e = calloc(1, sizeof *e);

	if (e == NULL || (e->json = malloc(json.len + 1)) == NULL)
		goto fail;
	if (span_copy(span_str(tenant), e->tenant, sizeof e->tenant) != 0 ||
	    span_copy(name, e->name, sizeof e->name) != 0 ||
	    span_copy(json, e->json, json.len + 1) != 0 || digest(json, e->sha256) != 0)
		goto fail;
	e->json_len = json.len;
	e->keylen = key_make(e->key, sizeof e->key, tenant, name);
	if (map_put(&by_key, e->key, e->keylen, e) != 0) /* in the old one's place */
		goto fail;
	e->origin = origin;
	e->rules = rules;
	e->version = version;
	e->updated_ms = updated_ms;
	e->generation = ++generations;
	TAILQ_INSERT_TAIL(&context_entries, e, link);
	if (old != NULL)
		entry_free(old);
	return e;
fail:
	if (e != NULL)
		free(e->json);
	free(e);
	context_free(rules);
	return NULL;
}

int
seal_conf_context(void *msg)
{
	struct msg_conf_context *m = msg;
	struct context *rules;
	char err[256];

	rules = context_parse(m->json.p, m->json.len, err, sizeof err);
	if (rules == NULL) {
		LOG_ERROR("context.configuration", LSN("name", m->name.p, m->name.len),
		    LS("error", err));
		return -1;
	}
	if (!span_eq(m->name, rules->name)) {
		LOG_ERROR("context.configuration", LSN("name", m->name.p, m->name.len),
		    LS("error", "another name inside"));
		context_free(rules);
		return -1;
	}
	return context_enter("", CONTEXT_CONFIGURED, rules, m->json, 1, 0) == NULL ? -1
										   : 0;
}

static int
enter_stored(const struct store_context *row, void *arg)
{
	struct context *rules;
	char err[256];

	(void)arg;
	rules = context_parse(row->json.p, row->json.len, err, sizeof err);
	if (rules == NULL || strcmp(rules->name, row->name) != 0) {
		/* made by a version with other rules: nobody gets it until it is mended
		 */
		LOG_ERROR("context.stored", LS("name", row->name),
		    LS("error", rules == NULL ? err : "another name inside"));
		context_free(rules);
		return 0;
	}
	if (context_find(row->tenant, span_str(row->name)) != NULL &&
	    context_find(row->tenant, span_str(row->name))->origin == CONTEXT_CONFIGURED)
		LOG_WARN("context.hidden", LS("name", row->name),
		    LS("by", "the one in the configuration"));
	return context_enter(row->tenant, CONTEXT_MADE, rules, row->json, row->version,
		   row->updated_ms) == NULL;
}

/* A turn was rolled back: what administrators made comes from the database again. */
static void
load_again(void *arg)
{
	struct context_entry *e, *next;

	(void)arg;
	for (e = TAILQ_FIRST(&context_entries); e != NULL; e = next) {
		next = TAILQ_NEXT(e, link);
		if (e->origin == CONTEXT_MADE)
			context_remove_entry(e);
	}
	if (store_context_each(judge_store, enter_stored, NULL) != 0)
		LOG_ERROR("context.load", LS("error", store_error(judge_store)));
}

/* ---- the configuration's, compared with what it was at the last start ---- */

/* Names that the configuration had at the last start and has no more. */
static struct {
	char names[CONTEXT_GONE_MAX][STORE_CONTEXT_MAX];
	uint32_t versions[CONTEXT_GONE_MAX];
	size_t n;
} * gone;

/* The newest version of one name: still the same, changed, or gone? */
static int
compare(const struct store_context *row, void *arg)
{
	struct context_entry *e = find_exactly("", span_str(row->name));
	char sha256[65] = "";

	(void)arg;
	if (e != NULL && e->origin == CONTEXT_CONFIGURED) {
		e->recorded = row->json.len != 0 && digest(row->json, sha256) == 0 &&
		    strcmp(sha256, e->sha256) == 0;
		e->version = e->recorded ? row->version : row->version + 1;
	} else if (row->json.len != 0 && gone->n < CONTEXT_GONE_MAX) {
		(void)span_copy(
		    span_str(row->name), gone->names[gone->n], sizeof gone->names[0]);
		gone->versions[gone->n++] = row->version + 1;
	}
	return 0;
}

/* Those of the program whose name nobody else of all tenants' has. 0 or -1. */
static int
enter_builtin(void)
{
	struct context *rules;
	const char *json;
	char err[256];

	for (size_t i = 0; (json = context_builtin(i)) != NULL; i++) {
		rules = context_parse(json, strlen(json), err, sizeof err);
		if (rules == NULL)
			return -1;
		if (find_exactly("", span_str(rules->name)) != NULL)
			context_free(rules); /* the configuration has its own */
		else if (context_enter(
			     "", CONTEXT_BUILTIN, rules, span_str(json), 0, 0) == NULL)
			return -1;
	}
	return 0;
}

static int
compare_all(void)
{
	if (gone == NULL && (gone = calloc(1, sizeof *gone)) == NULL)
		return -1;
	gone->n = 0;
	return store_context_version_each(judge_store, "", compare, NULL);
}

int
context_table_load(void)
{
	if (enter_builtin() != 0 || compare_all() != 0)
		return -1;
	turn_on_rollback(load_again, NULL);
	return store_context_each(judge_store, enter_stored, NULL);
}

/* ---- a configuration that was read again ---- */

static struct staged {
	struct staged *next;
	struct context *rules;
	struct span json;
	char sha256[65];
	bool kept; /* the same as before: what there is stays */
} * staged;

void
context_unstage(void)
{
	struct staged *s;

	while ((s = staged) != NULL) {
		staged = s->next;
		context_free(s->rules);
		free((void *)(uintptr_t)s->json.p);
		free(s);
	}
}

const char *
context_stage(const struct msg_conf_context *m)
{
	static char err[256];
	struct staged *s = calloc(1, sizeof *s);
	char *json = malloc(m->json.len + 1);

	if (s == NULL || json == NULL || span_copy(m->json, json, m->json.len + 1) != 0) {
		free(json);
		free(s);
		return "out of memory";
	}
	s->json = span_mem(json, m->json.len);
	s->next = staged;
	staged = s;
	s->rules = context_parse(json, m->json.len, err, sizeof err);
	if (s->rules == NULL)
		return err;
	if (!span_eq(m->name, s->rules->name) || digest(s->json, s->sha256) != 0)
		return "another name inside";
	return NULL;
}

static struct staged *
staged_find(const struct context_entry *e)
{
	struct staged *s;

	for (s = staged; s != NULL; s = s->next)
		if (s->rules != NULL && strcmp(s->rules->name, e->name) == 0)
			break;
	return s;
}

int
context_apply(void)
{
	struct context_entry *e, *next;
	struct staged *s;
	struct context *rules;

	for (e = TAILQ_FIRST(&context_entries); e != NULL; e = next) {
		next = TAILQ_NEXT(e, link);
		if (e->origin != CONTEXT_CONFIGURED)
			continue;
		s = staged_find(e);
		if (s == NULL)
			context_remove_entry(e);
		else if (strcmp(s->sha256, e->sha256) == 0)
			s->kept = true;
	}
	for (s = staged; s != NULL; s = s->next) {
		if (s->kept)
			continue;
		rules = s->rules;
		s->rules = NULL;
		if (context_enter("", CONTEXT_CONFIGURED, rules, s->json, 1, 0) == NULL)
			return -1;
	}
	context_unstage();
	return enter_builtin() != 0 || compare_all() != 0 ? -1 : context_table_record();
}

static int
record(const char *name, uint32_t version, struct span json, const char *event,
    const char *sha256)
{
	struct store_context row = {
	    .version = version, .json = json, .updated_ms = judge_now_ms()};
	char detail[96];
	struct ledger_row line = {
	    .kind = LEDGER_SYSTEM, .event = span_str(event), .context = span_str(name)};

	(void)span_copy(span_str(name), row.name, sizeof row.name);
	snprintf(detail, sizeof detail, "version %u%s%s", version,
	    sha256[0] == '\0' ? "" : " sha256 ", sha256);
	line.detail = span_str(detail);
	(void)ledger_append(&line, NULL);
	return store_context_version_put(judge_store, &row);
}

int
context_table_record(void)
{
	struct context_entry *e;
	int r = 0;

	TAILQ_FOREACH (e, &context_entries, link)
		if (r == 0 && e->origin == CONTEXT_CONFIGURED && !e->recorded) {
			e->recorded = true;
			r = record(e->name, e->version, span_mem(e->json, e->json_len),
			    "context.configured", e->sha256);
		}
	for (size_t i = 0; r == 0 && i < gone->n; i++)
		r = record(gone->names[i], gone->versions[i], span_str(""),
		    "context.unconfigured", "");
	free(gone);
	gone = NULL;
	return r;
}
