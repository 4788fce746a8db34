/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers wait here until the rows they rest on are committed. Judge only.
 */
#include "keymasterd/judge/turn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/flight.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/waiting.h"

#define HOOKS_MAX 8

/* Strings of a queued answer lie in `text`, at these offsets, until the turn ends. */
struct queued {
	struct chan *chan; /* NULL: forgotten */
	uint64_t reqid;
	enum msg_type type;
	int seal;
	size_t at;
	union {
		struct msg_decision decision;
		struct msg_admin_done admin;
	} m;
};

static struct queued *queue;
static size_t nqueue, cap;
static struct buf text;
static int touched;
static uint64_t failing_since_ms, last_log_ms;
static const char *why_failed = "";
static struct {
	void (*fn)(void *);
	void *arg;
} hooks[HOOKS_MAX];
static unsigned nhooks;

struct then {
	void (*fn)(int ok, void *arg);
	void *arg;
	STAILQ_ENTRY(then) link;
};
static STAILQ_HEAD(then_list, then) thens = STAILQ_HEAD_INITIALIZER(thens);

static struct queued *
queue_add(struct chan *c, uint64_t reqid, enum msg_type type)
{
	struct queued *more;
	size_t n;

	if (nqueue == cap) {
		n = cap == 0 ? 64 : cap * 2;
		more = reallocarray(queue, n, sizeof(*queue));
		if (more == NULL) {
			chan_drop(c, "out of memory"); /* its waiters are told */
			return NULL;
		}
		queue = more;
		cap = n;
	}
	more = &queue[nqueue++];
	more->chan = c;
	more->reqid = reqid;
	more->type = type;
	more->seal = 0;
	more->at = text.len;
	return more;
}

/* Without memory the string is lost and the answer with it: an error goes out instead. */
static int
keep(struct span s)
{
	return buf_put(&text, s.p, s.len);
}

void
turn_decision(struct chan *c, uint64_t reqid, const struct msg_decision *m, int seal)
{
	struct queued *q = queue_add(c, reqid, MSG_decision);

	if (q == NULL)
		return;
	q->m.decision = *m;
	q->seal = seal;
	if (keep(m->headers) == -1 || keep(m->body) == -1 || keep(m->authority) == -1 ||
	    keep(m->target) == -1) {
		nqueue--;
		chan_drop(c, "out of memory");
	}
}

void
turn_admin_done(
    struct chan *c, uint64_t reqid, uint32_t code, const char *message, struct span json)
{
	struct queued *q = queue_add(c, reqid, MSG_admin_done);
	struct span s = span_str(message);

	if (q == NULL)
		return;
	msg_init(msg_desc_get(MSG_admin_done), &q->m.admin);
	q->m.admin.code = code;
	q->m.admin.message = s;
	q->m.admin.json = json;
	if (keep(s) == -1 || keep(json) == -1) {
		nqueue--;
		chan_drop(c, "out of memory");
	}
}

void
turn_forget(const struct chan *c)
{
	size_t i;

	for (i = 0; i < nqueue; i++)
		if (queue[i].chan == c)
			queue[i].chan = NULL;
}

void
turn_touched(void)
{
	touched = 1;
}

void
turn_on_rollback(void (*fn)(void *), void *arg)
{
	if (nhooks < HOOKS_MAX) {
		hooks[nhooks].fn = fn;
		hooks[nhooks++].arg = arg;
	}
}

static void
place(struct span *s, size_t *at)
{
	s->p = s->len > 0 ? (const char *)text.p + *at : "";
	*at += s->len;
}

static void
send_queued(struct queued *q)
{
	size_t at = q->at;
	int r;

	if (q->type == MSG_decision) {
		place(&q->m.decision.headers, &at);
		place(&q->m.decision.body, &at);
		place(&q->m.decision.authority, &at);
		place(&q->m.decision.target, &at);
		r = chan_answer(q->chan, q->reqid, MSG_decision, &q->m.decision);
	} else {
		place(&q->m.admin.message, &at);
		place(&q->m.admin.json, &at);
		r = chan_answer(q->chan, q->reqid, MSG_admin_done, &q->m.admin);
	}
	if (r == -1)
		chan_drop(q->chan, "an answer could not be queued");
}

static const char why[] = "The ledger cannot be written, so nothing is decided";

/* {"error","hint"}, or SEAL's error body: both by spec/gate.md 7.4 and spec/seal.md 6.4.
 */
static void
unavailable_body(const struct queued *q, struct buf *out)
{
	char id[2 * REQUEST_ID_LEN + 1], now[RFC3339_SIZE];
	struct jsonw w;
	uint64_t us = loop_unix_us();

	(void)hex_encode(q->m.decision.request_id, REQUEST_ID_LEN, id, sizeof(id));
	(void)rfc3339_format((int64_t)(us / 1000000), (uint32_t)(us % 1000000) * 1000, 3,
	    now, sizeof(now));
	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	if (q->seal) {
		jsonw_key_str(&w, "protocol", "seal/v1");
		jsonw_key_str(&w, "status", "error");
		jsonw_key(&w, "error");
		jsonw_obj_open(&w);
		jsonw_key_int(&w, "code", 503);
		jsonw_key_str(&w, "message", why);
		jsonw_key_str(&w, "timestamp", now);
		jsonw_key_str(&w, "request_id", id);
		jsonw_obj_close(&w);
	} else {
		jsonw_key_str(&w, "error", "Ledger cannot be written");
		jsonw_key_str(&w, "hint",
		    "The operator must look at the disk that holds the data directory.");
	}
	jsonw_obj_close(&w);
}

static void
refuse_queued(struct queued *q)
{
	struct buf body;
	MSG_INIT(decision, d);
	MSG_INIT(admin_done, a);

	if (q->type == MSG_admin_done) {
		a.code = ADMIN_FAILED;
		a.message =
		    span_str("The ledger cannot be written, so nothing was changed: "
			     "look at the disk that holds the data directory.");
		(void)chan_answer(q->chan, q->reqid, MSG_admin_done, &a);
		return;
	}
	buf_init(&body);
	unavailable_body(q, &body);
	d.verdict = VERDICT_ANSWER;
	memcpy(d.request_id, q->m.decision.request_id, sizeof(d.request_id));
	d.status = 503;
	d.headers = span_str("Retry-After: 5\r\n");
	d.close = q->m.decision.close;
	d.body = span_mem(body.p, body.len);
	(void)chan_answer(q->chan, q->reqid, MSG_decision, &d);
	buf_free(&body);
}

void
turn_then(void (*fn)(int, void *), void *arg)
{
	struct then *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		fn(0, arg);
		return;
	}
	t->fn = fn;
	t->arg = arg;
	STAILQ_INSERT_TAIL(&thens, t, link);
}

/* Those that are there: what they themselves wait for is another commit's. */
static void
thens_run(int ok)
{
	struct then_list now = STAILQ_HEAD_INITIALIZER(now);
	struct then *t;

	STAILQ_CONCAT(&now, &thens);
	while ((t = STAILQ_FIRST(&now)) != NULL) {
		STAILQ_REMOVE_HEAD(&now, link);
		t->fn(ok, t->arg);
		free(t);
	}
}

static void
failed(void)
{
	uint64_t now = loop_now_ms();
	unsigned i;
	size_t n;

	if (failing_since_ms == 0)
		failing_since_ms = now;
	if (last_log_ms == 0 || now - last_log_ms >= 1000) {
		last_log_ms = now;
		LOG_ERROR("ledger.write", LS("error", why_failed),
		    LU("failing_ms", now - failing_since_ms), LU("refused", nqueue));
	}
	ledger_rolled_back();
	if (touched)
		for (i = 0; i < nhooks; i++)
			hooks[i].fn(hooks[i].arg);
	while (!STAILQ_EMPTY(&thens))
		thens_run(0);
	for (n = 0; n < nqueue; n++) {
		if (queue[n].type == MSG_decision &&
		    queue[n].m.decision.verdict != VERDICT_ANSWER)
			flight_cancel(queue[n].m.decision.request_id);
		if (queue[n].chan != NULL)
			refuse_queued(&queue[n]);
	}
}

/*
 * Rows first, on the disk if the database changes as well: what it then says has its row,
 * after a power cut too. If the database fails after them
 * the rows are taken back, nobody has been told of them; if the process dies in between
 * they stay, and tell of something that was tried.
 */
static int
commit(void)
{
	int state = store_pending(judge_store), wrote = state || ledger_pending();

	if (store_failed(judge_store) || ledger_write() == -1 ||
	    (state && ledger_flush() == -1)) {
		why_failed =
		    store_failed(judge_store) ? store_error(judge_store) : ledger_error();
		store_rollback(judge_store);
		return -1;
	}
	if (state && store_commit(judge_store) == -1) {
		why_failed = store_error(judge_store);
		return -1;
	}
	if (wrote && failing_since_ms != 0) {
		LOG_INFO(
		    "ledger.writable", LU("failed_ms", loop_now_ms() - failing_since_ms));
		failing_since_ms = 0;
	}
	ledger_committed();
	return 0;
}

static void
turn_done(void)
{
	nqueue = 0;
	touched = 0;
	buf_reset(&text);
}

static int
more(void)
{
	return nqueue > 0 || !STAILQ_EMPTY(&thens) || store_pending(judge_store) ||
	    ledger_pending();
}

void
turn_end(void *unused)
{
	int ran;
	size_t n;

	(void)unused;
	/* what waited for a commit may write rows of its own, which are another commit:
	 * if that one fails, what rests on the first holds all the same */
	do {
		if (commit() == -1) {
			failed();
			turn_done();
			break;
		}
		for (n = 0; n < nqueue; n++)
			if (queue[n].chan != NULL)
				send_queued(&queue[n]);
		turn_done();
		ran = !STAILQ_EMPTY(&thens);
		thens_run(1);
	} while (ran && more());
	/* a completion, or a worker that has its new secret */
	if (flight_count() > 0 || waiting_count() > 0)
		loop_soon();
	if (text.cap > 4 * 1024 * 1024)
		buf_free(&text);
}

void
turn_catch_up(void)
{
	if (ledger_pending())
		turn_end(NULL);
}
