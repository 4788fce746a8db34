/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one event loop of a daemon: turns of libevent, and after each turn what must happen
 * before anything leaves the process (the judge's commit), then the sending.
 */
#ifndef AEGIS_LOOP_H
#define AEGIS_LOOP_H

#include <stdint.h>

struct event_base;

/* Makes the loop. Called once, before the process is boxed. 0 or -1. */
int loop_init(void);
struct event_base *loop_base(void);
/* fn runs at the end of every turn, before queued messages are sent. At most 4. */
void loop_on_turn(void (*fn)(void *), void *arg);
/* There will be a turn within 10 ms, which reads patient doors (chan_patient). */
void loop_soon(void);
/* Runs until loop_stop(). */
void loop_run(void);
void loop_stop(void);
/* Milliseconds of the monotonic clock at the start of this turn. */
uint64_t loop_now_ms(void);
/* Milliseconds since the machine started, now, the same in every process; nobody sets it.
 */
uint64_t loop_boot_ms(void);
/* Unix time in milliseconds and microseconds, now. */
uint64_t loop_unix_ms(void);
uint64_t loop_unix_us(void);

#endif
