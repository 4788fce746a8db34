/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger_stats: counts over all rows, some thousand rows a turn of the loop, so that
 * decisions go on in between. Judge only.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "common/proto.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/ledger_scan.h"

#define PIECE 5000
#define TALLY_MAX 500 /* different names counted one by one */
#define TALLY_NAME 65

struct tally {
	char name[TALLY_NAME];
	uint64_t n;
};

struct stats {
	struct chan *chan; /* NULL: gone */
	uint64_t reqid;
	struct ledger_filter filter;
	uint64_t at, until;
	uint32_t left;
	uint64_t allowed, blocked, completions, admin, system;
	struct tally *services, *codes;
	unsigned nservices, ncodes;
	struct event *again;
	LIST_ENTRY(stats) link;
};

static LIST_HEAD(, stats) running = LIST_HEAD_INITIALIZER(running);

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
	struct stats *s = arg;
	struct span kind, decision;

	if (s->left-- == 0)
		return 1;
	s->at = row->seq;
	if (!ledger_filter_match(&s->filter, row->text))
		return 0;
	kind = ledger_text_get(row->text, "kind");
	if (span_eq(kind, "decision")) {
		decision = ledger_text_get(row->text, "decision");
		s->allowed += span_eq(decision, "allowed");
		s->blocked += span_eq(decision, "blocked");
		tally_add(
		    s->services, &s->nservices, ledger_text_get(row->text, "service"));
		tally_add(s->codes, &s->ncodes, ledger_text_get(row->text, "code"));
	}
	s->completions += span_eq(kind, "completion");
	s->admin += span_eq(kind, "admin");
	s->system += span_eq(kind, "system");
	return 0;
}

static void
stats_free(struct stats *s)
{
	LIST_REMOVE(s, link);
	if (s->again != NULL)
		event_free(s->again);
	free(s->services);
	free(s->codes);
	free(s);
}

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
stats_answer(struct stats *s)
{
	const struct {
		const char *key;
		uint64_t n;
	} counts[] = {{"total", s->allowed + s->blocked}, {"allowed", s->allowed},
	    {"blocked", s->blocked}, {"completions", s->completions}, {"admin", s->admin},
	    {"system", s->system}};
	struct jsonw w;
	struct buf json;
	size_t i;

	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		jsonw_key(&w, counts[i].key);
		jsonw_uint(&w, counts[i].n);
	}
	put_tally(&w, "by_service", s->services, s->nservices);
	put_tally(&w, "by_code", s->codes, s->ncodes);
	jsonw_obj_close(&w);
	admin_result(s->chan, s->reqid, &json);
	buf_free(&json);
}

static void
stats_piece(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = {0, 1000};
	struct stats *s = arg;

	(void)fd;
	(void)what;
	s->left = PIECE;
	if (s->chan != NULL && ledger_each(s->at, s->until, 0, count_row, s) == -1) {
		admin_done(
		    s->chan, s->reqid, ADMIN_FAILED, "The ledger could not be read.");
		s->chan = NULL;
	}
	if (s->chan != NULL && s->left == UINT32_MAX) { /* stopped at the piece's end */
		if (event_add(s->again, &soon) == 0)
			return;
		admin_done(
		    s->chan, s->reqid, ADMIN_FAILED, "The judge has no memory left.");
	} else if (s->chan != NULL) {
		stats_answer(s);
	}
	stats_free(s);
}

int
admin_ledger_stats(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_ledger_stats *m = msg;
	struct stats *s = calloc(1, sizeof(*s));

	if (s == NULL)
		goto no_memory;
	LIST_INSERT_HEAD(&running, s, link);
	s->services = calloc(TALLY_MAX, sizeof(*s->services));
	s->codes = calloc(TALLY_MAX, sizeof(*s->codes));
	s->again = evtimer_new(loop_base(), stats_piece, s);
	if (s->services == NULL || s->codes == NULL || s->again == NULL) {
		stats_free(s);
		goto no_memory;
	}
	if (ledger_filter_since(&s->filter, m->since) == -1 ||
	    ledger_filter_text(&s->filter, "agent", m->agent) == -1 ||
	    ledger_filter_text(&s->filter, "tenant", span_str(judge_conf.tenant)) == -1) {
		stats_free(s);
		return admin_refuse(c, reqid,
		    "--since takes 2026-03-01, a time of RFC 3339, or an age such as "
		    "2h.");
	}
	s->chan = c;
	s->reqid = reqid;
	s->until = ledger_seq();
	stats_piece(-1, 0, s);
	return 0;
no_memory:
	admin_done(c, reqid, ADMIN_FAILED, "The judge has no memory left.");
	return 0;
}

void
ledger_stats_gone(const struct chan *c)
{
	struct stats *s;

	LIST_FOREACH (s, &running, link)
		if (s->chan == c)
			s->chan = NULL;
}
