/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the command line; see admin_door.h. Judge and vault. */
#include "common/admin_door.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"

#define CONNECTIONS_MAX 16
#define ASKS_MAX 4

struct admin_conn {
	char peer[140];  /* "uid 0 pid 12", then " user NAME" */
	size_t peer_len; /* without the user */
	max_align_t extra[];
};

static struct admin_door_conf door;
static struct event *listener;
static unsigned connections;
static uint32_t serial;

static void
on_gone(struct chan *c, void *owner)
{
	if (door.on_gone != NULL)
		door.on_gone(c);
	free(owner);
	connections--;
}

static void
open_connection(int fd)
{
	struct chan_conf conf = {.own_role = door.own_role,
	    .peer_role = ROLE_ADMIN,
	    .permits = door.permits,
	    .on_gone = on_gone,
	    .allow = door.allow,
	    .max_open = ASKS_MAX};
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct admin_conn *conn;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1 ||
	    (cred.uid != 0 && cred.uid != door.uid)) {
		LOG_WARN("admin.refused", LU("uid", cred.uid));
		close(fd);
		return;
	}
	if (connections >= CONNECTIONS_MAX ||
	    (conn = calloc(1, sizeof(*conn) + door.extra)) == NULL) {
		LOG_WARN("admin.busy", LU("connections", connections));
		close(fd);
		return;
	}
	snprintf(
	    conn->peer, sizeof(conn->peer), "uid %u pid %d", cred.uid, (int)cred.pid);
	conn->peer_len = strlen(conn->peer);
	conf.owner = conn;
	conf.peer_instance = ++serial;
	connections++;
	if (chan_new(loop_base(), fd, &conf) == NULL) {
		connections--;
		free(conn);
	}
}

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
	int one;

	(void)what;
	(void)arg;
	one = accept4((int)fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (one >= 0)
		open_connection(one);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		LOG_ERROR("admin.accept", LE("error", errno));
}

int
admin_door_listen(int fd, const struct admin_door_conf *conf)
{
	if (listener == NULL) {
		door = *conf;
		evutil_make_socket_nonblocking(fd);
		listener =
		    event_new(loop_base(), fd, EV_READ | EV_PERSIST, on_connection, NULL);
		if (listener != NULL)
			return 0;
		LOG_ERROR("admin.listen", LS("error", "out of memory"));
	}
	close(fd);
	return -1;
}

void
admin_door_open(void)
{
	if (listener != NULL && event_add(listener, NULL) == -1)
		LOG_ERROR("admin.listen", LS("error", "out of memory"));
}

unsigned
admin_door_count(void)
{
	return connections;
}

void *
admin_door_extra(const struct chan *c)
{
	struct admin_conn *conn = chan_owner(c);

	return conn->extra;
}

void
admin_door_user(const struct chan *c, const char *name)
{
	struct admin_conn *conn = chan_owner(c);

	conn->peer[conn->peer_len] = '\0';
	if (name != NULL)
		snprintf(conn->peer + conn->peer_len, sizeof(conn->peer) - conn->peer_len,
		    " user %s", name);
}

struct span
admin_door_peer(const struct chan *c)
{
	const struct admin_conn *conn = chan_owner(c);

	return conn != NULL ? span_str(conn->peer) : (struct span){NULL, 0};
}
