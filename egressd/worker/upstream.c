/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and keeping connections; see upstream.h. Only addresses that passed target.c
 * are ever connected to, and nothing is asked twice: the checked address is the one used.
 */
#include "egressd/worker/upstream.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/loop.h"
#include "common/proc.h"
#include "egressd/worker/tls.h"
#include "egressd/worker/worker.h"

TAILQ_HEAD(upstream_list, upstream);

/* What is kept for one (host, port). */
struct place {
	TAILQ_ENTRY(place) entry;
	char host[HOST_MAX];
	uint16_t port;
	bool tls;
	unsigned refs; /* connections */
	unsigned nidle;
	uint64_t used_ms;
	struct upstream_list idle; /* latest first */
	SSL_SESSION *session;
};

static TAILQ_HEAD(, place) places = TAILQ_HEAD_INITIALIZER(places);
static struct upstream_list opening = TAILQ_HEAD_INITIALIZER(opening);
static const struct upstream_user *user;
static SSL_CTX *tls;

static void on_event(evutil_socket_t, short, void *);
static void connect_next(struct upstream *);

static int
keep_session(void *arg, SSL_SESSION *session)
{
	struct place *p = arg;

	SSL_SESSION_free(p->session);
	p->session = session;
	return 1;
}

int
upstream_init(const struct upstream_user *u, const char **why)
{
	user = u;
	tls = worker_tls_new(&worker_conf, why);
	if (tls == NULL)
		return -1;
	worker_tls_on_session(tls, keep_session);
	return 0;
}

static struct place *
place_get(const struct worker_target *to)
{
	struct place *p;

	TAILQ_FOREACH (p, &places, entry)
		if (p->port == to->port && p->tls == to->tls &&
		    strcmp(p->host, to->host) == 0)
			return p;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	memcpy(p->host, to->host, sizeof(p->host));
	p->port = to->port;
	p->tls = to->tls;
	TAILQ_INIT(&p->idle);
	TAILQ_INSERT_HEAD(&places, p, entry);
	return p;
}

static void
idle_remove(struct upstream *u)
{
	TAILQ_REMOVE(&u->place->idle, u, entry);
	u->place->nidle--;
}

void
upstream_close(struct upstream *u)
{
	if (u->state == UP_IDLE)
		idle_remove(u);
	else if (u->state != UP_OPEN)
		TAILQ_REMOVE(&opening, u, entry);
	if (u->ask != 0)
		chan_forget(u->dispatcher, u->ask);
	if (u->stream.fd >= 0) {
		event_del(&u->readable);
		event_del(&u->writable);
		stream_close(&u->stream);
	}
	u->place->refs--;
	u->place->used_ms = loop_now_ms();
	free(u);
}

/* Is an idle connection still good? Looks without taking anything away. */
static bool
is_alive(struct upstream *u)
{
	ssize_t n;
	char c;

	n = recv(u->stream.fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK;
	if (n == 0 || u->stream.ssl == NULL)
		return false;
	/* under TLS it may be a session ticket */
	return stream_read(&u->stream, &c, 1) == STREAM_AGAIN;
}

struct upstream *
upstream_get(const struct worker_target *to, bool fresh, bool probe, void *arg)
{
	struct place *p = place_get(to);
	struct upstream *u;

	if (p == NULL)
		return NULL;
	p->used_ms = loop_now_ms();
	while (!fresh && (u = TAILQ_FIRST(&p->idle)) != NULL) {
		if (probe && !is_alive(u)) {
			upstream_close(u);
			continue;
		}
		idle_remove(u);
		u->state = UP_OPEN;
		u->reused = true;
		u->arg = arg;
		return u;
	}
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return NULL;
	u->place = p;
	p->refs++;
	u->stream.fd = -1;
	u->to = *to;
	u->arg = arg;
	u->due_ms = loop_now_ms() + worker_conf.connect_timeout_ms;
	TAILQ_INSERT_TAIL(&opening, u, entry);
	return u;
}

static void
fail(struct upstream *u, enum upstream_failure what, const char *text)
{
	user->on_fail(u->arg, what, text);
}

static void
is_open(struct upstream *u)
{
	TAILQ_REMOVE(&opening, u, entry);
	u->state = UP_OPEN;
	upstream_set_reading(u, true);
	user->on_open(u->arg);
}

static void
drive_tls(struct upstream *u)
{
	char text[128];
	int r = stream_handshake(&u->stream);
	short wanted;

	if (r == 1) {
		is_open(u);
	} else if (r == STREAM_AGAIN) {
		wanted = stream_events(&u->stream, 0);
		upstream_set_reading(u, (wanted & EV_READ) != 0);
		if (wanted & EV_WRITE)
			upstream_want_write(u);
	} else {
		snprintf(text, sizeof(text), "%s", stream_error(&u->stream));
		fail(u, UPSTREAM_TLS, text);
	}
}

static void
begin_tls(struct upstream *u)
{
	char name[HOST_MAX];
	size_t len = strlen(u->to.host);
	int fd = u->stream.fd;

	/* certificates name an IPv6 address without its brackets */
	if (u->to.kind == HOST_IPV6 && len > 2)
		snprintf(name, sizeof(name), "%.*s", (int)(len - 2), u->to.host + 1);
	else
		memcpy(name, u->to.host, sizeof(name));
	if (stream_tls(&u->stream, fd, tls, 0, name) == -1) {
		fail(u, UPSTREAM_TLS, "OpenSSL refuses the name");
		return;
	}
	worker_tls_owner(u->stream.ssl, u->place);
	if (u->place->session != NULL)
		SSL_set_session(u->stream.ssl, u->place->session);
	u->state = UP_TLS;
	drive_tls(u);
}

static void
connected(struct upstream *u)
{
	int one = 1;

	setsockopt(u->stream.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (u->to.tls)
		begin_tls(u);
	else
		is_open(u);
}

/* One address: 1 connected, 0 under way, -1 failed (errno). */
static int
connect_one(struct upstream *u, const struct address *a)
{
	int fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd == -1)
		return -1;
	stream_plain(&u->stream, fd);
	event_assign(&u->readable, loop_base(), fd, EV_READ | EV_PERSIST, on_event, u);
	event_assign(&u->writable, loop_base(), fd, EV_WRITE, on_event, u);
	address_text(a, u->address, sizeof(u->address));
	u->detail[0] = '\0';
	r = connect(fd, &a->u.sa, a->len);
	if (r == 0)
		return 1;
	return errno == EINPROGRESS ? 0 : -1;
}

static void
connect_drop(struct upstream *u, int err)
{
	snprintf(u->error, sizeof(u->error), "%s", strerror(err));
	if (u->stream.fd < 0)
		return;
	event_del(&u->readable);
	event_del(&u->writable);
	u->reading = false;
	stream_close(&u->stream);
}

static void
connect_next(struct upstream *u)
{
	uint64_t now = loop_now_ms();
	int r, left;

	u->state = UP_CONNECTING;
	while (u->next < u->naddresses) {
		left = u->naddresses - u->next;
		r = connect_one(u, &u->addresses[u->next++]);
		if (r == 1) {
			connected(u);
			return;
		}
		if (r == 0) {
			u->try_due_ms = now +
			    (u->due_ms > now ? (u->due_ms - now) / (uint64_t)left : 0);
			upstream_want_write(u);
			return;
		}
		connect_drop(u, errno);
	}
	fail(u, UPSTREAM_CONNECT, u->error[0] != '\0' ? u->error : "no address");
}

static void
on_resolved(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	struct upstream *u = arg;
	const struct msg_resolved *m = msg;
	char text[129];
	unsigned refused = 0;

	(void)c;
	u->ask = 0;
	if (status != CHAN_OK) {
		fail(u, UPSTREAM_RESOLVE,
		    status == CHAN_TIMEOUT ? "timed out" : "the resolver is not there");
		return;
	}
	if (m->code != 0) {
		(void)span_copy(m->message, text, sizeof(text));
		fail(u, UPSTREAM_RESOLVE, text);
		return;
	}
	u->naddresses = target_addresses(&u->to, m->addresses, u->addresses, &refused);
	if (u->naddresses > 0)
		connect_next(u);
	else if (refused > 0)
		fail(u, UPSTREAM_REFUSED, target_rule());
	else
		fail(u, UPSTREAM_RESOLVE, "no address");
}

static void
resolve(struct upstream *u)
{
	MSG_INIT(resolve, m);

	u->state = UP_RESOLVING;
	u->dispatcher = proc_peer(ROLE_DISPATCH);
	m.host = span_str(u->to.host);
	m.port = u->to.port;
	if (u->dispatcher != NULL)
		u->ask = chan_ask(u->dispatcher, MSG_resolve, &m,
		    worker_conf.connect_timeout_ms, on_resolved, u);
	if (u->ask == 0)
		fail(u, UPSTREAM_RESOLVE, "the resolver is not there");
}

static uint64_t opened;

uint64_t
upstream_opened(void)
{
	return opened;
}

void
upstream_start(struct upstream *u)
{
	opened++;
	if (u->to.kind == HOST_NAME) {
		resolve(u);
		return;
	}
	if (target_literal(&u->to, &u->addresses[0]) != 1) {
		fail(u, UPSTREAM_REFUSED, target_rule());
		return;
	}
	u->naddresses = 1;
	connect_next(u);
}

void
upstream_keep(struct upstream *u)
{
	struct place *p = u->place;

	if (p->nidle >= worker_conf.max_idle || worker_conf.keepalive_ms == 0 ||
	    stream_pending(&u->stream) > 0) {
		upstream_close(u);
		return;
	}
	u->state = UP_IDLE;
	u->arg = NULL;
	u->due_ms = loop_now_ms() + worker_conf.keepalive_ms;
	upstream_set_reading(u, true);
	TAILQ_INSERT_HEAD(&p->idle, u, entry);
	p->nidle++;
}

void
upstream_forget(void)
{
	struct upstream *u;
	struct place *p;

	TAILQ_FOREACH (p, &places, entry)
		while ((u = TAILQ_FIRST(&p->idle)) != NULL)
			upstream_close(u);
}

void
upstream_want_write(struct upstream *u)
{
	event_add(&u->writable, NULL);
}

void
upstream_set_reading(struct upstream *u, bool on)
{
	if (u->reading == on)
		return;
	u->reading = on;
	if (on)
		event_add(&u->readable, NULL);
	else
		event_del(&u->readable);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	socklen_t len = sizeof(int);
	int err = 0;
	char c;

	switch (u->state) {
	case UP_CONNECTING:
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
			err = errno;
		if (err == 0) {
			connected(u);
		} else {
			connect_drop(u, err);
			connect_next(u);
		}
		break;
	case UP_TLS:
		drive_tls(u);
		break;
	case UP_OPEN:
		user->on_io(u->arg, what);
		break;
	case UP_IDLE:
		/* the end, or something nobody asked for; session tickets are neither */
		if (stream_read(&u->stream, &c, 1) != STREAM_AGAIN)
			upstream_close(u);
		break;
	case UP_NEW:
	case UP_RESOLVING:
		break;
	}
}

/* Gives up on what takes too long to open. */
static void
sweep_opening(uint64_t now)
{
	struct upstream *u, *next;

	for (u = TAILQ_FIRST(&opening); u != NULL; u = next) {
		next = TAILQ_NEXT(u, entry);
		if (now >= u->due_ms) {
			fail(u,
			    u->state == UP_TLS             ? UPSTREAM_TLS
				: u->state == UP_RESOLVING ? UPSTREAM_RESOLVE
							   : UPSTREAM_CONNECT,
			    "timed out");
			next = TAILQ_FIRST(&opening); /* the user may have changed all */
		} else if (u->state == UP_CONNECTING && now >= u->try_due_ms &&
		    u->next < u->naddresses) {
			connect_drop(u, ETIMEDOUT);
			connect_next(u);
			next = NULL; /* on with it at the next sweep */
		}
	}
}

void
upstream_sweep(uint64_t now)
{
	struct place *p, *next_place;
	struct upstream *u;

	sweep_opening(now);
	for (p = TAILQ_FIRST(&places); p != NULL; p = next_place) {
		next_place = TAILQ_NEXT(p, entry);
		while (
		    (u = TAILQ_LAST(&p->idle, upstream_list)) != NULL && now >= u->due_ms)
			upstream_close(u);
		if (p->refs == 0 && now - p->used_ms > worker_conf.keepalive_ms) {
			TAILQ_REMOVE(&places, p, entry);
			SSL_SESSION_free(p->session);
			free(p);
		}
	}
}
