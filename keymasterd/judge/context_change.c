/* SPDX-License-Identifier: Apache-2.0 */
/* Adding, replacing, removing SecurityContexts, and looking at old ones. Judge only. */
#include "keymasterd/judge/context_change.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/turn.h"

__attribute__((format(printf, 3, 4))) static enum context_result
fail(struct context_change *c, enum context_result r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->err, sizeof c->err, fmt, ap);
	va_end(ap);
	return r;
}

static enum context_result
database(struct context_change *c)
{
	return fail(c, CONTEXT_FAILED, "the database: %s", store_error(judge_store));
}

static void
describe(struct context_change *c, uint32_t version, const char *sha256)
{
	c->version = version;
	(void)span_copy(span_str(sha256), c->sha256, sizeof c->sha256);
	snprintf(c->detail, sizeof c->detail, "version %u sha256 %s", version, sha256);
}

static int
take_version(const struct store_context *row, void *arg)
{
	uint32_t *version = arg;

	*version = row->version;
	return 0;
}

/* May this one come into force? */
static enum context_result
may_put(struct context_change *c, const struct context_entry *old, enum context_mode mode)
{
	if (old != NULL && old->origin == CONTEXT_CONFIGURED)
		return fail(c, CONTEXT_CLASH,
		    "\"%s\" is in the configuration: change it there, or choose another "
		    "name",
		    c->name);
	if (old != NULL && mode == CONTEXT_ADD)
		return fail(c, CONTEXT_CLASH,
		    "there is a context \"%s\" already: aegis context update replaces it",
		    c->name);
	if (old == NULL && mode == CONTEXT_UPDATE)
		return fail(c, CONTEXT_UNKNOWN,
		    "there is no context \"%s\": aegis context add makes one", c->name);
	return CONTEXT_CHANGED;
}

enum context_result
context_put(struct context_change *c, struct span json, enum context_mode mode)
{
	struct store_context row = {.version = 0, .json = json};
	struct context_entry *e;
	struct context *rules;
	enum context_result r;

	rules = context_parse(json.p, json.len, c->err, sizeof c->err);
	if (rules == NULL)
		return CONTEXT_INVALID;
	(void)span_copy(span_str(rules->name), c->name, sizeof c->name);
	r = may_put(c, context_find(c->tenant, span_str(c->name)), mode);
	if (r != CONTEXT_CHANGED) {
		context_free(rules);
		return r;
	}
	(void)span_copy(span_str(c->tenant), row.tenant, sizeof row.tenant);
	(void)span_copy(span_str(c->name), row.name, sizeof row.name);
	if (store_context_version_get(
		judge_store, c->tenant, c->name, 0, take_version, &row.version) == -1) {
		context_free(rules);
		return database(c);
	}
	row.version++;
	row.updated_ms = judge_now_ms();
	turn_touched();
	if ((e = context_enter(row.tenant, CONTEXT_MADE, rules, json, row.version,
		 row.updated_ms)) == NULL)
		return fail(c, CONTEXT_FAILED, "out of memory");
	if (store_context_put(judge_store, &row) != 0 ||
	    store_context_version_put(judge_store, &row) != 0)
		return database(c);
	describe(c, e->version, e->sha256);
	return CONTEXT_CHANGED;
}

enum context_result
context_remove(struct context_change *c, struct span name)
{
	struct context_entry *e = context_find(c->tenant, name);

	(void)span_copy(name, c->name, sizeof c->name);
	if (e == NULL)
		return fail(c, CONTEXT_UNKNOWN,
		    "there is no context \"%s\": aegis context list shows them", c->name);
	if (e->origin == CONTEXT_CONFIGURED)
		return fail(c, CONTEXT_CLASH,
		    "\"%s\" is in the configuration: remove it there", e->name);
	if (e->origin == CONTEXT_BUILTIN)
		return fail(c, CONTEXT_CLASH,
		    "\"%s\" is built in: it can be replaced, for example by one without "
		    "capabilities",
		    e->name);
	describe(c, e->version, e->sha256);
	turn_touched();
	if (store_context_delete(judge_store, e->tenant, e->name) != 0)
		return database(c);
	context_remove_entry(e);
	return CONTEXT_CHANGED;
}

struct looking {
	struct context_change *c;
	void (*fn)(struct span, void *);
	void *arg;
	bool gone;
};

static int
show_version(const struct store_context *row, void *arg)
{
	struct looking *l = arg;

	l->c->version = row->version;
	l->gone = row->json.len == 0; /* taken out of the configuration */
	if (!l->gone)
		l->fn(row->json, l->arg);
	return 0;
}

enum context_result
context_version(struct context_change *c, struct span name, uint32_t version,
    void (*fn)(struct span, void *), void *arg)
{
	struct looking l = {.c = c, .fn = fn, .arg = arg};
	const struct context_entry *e = context_find(c->tenant, name);
	const char *owner = c->tenant;
	int r;

	(void)span_copy(name, c->name, sizeof c->name);
	if (version == 0) {
		if (e == NULL)
			return fail(c, CONTEXT_UNKNOWN,
			    "there is no context \"%s\": aegis context list shows them",
			    c->name);
		c->version = e->version;
		fn(span_mem(e->json, e->json_len), arg);
		return CONTEXT_CHANGED;
	}
	if (e != NULL)
		owner = e->tenant;
	r = store_context_version_get(
	    judge_store, owner, c->name, version, show_version, &l);
	if (r == -1)
		return database(c);
	if (r == STORE_MISSING || l.gone)
		return fail(c, CONTEXT_UNKNOWN,
		    "context \"%s\" has no version %u: the ledger's rows of "
		    "context.put say which there were",
		    c->name, version);
	return CONTEXT_CHANGED;
}
