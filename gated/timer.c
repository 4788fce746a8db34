/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of deadlines and the clock of the Date field. gated.
 */
#include "gated/timer.h"

#include <event2/event.h>
#include <stdio.h>
#include <time.h>

#include "common/loop.h"
#include "gated/conf.h"

TAILQ_HEAD(timer_list, timer);

static struct timer_list lists[TIMER_KINDS];
static uint32_t lengths[TIMER_KINDS];
static struct event *tick;
static char date[TIMER_DATE_LEN + 1];
static time_t date_of = -1;

/* IMF-fixdate (RFC 9110 5.6.7); strftime would depend on the locale. */
static void
date_refresh(void)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)(loop_unix_ms() / 1000);
	struct tm tm;

	if (now == date_of || gmtime_r(&now, &tm) == NULL)
		return;
	date_of = now;
	(void)snprintf(date, sizeof(date),
	    "Date: %.3s, %02u %.3s %04u %02u:%02u:%02u GMT\r\n",
	    days + 3 * (tm.tm_wday % 7), (unsigned)tm.tm_mday % 100,
	    months + 3 * (tm.tm_mon % 12), (unsigned)(tm.tm_year + 1900) % 10000,
	    (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
	    (unsigned)tm.tm_sec % 100);
}

const char *
timer_date(void)
{
	return date;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = loop_now_ms();
	struct timer *t;
	unsigned kind;

	(void)fd;
	(void)what;
	(void)arg;
	date_refresh();
	for (kind = 1; kind < TIMER_KINDS; kind++) {
		while ((t = TAILQ_FIRST(&lists[kind])) != NULL && t->due_ms <= now) {
			timer_set(t, TIMER_NONE);
			t->fn(t->owner, (enum timer_kind)kind);
		}
	}
}

void
timers_lengths(void)
{
	lengths[TIMER_IDLE] = gate_conf.idle_timeout_ms;
	lengths[TIMER_HEAD] = gate_conf.header_timeout_ms;
	lengths[TIMER_BODY] = gate_conf.body_timeout_ms;
	lengths[TIMER_WRITE] = gate_conf.body_timeout_ms;
	lengths[TIMER_LINGER] = 2000;
	lengths[TIMER_DOOR] = 2000;
	/* the redeemer times out by itself and says more; this is for one that hangs */
	lengths[TIMER_ANSWER] = gate_conf.request_timeout_ms + 5000;
	lengths[TIMER_EVENTS] = 15000; /* proxies cut what is silent for longer */
	lengths[TIMER_END] = 10000;
}

int
timers_init(void)
{
	struct timeval tv = {.tv_usec = TIMER_TICK_MS * 1000};
	unsigned kind;

	for (kind = 0; kind < TIMER_KINDS; kind++)
		TAILQ_INIT(&lists[kind]);
	timers_lengths();
	date_refresh();
	tick = event_new(loop_base(), -1, EV_PERSIST, on_tick, NULL);
	return tick == NULL ? -1 : event_add(tick, &tv);
}

void
timer_init(struct timer *t, void (*fn)(void *, enum timer_kind), void *owner)
{
	t->kind = TIMER_NONE;
	t->fn = fn;
	t->owner = owner;
}

void
timer_set(struct timer *t, enum timer_kind kind)
{
	if (t->kind != TIMER_NONE)
		TAILQ_REMOVE(&lists[t->kind], t, entry);
	t->kind = kind;
	if (kind == TIMER_NONE)
		return;
	t->due_ms = loop_now_ms() + lengths[kind];
	TAILQ_INSERT_TAIL(&lists[kind], t, entry);
}
