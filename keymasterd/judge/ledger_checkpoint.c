/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: vault signs the ledger's head, every so many rows or seconds and when
 * somebody asks. One question at a time; it names committed rows only. Judge only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_int.h"

#define ASK_MS 5000
#define RETRY_MS 5000

struct wish {
	uint64_t seq; /* the head must reach this row */
	void (*fn)(int, const char *, void *);
	void *arg;
	STAILQ_ENTRY(wish) link;
};

static STAILQ_HEAD(, wish) wishes = STAILQ_HEAD_INITIALIZER(wishes);
static uint64_t signed_seq;   /* newest checkpoint in the database */
static uint64_t signed_at_ms; /* loop_now_ms() */
static uint64_t retry_at_ms;  /* after a failure: not before */
static int asking;
static struct store_checkpoint question;

void
ledger_checkpoint_seen(uint64_t seq)
{
	signed_seq = seq;
	signed_at_ms = loop_now_ms();
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
on_signed(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	struct msg_checkpoint_signed *m = msg;
	const char *why = "vault did not answer";

	(void)c;
	(void)arg;
	asking = 0;
	if (status == CHAN_OK && m->code == 0 &&
	    span_copy(m->kid, question.kid, sizeof(question.kid)) == 0) {
		memcpy(question.signature, m->signature, sizeof(question.signature));
		if (store_checkpoint_put(judge_store, &question) == 0) {
			signed_seq = question.seq;
			signed_at_ms = loop_now_ms();
			tell(question.seq, 0, "");
			return;
		}
		why = "the checkpoint could not be stored";
	} else if (status == CHAN_OK) {
		why = "vault refused to sign the checkpoint";
	}
	retry_at_ms = loop_now_ms() + RETRY_MS;
	LOG_WARN("ledger.checkpoint", LS("error", why), LU("seq", question.seq));
	tell(UINT64_MAX, -1, why);
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
	(void)rfc3339_format((int64_t)(us / 1000000), (uint32_t)(us % 1000000) * 1000, 6,
	    question.time, sizeof(question.time));
	m.chain = span_str(question.chain);
	m.seq = question.seq;
	memcpy(m.head, question.head, sizeof(m.head));
	m.time = span_str(question.time);
	asking = vault != NULL &&
	    chan_ask(vault, MSG_checkpoint_sign, &m, ASK_MS, on_signed, NULL) != 0;
	if (!asking) {
		retry_at_ms = loop_now_ms() + RETRY_MS;
		tell(UINT64_MAX, -1, "vault is not there");
	}
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
ledger_checkpoint_run(void)
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
	tell(signed_seq, 0, "");
	if (!STAILQ_EMPTY(&wishes) && !asking)
		ask();
}

void
ledger_checkpoint_tick(uint64_t now_ms)
{
	uint64_t fresh = ledger_seq() - signed_seq;

	if (asking || fresh == 0 || now_ms < retry_at_ms)
		return;
	if (fresh >= judge_conf.checkpoint_rows ||
	    now_ms - signed_at_ms >= (uint64_t)judge_conf.checkpoint_seconds * 1000)
		ask();
}

uint64_t
ledger_signed_seq(void)
{
	return signed_seq;
}
