/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending: listeners close, idle connections close, answers say Connection: close; when
 * the last connection is gone or the time is over the loop stops. gated.
 */
#include "gated/drain.h"

#include <event2/event.h>

#include "common/log.h"
#include "common/loop.h"
#include "gated/conf.h"
#include "gated/conn.h"
#include "gated/listener.h"
#include "gated/mcp_stream.h"
#include "gated/wsock.h"

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	LOG_WARN("gate.drain", LU("cut", conns_open()));
	loop_stop();
}

void
drain_over(void)
{
	loop_stop();
}

void
drain_begin(uint32_t drain_ms)
{
	uint32_t ms = drain_ms != 0 ? drain_ms : gate_conf.drain_timeout_ms;
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	if (conns_draining())
		return;
	listener_stop();
	conns_drain();
	wsock_drain();
	mcp_stream_drain();
	if (conns_open() == 0 ||
	    event_base_once(loop_base(), -1, EV_TIMEOUT, on_late, NULL, &tv) == -1)
		loop_stop();
}
