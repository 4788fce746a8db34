/* SPDX-License-Identifier: Apache-2.0 */
/* Counting rows; see ledger_count.h. Judge only. */
#include "keymasterd/judge/ledger_count.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/ledger_walk.h"

#define TALLY_MAX 500 /* different names counted one by one */

struct counting {
	struct ledger_counts c;
	struct ledger_filter filter;
	int everything; /* no filter but the tenant */
	ledger_counted_fn fn;
	void *arg;
	LIST_ENTRY(counting) link;
};

static LIST_HEAD(, counting) running = LIST_HEAD_INITIALIZER(running);
static struct ledger_counts known; /* over everything up to known.at */

static void
tally_add(struct tally *t, unsigned *n, struct span name)
{
	unsigned i;

	if (name.len == 0 || name.len >= TALLY_NAME)
		return;
	for (i = 0; i < *n; i++)
		if (span_eq(name, t[i].name)) {
			t[i].n++;
			return;
		}
	if (*n == TALLY_MAX)
		return;
	(void)span_copy(name, t[*n].name, sizeof(t[*n].name));
	t[(*n)++].n = 1;
}

static int
count_row(const struct ledger_line *row, void *arg)
{
	struct counting *s = arg;
	struct ledger_counts *c = &s->c;
	struct span kind, decision;

	c->at = row->seq;
	if (!ledger_filter_match(&s->filter, row->text))
		return 0;
	kind = ledger_text_get(row->text, "kind");
	if (span_eq(kind, "decision")) {
		decision = ledger_text_get(row->text, "decision");
		c->allowed += span_eq(decision, "allowed");
		c->blocked += span_eq(decision, "blocked");
		tally_add(
		    c->services, &c->nservices, ledger_text_get(row->text, "service"));
		tally_add(c->codes, &c->ncodes, ledger_text_get(row->text, "code"));
	}
	c->completions += span_eq(kind, "completion");
	c->admin += span_eq(kind, "admin");
	c->system += span_eq(kind, "system");
	return 0;
}

static int
counts_alloc(struct ledger_counts *c)
{
	c->services = calloc(TALLY_MAX, sizeof(*c->services));
	c->codes = calloc(TALLY_MAX, sizeof(*c->codes));
	return c->services != NULL && c->codes != NULL ? 0 : -1;
}

static void
counts_copy(struct ledger_counts *to, const struct ledger_counts *from)
{
	struct tally *services = to->services, *codes = to->codes;

	*to = *from;
	to->services = services;
	to->codes = codes;
	memcpy(services, from->services, from->nservices * sizeof(*services));
	memcpy(codes, from->codes, from->ncodes * sizeof(*codes));
}

static void
counting_free(struct counting *s)
{
	LIST_REMOVE(s, link);
	free(s->c.services);
	free(s->c.codes);
	free(s);
}

static void
end(struct counting *s, const struct ledger_counts *c)
{
	if (c != NULL && s->everything && c->at > known.at &&
	    (known.services != NULL || counts_alloc(&known) == 0))
		counts_copy(&known, c);
	s->fn(c, s->arg);
	counting_free(s);
}

static void
walked(int r, void *arg)
{
	struct counting *s = arg;

	end(s, r == 0 ? &s->c : NULL);
}

int
ledger_count(const char *tenant, struct span since, struct span agent,
    ledger_counted_fn fn, void *arg)
{
	struct counting *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		fn(NULL, arg);
		return 0;
	}
	LIST_INSERT_HEAD(&running, s, link);
	if (ledger_filter_since(&s->filter, since) == -1 ||
	    ledger_filter_text(&s->filter, "agent", agent) == -1 ||
	    ledger_filter_text(&s->filter, "tenant", span_str(tenant)) == -1) {
		counting_free(s);
		return -1;
	}
	s->fn = fn;
	s->arg = arg;
	if (counts_alloc(&s->c) == -1) {
		end(s, NULL);
		return 0;
	}
	s->everything =
	    since.len == 0 && agent.len == 0 && strcmp(tenant, judge_conf.tenant) == 0;
	if (s->everything && known.services != NULL)
		counts_copy(&s->c, &known);
	if (ledger_walk(s->c.at, UINT64_MAX, 0, count_row, walked, s) == -1)
		end(s, NULL);
	return 0;
}

void
ledger_count_forget(const void *arg)
{
	struct counting *s, *next;

	for (s = LIST_FIRST(&running); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		if (s->arg != arg)
			continue;
		ledger_walk_forget(s);
		counting_free(s);
	}
}
