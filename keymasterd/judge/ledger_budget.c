/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many rows a second somebody can cause whom nobody has authenticated. Counted for
 * each peer that brings them, so that one that was taken over neither fills the disk nor
 * hides what the others report. Judge only.
 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_int.h"

#define PEERS_MAX 128 /* with a budget of their own at the same time */

struct budget {
	enum ledger_cause cause;
	const char *who; /* NULL: nobody in particular */
	uint32_t instance;
	uint32_t rows; /* in this second */
	uint64_t summed;
};

static const char *const causes[LEDGER_CAUSE_MAX] = {"http", "target", "token",
    "envelope", "attest", "peer", "grant", "tunnel", "tunnel_opened", "sealed"};
static struct budget table[PEERS_MAX + LEDGER_CAUSE_MAX];
static unsigned n;

static struct budget *
find(enum ledger_cause cause, const char *who, uint32_t instance)
{
	struct budget *b;

	for (b = table; b < table + n; b++)
		if (b->cause == cause && b->instance == instance &&
		    (who == NULL) == (b->who == NULL) &&
		    (who == NULL || strcmp(b->who, who) == 0))
			return b;
	if (who != NULL && n >= PEERS_MAX) /* who comes too late shares one */
		return find(cause, NULL, 0);
	*b = (struct budget){.cause = cause, .who = who, .instance = instance};
	n++;
	return b;
}

int
ledger_append_budget(const struct ledger_row *row, enum ledger_cause cause,
    const char *who, uint32_t instance)
{
	struct budget *b = find(cause, who, instance);

	if (b->rows >= LEDGER_BUDGET) {
		b->summed++;
		return 1;
	}
	b->rows++;
	return ledger_append(row, NULL);
}

static int
sum(const struct budget *b)
{
	struct ledger_row row = {.kind = LEDGER_SYSTEM,
	    .event = span_str("refusals.summed"),
	    .code = span_str(causes[b->cause])};
	char detail[128];

	if (b->who != NULL)
		snprintf(detail, sizeof(detail), "%llu more in this second, of %s %u",
		    (unsigned long long)b->summed, b->who, b->instance);
	else
		snprintf(detail, sizeof(detail), "%llu more in this second",
		    (unsigned long long)b->summed);
	row.detail = span_str(detail);
	return ledger_append(&row, NULL);
}

void
ledger_budget_tick(void)
{
	unsigned i, kept = 0;

	for (i = 0; i < n; i++) {
		table[i].rows = 0;
		/* what could not be told is told in the next second */
		if (table[i].summed > 0 && sum(&table[i]) == -1)
			table[kept++] = table[i];
	}
	n = kept;
}
