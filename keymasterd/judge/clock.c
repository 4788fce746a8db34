/* SPDX-License-Identifier: Apache-2.0 */
/* See clock.h. Judge only. */
#include "keymasterd/judge/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/replay.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/ledger_scan.h"
#include "keymasterd/judge/turn.h"

#define KEY "clock_high"
#define BACK_MS 1000 /* what keeps marks has more to spare (seal_invoke.c, mark_ms) */

static uint64_t high;    /* the latest that it was, ever */
static uint64_t told;    /* what the database says of that: it was there and went back */
static uint64_t written; /* this is on its way there */

static int
last_row(const struct ledger_line *row, void *arg)
{
	*(uint64_t *)arg = ledger_text_ms(row->text);
	return 1;
}

int
clock_load(void)
{
	char text[24];
	int r = store_meta_get(judge_store, KEY, text, sizeof(text));
	uint64_t last = 0;

	if (r == -1 || ledger_each(0, ledger_seq(), 1, last_row, &last) == -1)
		return -1;
	told = r == 0 ? strtoull(text, NULL, 10) : 0;
	high = last > told ? last : told;
	/* it went back while nobody looked; the row comes with the first that is asked */
	if (judge_now_ms() + BACK_MS < last)
		told = last;
	return 0;
}

static void
kept(int ok, void *arg)
{
	(void)arg;
	if (!ok)
		written = 0; /* again */
}

uint64_t
clock_now_ms(void)
{
	struct ledger_row row = {.kind = LEDGER_SYSTEM, .event = span_str("clock.back")};
	uint64_t now = judge_now_ms();
	char text[24], detail[160];

	if (now >= high) {
		high = now;
		return now;
	}
	if (now + BACK_MS >= high || written == high)
		return now;
	written = told = high;
	snprintf(text, sizeof(text), "%" PRIu64, high);
	(void)store_meta_set(judge_store, KEY, text); /* a failure fails the turn */
	snprintf(detail, sizeof(detail),
	    "the clock went back by %" PRIu64
	    " ms; what may have been used before is refused until it is past it",
	    high - now);
	row.detail = span_str(detail);
	(void)ledger_append(&row, NULL);
	turn_then(kept, NULL);
	LOG_WARN("clock.back", LU("ms", high - now));
	return now;
}

int64_t
clock_stamp_max(uint32_t window_s)
{
	uint64_t now = judge_now_ms();

	return (int64_t)((high > now ? high : now) / 1000) + window_s;
}

void
clock_horizon(struct replay *r, uint64_t kept_ms, uint32_t window_s)
{
	uint64_t now = judge_now_ms(), from = now > kept_ms ? now - kept_ms : 0;

	replay_forgot(r, (int64_t)((told > from ? told : from) / 1000) + window_s);
}
