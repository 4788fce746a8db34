/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines of connections and requests without one event each: a kind has one length, so
 * a list per kind is in order of time and a tick looks at the first entries only. gated.
 */
#ifndef AEGIS_GATED_TIMER_H
#define AEGIS_GATED_TIMER_H

#include <stdint.h>
#include <sys/queue.h>

#define TIMER_TICK_MS 200

enum timer_kind {
	TIMER_NONE = 0,
	TIMER_IDLE,   /* a kept connection without a request */
	TIMER_HEAD,   /* from the first octet of a head, or the accept, to its end */
	TIMER_BODY,   /* the agent's body makes no progress */
	TIMER_WRITE,  /* the agent does not read its answer */
	TIMER_LINGER, /* after the last answer, for the agent to read it */
	TIMER_DOOR,   /* a decision named a redeemer whose door has not arrived */
	TIMER_ANSWER, /* a redeemer owes an answer */
	TIMER_EVENTS, /* nothing was sent down a stream of events */
	TIMER_END,    /* a streamed answer is over, its proxy_end is missing */
	TIMER_KINDS
};

struct timer {
	TAILQ_ENTRY(timer) entry;
	uint64_t due_ms;
	enum timer_kind kind; /* TIMER_NONE: not running */
	void (*fn)(void *owner, enum timer_kind);
	void *owner;
};

/* The lengths come from gate_conf. 0 or -1. */
int timers_init(void);
/* The configuration has other times: for timers that are set from now on. */
void timers_lengths(void);
void timer_init(struct timer *, void (*fn)(void *, enum timer_kind), void *owner);
/* (Re)starts the timer with the length of `kind`; TIMER_NONE stops it. */
void timer_set(struct timer *, enum timer_kind);
/* The Date field of this second, with CRLF, always TIMER_DATE_LEN octets. */
const char *timer_date(void);
#define TIMER_DATE_LEN 37 /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */

#endif
