/* SPDX-License-Identifier: Apache-2.0 */
/* ledger_stats: sums over the ledger, for `aegis ledger stats`. Judge only. */
#include <stdlib.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger_count.h"
#include "keymasterd/judge/ledger_find.h"

struct question {
	struct chan *chan;
	uint64_t reqid;
	LIST_ENTRY(question) link;
};

static LIST_HEAD(, question) open_questions = LIST_HEAD_INITIALIZER(open_questions);

static void
put_tally(struct jsonw *w, const char *key, const struct tally *t, unsigned n)
{
	unsigned i;

	jsonw_key(w, key);
	jsonw_obj_open(w);
	for (i = 0; i < n; i++) {
		jsonw_key(w, t[i].name);
		jsonw_uint(w, t[i].n);
	}
	jsonw_obj_close(w);
}

static void
counts_json(const struct ledger_counts *c, struct buf *json)
{
	const struct {
		const char *key;
		uint64_t n;
	} counts[] = {{"total", c->allowed + c->blocked}, {"allowed", c->allowed},
	    {"blocked", c->blocked}, {"completions", c->completions}, {"admin", c->admin},
	    {"system", c->system}};
	struct jsonw w;
	size_t i;

	jsonw_init(&w, json);
	jsonw_obj_open(&w);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		jsonw_key(&w, counts[i].key);
		jsonw_uint(&w, counts[i].n);
	}
	put_tally(&w, "by_service", c->services, c->nservices);
	put_tally(&w, "by_code", c->codes, c->ncodes);
	jsonw_obj_close(&w);
}

static void
counted(const struct ledger_counts *c, void *arg)
{
	struct question *q = arg;
	struct buf json;

	buf_init(&json);
	if (c == NULL) {
		admin_done(
		    q->chan, q->reqid, ADMIN_FAILED, "The ledger could not be read.");
	} else {
		counts_json(c, &json);
		admin_result(q->chan, q->reqid, &json);
	}
	buf_free(&json);
	LIST_REMOVE(q, link);
	free(q);
}

int
admin_ledger_stats(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_ledger_stats *m = msg;
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		admin_done(c, reqid, ADMIN_FAILED, "The judge has no memory left.");
		return 0;
	}
	q->chan = c;
	q->reqid = reqid;
	LIST_INSERT_HEAD(&open_questions, q, link);
	if (ledger_count(judge_conf.tenant, m->since, m->agent, counted, q) == 0)
		return 0;
	LIST_REMOVE(q, link);
	free(q);
	return admin_refuse(c, reqid,
	    "--since takes 2026-03-01, a time of RFC 3339, or an age such as 2h.");
}

void
ledger_stats_gone(const struct chan *c)
{
	struct question *q, *next;

	for (q = LIST_FIRST(&open_questions); q != NULL; q = next) {
		next = LIST_NEXT(q, link);
		if (q->chan != c)
			continue;
		ledger_count_forget(q);
		LIST_REMOVE(q, link);
		free(q);
	}
}
