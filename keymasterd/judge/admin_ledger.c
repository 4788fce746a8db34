/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the ledger. A question reads a bounded stretch of rows, so that deciding never
 * waits long for a reader; sums over everything are made piece by piece. Judge only.
 *
 * Rows are looked at as text: a member is found as ,"name":"value" since a quote inside a
 * value is always escaped, so no value can look like a member.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/ledger_index.h"
#include "keymasterd/judge/ledger_scan.h"
#include "keymasterd/judge/sealed.h"

#define SCAN_ROWS LEDGER_TILE_ROWS /* as of a walk in one turn */

struct reading {
	struct chan *chan;
	uint64_t reqid;
	struct ledger_filter filter;
	uint32_t left; /* rows that may still be sent */
	uint32_t scan; /* rows that may still be looked at */
	uint64_t next; /* last row looked at */
	int more;
	struct buf json;
};

static int
read_row(const struct ledger_line *row, void *arg)
{
	struct reading *r = arg;
	int bad;

	if (r->left == 0 || r->scan == 0) {
		r->more = 1;
		return 1;
	}
	r->scan--;
	if (ledger_filter_match(&r->filter, row->text)) {
		buf_reset(&r->json);
		bad = buf_puts(&r->json, "{\"row\":") == -1 ||
		    buf_put(&r->json, row->text.p, row->text.len) == -1 ||
		    buf_puts(&r->json, ",\"hash\":\"") == -1 ||
		    buf_put(&r->json, row->hash.p, row->hash.len) == -1 ||
		    buf_puts(&r->json, "\"}") == -1;
		if (bad || admin_row(r->chan, r->reqid, &r->json) == -1) {
			r->more = 1; /* the door's queue is full: go on from here */
			return 1;
		}
		r->left--;
	}
	r->next = row->seq;
	return 0;
}

static int
read_line(const struct ledger_line *line, void *arg)
{
	struct reading *r = arg;
	int row = line->text.p != NULL;

	buf_reset(&r->json);
	if ((row && r->left-- == 0) ||
	    buf_put(&r->json, line->line.p, line->line.len) == -1 ||
	    admin_row(r->chan, r->reqid, &r->json) == -1) {
		r->more = 1;
		return 1;
	}
	if (row)
		r->next = line->seq;
	return 0;
}

static void
read_end(struct reading *r, uint64_t after)
{
	char prev[65];
	uint8_t hash[32];
	struct ledger_line line;
	struct buf octets;
	struct jsonw w;

	/* the hash that the first row continues from: of row `after`, or of the chain
	 * itself */
	buf_init(&octets);
	if (ledger_row_get(after, &line, &octets) == -1 ||
	    ledger_line_hash(&line, hash) == -1)
		ledger_hash_zero(hash);
	buf_free(&octets);
	(void)hex_encode(hash, 32, prev, sizeof(prev));
	buf_reset(&r->json);
	jsonw_init(&w, &r->json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "chain", ledger_chain());
	jsonw_key_str(&w, "prev", prev);
	jsonw_key(&w, "next");
	jsonw_uint(&w, r->next);
	jsonw_key(&w, "last");
	jsonw_uint(&w, ledger_seq());
	jsonw_key_bool(&w, "more", r->more);
	jsonw_obj_close(&w);
	admin_result(r->chan, r->reqid, &r->json);
}

int
admin_ledger_read(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_ledger_read *m = msg;
	struct reading r = {
	    .chan = c, .reqid = reqid, .left = m->limit, .scan = SCAN_ROWS};
	uint64_t until = UINT64_MAX, after = m->after;
	int bad;

	if (m->limit == 0 || m->limit > 1000)
		return admin_refuse(c, reqid, "The limit is 1 to 1000 rows a question.");
	if (ledger_filter_make(&r.filter, m) == -1 ||
	    ledger_filter_text(&r.filter, "tenant", span_str(judge_conf.tenant)) == -1)
		return admin_refuse(c, reqid,
		    "A filter is not understood: --since takes 2026-03-01, a time of RFC "
		    "3339 or an age "
		    "such as 2h; kinds are allowed, blocked, decision, completion, admin "
		    "and system.");
	if (m->newest_first) {
		until = after > 0 ? after - 1 : UINT64_MAX;
		after = 0;
	}
	if (m->lines && r.left > SCAN_ROWS)
		r.left = SCAN_ROWS;
	r.next = m->after;
	buf_init(&r.json);
	/* what this turn appended is not committed yet */
	if (until > ledger_seq())
		until = ledger_seq();
	bad = m->lines ? ledger_each_line(after, read_line, &r)
		       : ledger_each(after, until, m->newest_first, read_row, &r);
	if (bad == -1)
		admin_done(c, reqid, ADMIN_FAILED, "The ledger could not be read.");
	else
		read_end(&r, m->newest_first ? 0 : after);
	buf_free(&r.json);
	return 0;
}

/* ---- seal ---- */

struct sealing {
	struct chan *chan;
	uint64_t reqid;
	TAILQ_ENTRY(sealing) link;
};

static TAILQ_HEAD(, sealing) sealings = TAILQ_HEAD_INITIALIZER(sealings);

static void
on_sealed(int status, const char *message, void *arg)
{
	struct sealing *s = arg;
	const struct ledger_checkpoint *c = ledger_checkpoint_newest();
	struct jsonw w;
	struct buf json;

	TAILQ_REMOVE(&sealings, s, link);
	if (s->chan != NULL && status != 0) {
		(void)admin_refuse(
		    s->chan, s->reqid, "The ledger's head was not signed: %s.", message);
	} else if (s->chan != NULL) {
		buf_init(&json);
		jsonw_init(&w, &json);
		ledger_checkpoint_json(&w, c);
		jsonw_obj_close(&w);
		admin_result(s->chan, s->reqid, &json);
		buf_free(&json);
	}
	free(s);
}

int
admin_ledger_seal(struct chan *c, uint64_t reqid, void *msg)
{
	struct sealing *s = calloc(1, sizeof(*s));

	(void)msg;
	if (s == NULL) {
		admin_done(c, reqid, ADMIN_FAILED, "The judge has no memory left.");
		return 0;
	}
	s->chan = c;
	s->reqid = reqid;
	TAILQ_INSERT_TAIL(&sealings, s, link);
	if (vault_sealed) { /* nobody can sign now: what was signed last has to do */
		on_sealed(0, "", s);
		return 0;
	}
	admin_ledger(c, &(struct admin_act){.event = "ledger.seal"});
	ledger_checkpoint(on_sealed, s);
	return 0;
}

void
ledger_act_gone(const struct chan *c)
{
	struct sealing *s;

	TAILQ_FOREACH (s, &sealings, link)
		if (s->chan == c)
			s->chan = NULL;
	ledger_stats_gone(c);
}
