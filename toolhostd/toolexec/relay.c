/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beside a tool server without a network: it accepts connections from there, reads one
 * CONNECT on each, asks the dispatcher for a connection to that host, and passes octets.
 * A process of its own, with the server's user, without any secret and without a right to
 * make or connect a socket: whoever takes it over from the server's side has won nothing,
 * for the dispatcher decides, and has the list.
 */
#include "toolhostd/toolexec/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/priv.h"
#include "common/proc.h"
#include "common/proto.h"
#include "common/sandbox.h"
#include "common/sync.h"
#include "toolhostd/toolexec/connect_head.h"
#include "toolhostd/toolexec/fdpass.h"
#include "toolhostd/toolexec/isolate.h"
#include "toolhostd/toolexec/plan.h"

#define TUNNELS_MAX 64
#define BUFFER 16384
#define HEAD_MS 10000
#define ANSWER_MS 40000
#define HELLO_MS 2000
#define BACKLOG 64

struct side {
	int fd;
	bool ended; /* nothing more to be read from it */
	bool shut;  /* told that nothing more will come */
	size_t from, to;
	uint8_t octets[BUFFER]; /* read from it, not yet written to the other */
};

static struct tunnel {
	enum { FREE, HEAD, ASKED, OPEN, REFUSED } state;
	uint64_t reqid, due_ms;
	struct side server, host;
} tunnels[TUNNELS_MAX];

static struct sync door = {.fd = -1}, master;
static uint64_t last_reqid;

static uint64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
tunnel_close(struct tunnel *t)
{
	if (t->server.fd >= 0)
		close(t->server.fd);
	if (t->host.fd >= 0)
		close(t->host.fd);
	t->server.fd = t->host.fd = -1;
	t->state = FREE;
}

/* An answer to the server itself; it waits in the buffer of what comes from the host. */
static void
say(struct tunnel *t, unsigned status, const char *text)
{
	static const char *const reasons[] = {[0] = "Connection established",
	    [1] = "Bad Request",
	    [2] = "Forbidden",
	    [3] = "Method Not Allowed",
	    [4] = "Bad Gateway"};
	const char *reason = reasons[4];
	int n;

	if (status == 200) {
		n = snprintf((char *)t->host.octets, BUFFER, "HTTP/1.1 200 %s\r\n\r\n",
		    reasons[0]);
		t->state = OPEN;
	} else {
		if (status == 400 || status == 431)
			reason = reasons[1];
		else if (status == 403)
			reason = reasons[2];
		else if (status == 405)
			reason = reasons[3];
		n = snprintf((char *)t->host.octets, BUFFER,
		    "HTTP/1.1 %u %s\r\nContent-Type: text/plain\r\nContent-Length: "
		    "%zu\r\nConnection: close\r\n%s\r\n%s\n",
		    status, reason, strlen(text) + 1,
		    status == 405 ? "Allow: CONNECT\r\n" : "", text);
		t->state = REFUSED;
		t->due_ms = now_ms() + HEAD_MS;
		t->host.ended = true;
		t->server.ended = true;
		t->server.from = t->server.to = 0;
	}
	t->host.from = 0;
	t->host.to = (size_t)n;
}

/* -- the dispatcher -- */

static void
door_shut(void)
{
	size_t i;

	sync_done(&door);
	if (door.fd >= 0)
		close(door.fd);
	door.fd = -1;
	for (i = 0; i < TUNNELS_MAX; i++)
		if (tunnels[i].state == ASKED)
			say(&tunnels[i], 502,
			    "nobody can connect at the moment; try again");
}

static void
door_open(int fd)
{
	if (door.fd >= 0)
		door_shut();
	if (sync_hello(&door, fd, ROLE_TOOLEXEC, ROLE_DISPATCH, HELLO_MS) == 0) {
		sync_done(&door);
		return;
	}
	close(fd);
	door.fd = -1;
}

static void
ask(struct tunnel *t, enum tunnel_how how, const char *authority)
{
	MSG_INIT(tunnel_open, m);

	t->reqid = ++last_reqid;
	t->due_ms = now_ms() + ANSWER_MS;
	t->state = ASKED;
	m.how = (uint8_t)how;
	m.authority = span_str(authority);
	if (door.fd < 0 || sync_send(&door, MSG_tunnel_open, &m, t->reqid) == -1)
		say(t, 502, "nobody can connect at the moment; try again");
}

/* Takes the connection out of the answer. */
static void
answered(struct msg_tunnel_opened *m)
{
	struct tunnel *t = NULL;
	char text[257];
	size_t i;

	for (i = 0; i < TUNNELS_MAX && t == NULL; i++)
		if (tunnels[i].state == ASKED && tunnels[i].reqid == door.head.reqid)
			t = &tunnels[i];
	if (t == NULL)
		return; /* the server did not wait; the descriptor goes with the message
			 */
	if (m->conn < 0 || span_copy(m->message, text, sizeof(text)) == -1) {
		text[0] = '\0';
		(void)span_copy(m->message, text, sizeof(text));
		say(t, m->status == 200 ? 502 : m->status, text);
		return;
	}
	t->host.fd = m->conn;
	m->conn = -1;
	t->host.ended = t->host.shut = false;
	say(t, 200, "");
}

static void
on_door(void)
{
	do {
		if (sync_recv(&door, 0) == -1) {
			door_shut();
			return;
		}
		if (door.desc->type == MSG_tunnel_opened)
			answered((struct msg_tunnel_opened *)(void *)&door.msg);
		sync_done(&door);
	} while (door.off != door.end);
}

/* A dispatcher that was started anew; nothing else is for us. */
static void
on_master(void)
{
	struct msg_peer *m = (void *)&master.msg;
	int fd;

	do {
		if (sync_recv(&master, 0) == -1)
			_exit(0);
		if (master.desc->type == MSG_peer && m->role == ROLE_DISPATCH) {
			fd = m->fd;
			m->fd = -1;
			door_open(fd);
		}
		sync_done(&master);
	} while (master.off != master.end);
}

/* -- the server -- */

static void
accept_one(int listener)
{
	struct tunnel *t;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1)
		return;
	for (t = tunnels; t < tunnels + TUNNELS_MAX && t->state != FREE; t++)
		;
	if (t == tunnels + TUNNELS_MAX) {
		close(fd);
		return;
	}
	*t = (struct tunnel){
	    .state = HEAD, .due_ms = now_ms() + HEAD_MS, .server.fd = fd, .host.fd = -1};
}

static void
on_head(struct tunnel *t)
{
	char authority[CONNECT_AUTHORITY_MAX + 1] = "";
	struct side *s = &t->server;
	int r = connect_head(s->octets, s->to, authority);

	if (r > 0) {
		s->from = (size_t)r; /* what follows is for the host */
		ask(t, TUNNEL_CONNECT, authority);
	} else if (r == CONNECT_OTHER_METHOD) {
		ask(t, TUNNEL_OTHER_METHOD, "");
	} else if (r < 0) {
		ask(t, TUNNEL_MALFORMED, "");
	}
}

/* -1: this tunnel is over. */
static int
fill(struct side *s)
{
	ssize_t n = read(s->fd, s->octets + s->to, BUFFER - s->to);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == -1)
		return -1;
	s->ended = n == 0;
	s->to += (size_t)n;
	return 0;
}

static int
drain(struct side *s, struct side *other)
{
	ssize_t n;

	while (s->from < s->to) {
		n = write(other->fd, s->octets + s->from, s->to - s->from);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			return -1;
		s->from += (size_t)n;
	}
	s->from = s->to = 0;
	if (s->ended && !other->shut) {
		(void)shutdown(other->fd, SHUT_WR);
		other->shut = true;
	}
	return 0;
}

static void
turn(struct tunnel *t, short server, short host)
{
	struct side *s = &t->server, *h = &t->host;
	bool was_open = t->state == OPEN;

	if (server & (POLLIN | POLLHUP | POLLERR)) {
		if (!s->ended && s->to < BUFFER && fill(s) == -1) {
			tunnel_close(t);
			return;
		}
		if (t->state == HEAD && s->to > 0)
			on_head(t);
		if (s->ended && (t->state == HEAD || t->state == ASKED)) {
			tunnel_close(t); /* nobody waits */
			return;
		}
	}
	if ((host & (POLLIN | POLLHUP | POLLERR)) && was_open && !h->ended &&
	    h->to < BUFFER && fill(h) == -1) {
		tunnel_close(t);
		return;
	}
	if (t->state != OPEN && t->state != REFUSED)
		return;
	if (drain(h, s) == -1 || (t->state == OPEN && drain(s, h) == -1) ||
	    (s->ended && h->ended && s->to == 0 && h->to == 0))
		tunnel_close(t);
}

/* What a tunnel waits for; descriptors that it waits for in no way are left out, so that
 * a hung-up one does not keep us turning. */
static void
wishes(const struct tunnel *t, struct pollfd *server, struct pollfd *host)
{
	const struct side *s = &t->server, *h = &t->host;

	*server = *host = (struct pollfd){.fd = -1};
	if (t->state == FREE)
		return;
	if (t->state == HEAD ||
	    ((t->state == OPEN || t->state == ASKED) && !s->ended && s->to < BUFFER))
		server->events |= POLLIN;
	if ((t->state == OPEN || t->state == REFUSED) && h->from < h->to)
		server->events |= POLLOUT;
	if (t->state == OPEN && !h->ended && h->to < BUFFER)
		host->events |= POLLIN;
	if (t->state == OPEN && s->from < s->to)
		host->events |= POLLOUT;
	if (server->events != 0)
		server->fd = s->fd;
	if (host->events != 0)
		host->fd = h->fd;
}

static void
serve(int listener)
{
	struct pollfd p[3 + 2 * TUNNELS_MAX];
	unsigned busy;
	uint64_t now;
	size_t i;

	for (;;) {
		for (i = 0, busy = 0; i < TUNNELS_MAX; i++) {
			wishes(&tunnels[i], &p[3 + 2 * i], &p[4 + 2 * i]);
			busy += tunnels[i].state != FREE;
		}
		/* those who come when all are in use wait in the kernel's queue */
		p[0] = (struct pollfd){busy < TUNNELS_MAX ? listener : -1, POLLIN, 0};
		p[1] = (struct pollfd){master.fd, POLLIN, 0};
		p[2] = (struct pollfd){door.fd, POLLIN, 0};
		if (poll(p, sizeof(p) / sizeof(p[0]), busy > 0 ? 1000 : -1) == -1)
			continue;
		for (i = 0; i < TUNNELS_MAX; i++)
			if (p[3 + 2 * i].revents != 0 || p[4 + 2 * i].revents != 0)
				turn(&tunnels[i], p[3 + 2 * i].revents,
				    p[4 + 2 * i].revents);
		if (p[2].revents != 0)
			on_door();
		if (p[1].revents != 0)
			on_master();
		if (p[0].revents != 0)
			accept_one(listener);
		now = now_ms();
		for (i = 0; i < TUNNELS_MAX; i++) {
			if (tunnels[i].state == FREE || tunnels[i].state == OPEN ||
			    now < tunnels[i].due_ms)
				continue;
			if (tunnels[i].state == ASKED)
				say(&tunnels[i], 504, "no connection in time");
			else
				tunnel_close(&tunnels[i]);
		}
	}
}

static void
be_relay(int first_door, int line)
{
	static const struct sandbox_paths nothing = {.variant = SANDBOX_RELAY};
	const int keep[] = {2, MASTER_FD, first_door, line};
	int listener = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	priv_close_fds(keep, 4);
	close(0);
	close(1);
	isolate_user();
	priv_no_dumps();
	if (getppid() == 1)
		_exit(1);
	master.fd = MASTER_FD;
	fd_await(line, &listener);
	close(line);
	if (first_door >= 0)
		door_open(first_door);
	sandbox_enter(ROLE_TOOLEXEC, &nothing, NULL);
	serve(listener);
}

pid_t
relay_start(int first_door, int *line)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1 ||
	    (pid = fork()) == -1)
		fatal("%s: no relay", plan.name);
	if (pid == 0) {
		be_relay(first_door, pair[0]);
		_exit(0);
	}
	close(pair[0]);
	if (first_door >= 0)
		close(first_door);
	*line = pair[1];
	return pid;
}

int
relay_listen(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_port = htons(RELAY_PORT),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1 || bind(fd, (const struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, BACKLOG) == -1)
		fatal("%s: no proxy in its network", plan.name);
	return fd;
}
