/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of decisions over HTTP, in the shape of the established gate. Judge only. */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "keymasterd/judge/data_api.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger_count.h"
#include "keymasterd/judge/perm.h"

#define ASKERS_MAX 32

struct asker {
	struct data_late late;
	LIST_ENTRY(asker) link;
};

static LIST_HEAD(, asker) askers = LIST_HEAD_INITIALIZER(askers);
static unsigned naskers;

static void
counts_json(const struct ledger_counts *c, struct buf *out)
{
	const struct {
		const char *key;
		uint64_t n;
	} counts[] = {{"total", c->allowed + c->blocked}, {"allowed", c->allowed},
	    {"blocked", c->blocked}, {"system", c->system}};
	struct jsonw w;
	unsigned i;

	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		jsonw_key(&w, counts[i].key);
		jsonw_uint(&w, counts[i].n);
	}
	jsonw_key(&w, "byService");
	jsonw_obj_open(&w);
	for (i = 0; i < c->nservices; i++) {
		jsonw_key(&w, c->services[i].name);
		jsonw_uint(&w, c->services[i].n);
	}
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
}

static void
drop(struct asker *a)
{
	LIST_REMOVE(a, link);
	naskers--;
	free(a);
}

static void
counted(const struct ledger_counts *c, void *arg)
{
	struct asker *a = arg;
	struct buf json;

	buf_init(&json);
	if (c != NULL)
		counts_json(c, &json);
	if (json.len > 0) {
		a->late.d.row.kind = 0; /* looking is no act */
		a->late.d.headers = "Cache-Control: no-store\r\n";
		decide_answer(&a->late.d, 200, json.p, json.len);
	} else {
		api_refuse(&a->late.d, 503, "The ledger could not be read");
	}
	buf_free(&json);
	drop(a);
}

void
data_counts(struct api_call *c)
{
	struct operator_who op;
	struct asker *a;
	char since[64] = "";

	if (api_require(c, PERM_DASHBOARD_VIEW, &op) == -1)
		return;
	(void)api_query_get(c->query, "since", since, sizeof(since));
	a = naskers < ASKERS_MAX ? calloc(1, sizeof(*a)) : NULL;
	if (a == NULL) {
		c->d->headers = "Retry-After: 1\r\n";
		api_refuse(c->d, 503, "Too many ask at once");
		return;
	}
	data_late_begin(&a->late, c);
	LIST_INSERT_HEAD(&askers, a, link);
	naskers++;
	if (ledger_count(c->tenant, span_str(since), span_str(""), counted, a) == -1) {
		drop(a);
		api_refuse(c->d, 400,
		    "since takes 2026-03-01, a time of RFC 3339, or an age such as 2h");
	}
}

void
data_gate_gone(const struct chan *c)
{
	struct asker *a, *next;

	data_feeds_gone(c);
	data_requests_gone(c);
	for (a = LIST_FIRST(&askers); a != NULL; a = next) {
		next = LIST_NEXT(a, link);
		if (a->late.d.chan != c)
			continue;
		ledger_count_forget(a);
		drop(a);
	}
}
