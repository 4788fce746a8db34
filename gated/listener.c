/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepting. Several processes share a listening socket, so a turn takes a few
 * connections and leaves the rest to the others. When the process is full it stops
 * accepting: agents wait in the kernel's queue, and no descriptor that a request needs
 * goes to a newcomer.
 */
#include "gated/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proto.h"
#include "gated/conf.h"
#include "gated/conn.h"

#define BATCH 16
#define LISTENERS_MAX 17 /* addresses, and the local socket */

static struct event *listeners[LISTENERS_MAX];
static unsigned nlisteners;
static bool paused;

static void
pause_all(void)
{
	unsigned i;

	paused = true;
	for (i = 0; i < nlisteners; i++)
		event_del(listeners[i]);
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int i, s;

	(void)what;
	(void)arg;
	for (i = 0; i < BATCH; i++) {
		if (conns_open() >= gate_conf.connections) {
			LOG_WARN("gate.full", LU("connections", conns_open()));
			pause_all();
			return;
		}
		len = sizeof(ss);
		s = accept4(
		    fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (s >= 0) {
			conn_open_take(s, (struct sockaddr *)&ss);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			LOG_WARN("gate.accept", LE("error", errno));
			pause_all();
		}
		return;
	}
}

void
listener_take(int kind, int fd)
{
	struct event *ev;
	int on = 1;

	if (kind != LISTEN_AGENTS || nlisteners == LISTENERS_MAX) {
		close(fd);
		return;
	}
	/* accepted sockets inherit it */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	evutil_make_socket_nonblocking(fd);
	ev = event_new(loop_base(), fd, EV_READ | EV_PERSIST, on_acceptable, NULL);
	if (ev == NULL || (!paused && event_add(ev, NULL) == -1)) {
		LOG_ERROR("gate.listen", LS("reason", "no memory"));
		close(fd);
		return;
	}
	listeners[nlisteners++] = ev;
}

void
listener_room(void)
{
	unsigned i;

	if (!paused)
		return;
	paused = false;
	for (i = 0; i < nlisteners; i++)
		event_add(listeners[i], NULL);
}

void
listener_stop(void)
{
	unsigned i;

	for (i = 0; i < nlisteners; i++) {
		evutil_socket_t fd = event_get_fd(listeners[i]);

		event_free(listeners[i]);
		close(fd);
	}
	nlisteners = 0;
}
