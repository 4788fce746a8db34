/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop shared by all daemons.
 */
#include "common/loop.h"

#include <event2/event.h>
#include <time.h>

#include "common/chan.h"

#define TICK_MS 100
#define SOON_MS 10
#define HOOKS_MAX 4

static struct event_base *base;
static struct event *tick, *soon;
static int stopping;
static uint64_t now_ms;
static struct {
	void (*fn)(void *);
	void *arg;
} hooks[HOOKS_MAX];
static unsigned nhooks;

static uint64_t
clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	chans_read_patient();
	chans_tick();
}

static void
on_soon(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	chans_read_patient();
}

int
loop_init(void)
{
	struct event_config *config = event_config_new();
	struct timeval tv = {.tv_usec = TICK_MS * 1000};

	if (config == NULL)
		return -1;
	event_config_set_flag(
	    config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	base = event_base_new_with_config(config);
	event_config_free(config);
	if (base == NULL)
		return -1;
	tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	soon = event_new(base, -1, 0, on_soon, NULL);
	if (tick == NULL || soon == NULL || event_add(tick, &tv) == -1)
		return -1;
	now_ms = clock_us(CLOCK_MONOTONIC) / 1000;
	return 0;
}

struct event_base *
loop_base(void)
{
	return base;
}

void
loop_on_turn(void (*fn)(void *), void *arg)
{
	if (nhooks < HOOKS_MAX) {
		hooks[nhooks].fn = fn;
		hooks[nhooks++].arg = arg;
	}
}

void
loop_soon(void)
{
	static const struct timeval tv = {.tv_usec = SOON_MS * 1000};

	if (!event_pending(soon, EV_TIMEOUT, NULL))
		event_add(soon, &tv);
}

static void
end_turn(void)
{
	unsigned i;

	for (i = 0; i < nhooks; i++)
		hooks[i].fn(hooks[i].arg);
	chans_flush();
	now_ms = clock_us(CLOCK_MONOTONIC) / 1000;
}

void
loop_run(void)
{
	end_turn();
	while (!stopping) {
		if (event_base_loop(base, EVLOOP_ONCE) == -1)
			break;
		end_turn();
	}
	end_turn();
}

void
loop_stop(void)
{
	stopping = 1;
}

uint64_t
loop_now_ms(void)
{
	return now_ms;
}

uint64_t
loop_boot_ms(void)
{
	return clock_us(CLOCK_BOOTTIME) / 1000;
}

uint64_t
loop_unix_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
}

uint64_t
loop_unix_us(void)
{
	return clock_us(CLOCK_REALTIME);
}
