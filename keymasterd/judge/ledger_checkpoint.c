/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: vault signs the ledger's head, every so many rows or seconds and when
 * somebody asks. One question at a time; it names committed rows only. Judge only.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/hex.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_index.h"
#include "keymasterd/judge/ledger_int.h"
#include "keymasterd/judge/ledger_line.h"
#include "keymasterd/judge/ledger_sync.h"
#include "keymasterd/judge/sealed.h"

#define ASK_MS 5000
#define RETRY_MS 5000

struct wish {
	uint64_t seq; /* the head must reach this row */
	void (*fn)(int, const char *, void *);
	void *arg;
	STAILQ_ENTRY(wish) link;
};

static STAILQ_HEAD(, wish) wishes = STAILQ_HEAD_INITIALIZER(wishes);
static struct ledger_checkpoint newest; /* the last one in the ledger */
static uint64_t signed_at_ms;           /* loop_now_ms() */
static uint64_t retry_at_ms;            /* after a failure: not before */
/* The one under way: asked for, signed and waiting for its rows to be on the disk, among
 * the lines of this turn. */
static enum { NONE, ASKED, SIGNED, WRITTEN } state;
static struct ledger_checkpoint question;
static struct event *woken;

void
ledger_checkpoint_seen(const struct ledger_checkpoint *c)
{
	newest = *c;
	state = NONE;
	signed_at_ms = loop_now_ms();
}

/* The disk has what somebody waits for: a turn begins, whose end sees to it. */
static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	(void)what;
	(void)arg;
	(void)!read(fd, &n, sizeof(n));
}

/* Without the event the next tick of the loop does. */
static void
hurry(void)
{
	int fd = ledger_sync_wake();

	if (woken == NULL && fd >= 0) {
		woken = event_new(loop_base(), fd, EV_READ | EV_PERSIST, on_wake, NULL);
		if (woken != NULL)
			(void)event_add(woken, NULL);
	}
	ledger_sync_urge();
}

static void
tell(uint64_t upto, int status, const char *message)
{
	struct wish *w, *next;

	for (w = STAILQ_FIRST(&wishes); w != NULL; w = next) {
		next = STAILQ_NEXT(w, link);
		if (w->seq > upto)
			continue;
		STAILQ_REMOVE(&wishes, w, wish, link);
		if (w->fn != NULL)
			w->fn(status, message, w->arg);
		free(w);
	}
}

static void
failed(const char *why)
{
	state = NONE;
	retry_at_ms = loop_now_ms() + RETRY_MS;
	LOG_WARN("ledger.checkpoint", LS("error", why), LU("seq", question.seq));
	tell(UINT64_MAX, -1, why);
}

static void
on_signed(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	struct msg_checkpoint_signed *m = msg;

	(void)c;
	(void)arg;
	if (status != CHAN_OK) {
		failed("vault did not answer");
	} else if (m->code != 0 ||
	    span_copy(m->kid, question.kid, sizeof(question.kid)) == -1) {
		failed("vault refused to sign the checkpoint");
	} else {
		memcpy(question.signature, m->signature, sizeof(question.signature));
		state = SIGNED;
		if (question.seq > ledger_synced())
			hurry();
	}
}

static void
ask(void)
{
	uint64_t us = loop_unix_us();
	struct chan *vault = proc_peer(ROLE_VAULT);
	MSG_INIT(checkpoint_sign, m);

	memset(&question, 0, sizeof(question));
	question.seq = ledger_seq();
	snprintf(question.chain, sizeof(question.chain), "%s", ledger_chain());
	memcpy(question.head, ledger_head(), sizeof(question.head));
	ledger_index_root(question.root);
	(void)rfc3339_format((int64_t)(us / 1000000), (uint32_t)(us % 1000000) * 1000, 6,
	    question.time, sizeof(question.time));
	m.chain = span_str(question.chain);
	m.seq = question.seq;
	memcpy(m.head, question.head, sizeof(m.head));
	memcpy(m.root, question.root, sizeof(m.root));
	m.time = span_str(question.time);
	if (vault != NULL &&
	    chan_ask(vault, MSG_checkpoint_sign, &m, ASK_MS, on_signed, NULL) != 0) {
		state = ASKED;
		return;
	}
	retry_at_ms = loop_now_ms() + RETRY_MS;
	tell(UINT64_MAX, -1, "vault is not there");
}

/* It is in the ledger: from now on a start without its rows is refused. */
static void
stored(void)
{
	struct buf line;

	newest = question;
	state = NONE;
	signed_at_ms = loop_now_ms();
	buf_init(&line);
	if (ledger_line_checkpoint(&line, &newest) == 0)
		ledger_sync_head(line.p, line.len, newest.seq);
	buf_free(&line);
}

void
ledger_checkpoint(void (*fn)(int, const char *, void *), void *arg)
{
	struct wish *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		if (fn != NULL)
			fn(-1, "out of memory", arg);
		return;
	}
	w->seq = ledger_seq_pending();
	w->fn = fn;
	w->arg = arg;
	STAILQ_INSERT_TAIL(&wishes, w, link);
}

void
ledger_checkpoint_run(int committed)
{
	struct wish *w, *next;

	for (w = STAILQ_FIRST(&wishes); w != NULL; w = next) {
		next = STAILQ_NEXT(w, link);
		if (w->seq <= ledger_seq())
			continue;
		/* its rows were rolled back */
		STAILQ_REMOVE(&wishes, w, wish, link);
		if (w->fn != NULL)
			w->fn(-1, "the ledger cannot be written", w->arg);
		free(w);
	}
	if (state == WRITTEN && committed)
		stored();
	else if (state == WRITTEN)
		state = SIGNED; /* rolled back: again in the next turn */
	tell(newest.seq, 0, "");
	if (state == SIGNED && question.seq <= ledger_synced() &&
	    ledger_put_checkpoint(&question) == 0)
		state = WRITTEN;
	if (!STAILQ_EMPTY(&wishes) && state == NONE)
		ask();
}

void
ledger_checkpoint_tick(uint64_t now_ms)
{
	uint64_t fresh = ledger_seq() - newest.seq;

	if (state == SIGNED && ledger_sync_failed() != 0)
		tell(UINT64_MAX, -1, "the disk does not take the rows");
	if (state != NONE || fresh == 0 || now_ms < retry_at_ms || vault_sealed)
		return;
	if (fresh >= judge_conf.checkpoint_rows ||
	    now_ms - signed_at_ms >= (uint64_t)judge_conf.checkpoint_seconds * 1000)
		ask();
}

uint64_t
ledger_signed_seq(void)
{
	return newest.seq;
}

const struct ledger_checkpoint *
ledger_checkpoint_newest(void)
{
	return &newest;
}

void
ledger_checkpoint_json(struct jsonw *w, const struct ledger_checkpoint *c)
{
	char hex[65];

	jsonw_obj_open(w);
	jsonw_key_str(w, "chain", c->chain);
	jsonw_key(w, "seq");
	jsonw_uint(w, c->seq);
	(void)hex_encode(c->head, 32, hex, sizeof(hex));
	jsonw_key_str(w, "head", hex);
	(void)hex_encode(c->root, 32, hex, sizeof(hex));
	jsonw_key_str(w, "root", hex);
}
