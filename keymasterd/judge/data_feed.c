/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as they are committed, for whoever has a feed open. Without one nothing is done.
 * A feed ends with its reader, after an hour, and as soon as its token counts no more.
 * Judge only.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/jsonw.h"
#include "common/loop.h"
#include "common/proto.h"
#include "keymasterd/judge/data_api.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/perm.h"
#include "keymasterd/judge/turn.h"

#define FEEDS_MAX 64
#define FEEDS_PER_USER 8
#define FEED_LIFE_MS 3600000 /* then the reader shows its token again */

enum feed_state {
	FEED_OPENING, /* the decision leaves when it is committed, and before any row */
	FEED_OPEN,
	FEED_OVER /* its process has not been told yet: it reads too slowly */
};

struct feed {
	struct chan *chan; /* NULL: its reader has left before it was open */
	uint8_t id[REQUEST_ID_LEN];
	struct operator_who who;
	uint64_t until_ms;
	enum feed_state state;
	LIST_ENTRY(feed) link;
};

static LIST_HEAD(, feed) feeds = LIST_HEAD_INITIALIZER(feeds);
static unsigned nfeeds;

static void
drop(struct feed *f)
{
	LIST_REMOVE(f, link);
	nfeeds--;
	free(f);
	if (nfeeds == 0)
		ledger_watch(NULL);
}

static uint64_t
number(struct span text, const char *mark)
{
	const char *p = memmem(text.p, text.len, mark, strlen(mark));

	return p != NULL ? strtoull(p + strlen(mark), NULL, 10) : 0;
}

void
data_feeds_tick(void)
{
	uint64_t now = loop_now_ms();
	struct feed *f, *next;
	MSG_INIT(feed_end, m);

	for (f = LIST_FIRST(&feeds); f != NULL; f = next) {
		next = LIST_NEXT(f, link);
		m.expired = now >= f->until_ms ||
		    (f->who.until_s > 0 && judge_now_ms() / 1000 >= f->who.until_s);
		if (f->state == FEED_OPENING ||
		    (f->state == FEED_OPEN && !m.expired && api_counts(&f->who)))
			continue;
		f->state = FEED_OVER;
		memcpy(m.stream, f->id, sizeof(m.stream));
		if (chan_note(f->chan, MSG_feed_end, &m) == 0)
			drop(f);
	}
}

static void
on_row(uint64_t seq, struct span text)
{
	struct span tenant = ledger_text_get(text, "tenant");
	struct feed *f, *next;
	struct jsonw w;
	struct buf json;
	MSG_INIT(feed_row, m);

	/* the act that ends a feed is not seen through it any more */
	if (span_eq(ledger_text_get(text, "kind"), "admin"))
		data_feeds_tick();
	buf_init(&json);
	for (f = LIST_FIRST(&feeds); f != NULL; f = next) {
		next = LIST_NEXT(f, link);
		if (f->state != FEED_OPEN || !span_eq(tenant, f->who.tenant))
			continue;
		buf_reset(&json);
		jsonw_init(&w, &json);
		data_row(&w, f->who.tenant, seq, text,
		    (unsigned)number(text, ",\"status\":"),
		    number(text, ",\"duration_us\":"));
		memcpy(m.stream, f->id, sizeof(m.stream));
		m.json = span_mem(json.p, json.len);
		/* a row that finds no room is missed, which its number shows */
		if (jsonw_done(&w) == 0)
			(void)chan_note(f->chan, MSG_feed_row, &m);
	}
	buf_free(&json);
}

static unsigned
feeds_of(const struct operator_who *who)
{
	const struct feed *f;
	unsigned n = 0;

	LIST_FOREACH (f, &feeds, link)
		n += strcmp(f->who.name, who->name) == 0 &&
		    strcmp(f->who.tenant, who->tenant) == 0;
	return n;
}

static void
opened(int ok, void *arg)
{
	struct feed *f = arg;

	if (!ok || f->chan == NULL) {
		drop(f);
		return;
	}
	f->state = FEED_OPEN;
	ledger_watch(on_row);
}

void
data_feed(struct api_call *c)
{
	struct operator_who op;
	struct feed *f;
	MSG_INIT(decision, m);

	if (api_require(c, PERM_LEDGER_READ, &op) == -1)
		return;
	if (feeds_of(&op) >= FEEDS_PER_USER) {
		c->d->headers = "Retry-After: 10\r\n";
		api_refuse(c->d, 429,
		    "This user has as many feeds open as one may have; close one");
		return;
	}
	f = nfeeds < FEEDS_MAX ? calloc(1, sizeof(*f)) : NULL;
	if (f == NULL || chan_peer_role(c->d->chan) != ROLE_API) {
		free(f);
		c->d->headers = "Retry-After: 10\r\n";
		api_refuse(c->d, 503, "There are too many feeds");
		return;
	}
	f->chan = c->d->chan;
	memcpy(f->id, c->d->request_id, sizeof(f->id));
	f->who = op;
	f->until_ms = loop_now_ms() + FEED_LIFE_MS;
	LIST_INSERT_HEAD(&feeds, f, link);
	nfeeds++;
	m.verdict = VERDICT_STREAM;
	memcpy(m.request_id, c->d->request_id, sizeof(m.request_id));
	turn_decision(c->d->chan, c->d->reqid, &m, 0);
	turn_then(opened, f);
}

/* One that is not open yet waits for opened(). */
static void
leave(struct feed *f)
{
	if (f->state == FEED_OPENING)
		f->chan = NULL;
	else
		drop(f);
}

int
data_feed_gone(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_feed_gone *m = msg;
	struct feed *f;

	(void)reqid;
	LIST_FOREACH (f, &feeds, link)
		if (f->chan == c && memcmp(f->id, m->stream, sizeof(f->id)) == 0) {
			leave(f);
			break;
		}
	return 0;
}

void
data_feeds_gone(const struct chan *c)
{
	struct feed *f, *next;

	for (f = LIST_FIRST(&feeds); f != NULL; f = next) {
		next = LIST_NEXT(f, link);
		if (f->chan == c)
			leave(f);
	}
}
