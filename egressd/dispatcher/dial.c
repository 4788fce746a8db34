/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects for tool servers' relays, which have no right to. The relay, or who took it
 * over, says where to; the list of hosts is the master's, and the address is looked at
 * after the name was resolved and is the one connected to. What goes over the connection
 * is never read here: its descriptor is handed on.
 */
#include "egressd/dispatcher/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/host.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/proto.h"
#include "egressd/dispatcher/dispatcher.h"

#define DIALS_MAX 512
#define DIALS_PER_DOOR 64
#define ADDRESS_OCTETS 18
#define ADDRESSES_MAX 16

/* One tool server's list. */
struct rule {
	STAILQ_ENTRY(rule) entry;
	char name[65];
	bool allow_private;
	size_t len;
	char *hosts; /* patterns, each with its NUL */
};

/* One relay's door. */
struct relay {
	struct asker *asker;
	struct chan *chan;
	const struct rule *rule; /* NULL: it may reach nothing */
	char name[65], execution[65];
	uint32_t instance;
	unsigned dials;
};

/* One connection on its way. */
struct dial {
	TAILQ_ENTRY(dial) entry;
	struct relay *relay;
	uint64_t reqid, due_ms, try_due_ms;
	char host[HOST_MAX];
	uint16_t port;
	int fd, next, naddresses, error;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addresses[ADDRESSES_MAX];
	struct event *writable;
};

static STAILQ_HEAD(, rule) rules = STAILQ_HEAD_INITIALIZER(rules);
static TAILQ_HEAD(, dial) dials = TAILQ_HEAD_INITIALIZER(dials);
static unsigned ndials;
static uint32_t timeout_ms = 10000;

static void connect_next(struct dial *);

int
dial_conf(void *msg)
{
	const struct msg_conf_tunnel *m = msg;
	struct rule *r = calloc(1, sizeof(*r));

	if (r == NULL || span_copy(m->server, r->name, sizeof(r->name)) == -1 ||
	    m->hosts.len == 0 || m->hosts.p[m->hosts.len - 1] != '\0' ||
	    (r->hosts = malloc(m->hosts.len)) == NULL) {
		free(r);
		return -1;
	}
	memcpy(r->hosts, m->hosts.p, m->hosts.len);
	r->len = m->hosts.len;
	r->allow_private = m->allow_private;
	STAILQ_INSERT_TAIL(&rules, r, entry);
	return 0;
}

bool
dial_any(void)
{
	return !STAILQ_EMPTY(&rules);
}

void
dial_timeout(uint32_t ms)
{
	timeout_ms = ms;
}

void *
dial_peer(struct chan *c, uint32_t instance, const char *tenant, const char *name)
{
	struct relay *y = calloc(1, sizeof(*y));
	const struct rule *r;

	if (y == NULL) {
		chan_drop(c, "out of memory");
		return NULL;
	}
	y->asker = resolve_peer(c, instance, tenant, name);
	y->chan = c;
	y->instance = instance;
	snprintf(y->name, sizeof(y->name), "%s", name);
	snprintf(y->execution, sizeof(y->execution), "%s", proc_peer_execution());
	STAILQ_FOREACH (r, &rules, entry)
		if (strcmp(r->name, name) == 0)
			y->rule = r;
	return y;
}

static void
dial_free(struct dial *d)
{
	if (d->writable != NULL)
		event_free(d->writable);
	if (d->fd >= 0)
		close(d->fd);
	TAILQ_REMOVE(&dials, d, entry);
	d->relay->dials--;
	ndials--;
	free(d);
}

void
dial_gone(struct chan *c, void *owner)
{
	struct relay *y = owner;
	struct dial *d, *next;

	if (y == NULL)
		return;
	resolve_gone(c, y->asker);
	for (d = TAILQ_FIRST(&dials); d != NULL; d = next) {
		next = TAILQ_NEXT(d, entry);
		if (d->relay == y)
			dial_free(d);
	}
	free(y);
}

/* -- answers and rows -- */

static void
record(const struct relay *y, const char *host, bool opened, const char *code,
    const char *detail)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(tunnel_record, m);

	m.instance = y->instance;
	m.server = span_str(y->name);
	m.execution = span_str(y->execution);
	m.host = span_str(host);
	m.opened = opened;
	m.code = span_str(code);
	m.detail = span_str(detail);
	if (judge != NULL)
		chan_note(judge, MSG_tunnel_record, &m);
}

static void
refuse(struct relay *y, uint64_t reqid, const char *host, unsigned status,
    const char *code, const char *message)
{
	MSG_INIT(tunnel_opened, m);

	record(y, host, false, code, message);
	m.status = status;
	m.message = span_str(message);
	chan_answer(y->chan, reqid, MSG_tunnel_opened, &m);
}

static void
fail(struct dial *d, unsigned status, const char *code, const char *message)
{
	char host[HOST_MAX + 8];

	snprintf(host, sizeof(host), "%s:%u", d->host, d->port);
	refuse(d->relay, d->reqid, host, status, code, message);
	dial_free(d);
}

static void
connected(struct dial *d)
{
	char host[HOST_MAX + 8];
	int one = 1;
	MSG_INIT(tunnel_opened, m);

	(void)setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	snprintf(host, sizeof(host), "%s:%u", d->host, d->port);
	record(d->relay, host, true, "", "");
	m.status = 200;
	m.conn = d->fd;
	d->fd = -1;
	chan_answer(d->relay->chan, d->reqid, MSG_tunnel_opened, &m);
	dial_free(d);
}

/* -- connecting -- */

/* The same once more says how it went: 0, or why not. */
static int
connect_to(struct dial *d)
{
	const struct sockaddr *sa = &d->addresses[d->next - 1].sa;

	return connect(d->fd, sa,
	    sa->sa_family == AF_INET ? sizeof(struct sockaddr_in)
				     : sizeof(struct sockaddr_in6));
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;

	(void)fd;
	(void)what;
	if (connect_to(d) == 0 || errno == EISCONN) {
		connected(d);
		return;
	}
	d->error = errno;
	connect_next(d);
}

static void
drop_socket(struct dial *d)
{
	if (d->writable != NULL)
		event_free(d->writable);
	d->writable = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static void
connect_next(struct dial *d)
{
	uint64_t now = loop_now_ms();

	while (drop_socket(d), d->next < d->naddresses) {
		d->fd = socket(d->addresses[d->next++].sa.sa_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (d->fd >= 0 && connect_to(d) == 0) {
			connected(d);
			return;
		}
		d->error = errno;
		if (d->fd < 0 || errno != EINPROGRESS)
			continue;
		/* what is left of the time, shared by the addresses that are left */
		d->try_due_ms = now +
		    (d->due_ms > now
			    ? (d->due_ms - now) / (uint64_t)(d->naddresses - d->next + 1)
			    : 0);
		d->writable = event_new(loop_base(), d->fd, EV_WRITE, on_writable, d);
		if (d->writable != NULL && event_add(d->writable, NULL) == 0)
			return;
	}
	fail(d, 502, "connect", strerror(d->error));
}

/* Takes an address unless the server must not reach it. True when it is one to try. */
static bool
add_address(struct dial *d, int family, const void *octets)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(d->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(d->port)};
	const struct sockaddr *sa;

	if (family == AF_INET) {
		memcpy(&in.sin_addr, octets, 4);
		sa = (const struct sockaddr *)&in;
	} else {
		memcpy(&in6.sin6_addr, octets, 16);
		sa = (const struct sockaddr *)&in6;
	}
	if (addr_is_metadata(sa) ||
	    (!d->relay->rule->allow_private && addr_is_forbidden(sa)) ||
	    d->naddresses == ADDRESSES_MAX)
		return false;
	if (family == AF_INET)
		d->addresses[d->naddresses++].in = in;
	else
		d->addresses[d->naddresses++].in6 = in6;
	return true;
}

static void
try_addresses(struct dial *d)
{
	if (d->naddresses > 0)
		connect_next(d);
	else
		fail(d, 403, "address_refused",
		    "the host's address is loopback, private, link-local or otherwise "
		    "special, which network.allow_private would have to allow; those of "
		    "metadata services stay refused");
}

static void
on_resolved(void *arg, int code, const uint8_t *octets, size_t len)
{
	struct dial *d = arg;

	if (code != 0 || len == 0) {
		fail(d, 502, "resolve", "the host's name cannot be resolved");
		return;
	}
	for (; len >= ADDRESS_OCTETS; octets += ADDRESS_OCTETS, len -= ADDRESS_OCTETS)
		(void)add_address(d, octets[0] == 4 ? AF_INET : AF_INET6, octets + 2);
	try_addresses(d);
}

/* -- questions -- */

static bool
is_named(const struct rule *r, const char *host, uint16_t port)
{
	const char *p;

	if (r == NULL)
		return false;
	for (p = r->hosts; p < r->hosts + r->len; p += strlen(p) + 1)
		if (domain_match(p, host, port))
			return true;
	return false;
}

static void
begin(struct relay *y, uint64_t reqid, int kind, const char *host, uint16_t port)
{
	struct dial *d = calloc(1, sizeof(*d));
	char text[HOST_MAX];
	uint8_t octets[16];
	size_t len;

	if (d == NULL || ndials >= DIALS_MAX || y->dials >= DIALS_PER_DOOR) {
		free(d);
		refuse(
		    y, reqid, host, 503, "too_many", "too many connections are opened");
		return;
	}
	d->relay = y;
	d->reqid = reqid;
	d->fd = -1;
	d->port = port;
	d->due_ms = loop_now_ms() + timeout_ms;
	snprintf(d->host, sizeof(d->host), "%s", host);
	y->dials++;
	ndials++;
	TAILQ_INSERT_TAIL(&dials, d, entry);
	if (kind == HOST_NAME) {
		resolve_for(y->asker, y->chan, host, on_resolved, d);
		return;
	}
	/* [v6] without its brackets */
	len = strlen(host);
	if (kind == HOST_IPV6 && len > 2)
		snprintf(text, sizeof(text), "%.*s", (int)(len - 2), host + 1);
	else
		snprintf(text, sizeof(text), "%s", host);
	if (inet_pton(kind == HOST_IPV6 ? AF_INET6 : AF_INET, text, octets) == 1)
		(void)add_address(d, kind == HOST_IPV6 ? AF_INET6 : AF_INET, octets);
	try_addresses(d);
}

int
dial_open(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_tunnel_open *m = msg;
	struct relay *y = chan_owner(c);
	char text[301], host[HOST_MAX];
	uint16_t port = 0;
	int kind;

	if (m->how == TUNNEL_OTHER_METHOD) {
		refuse(y, reqid, "", 405, "not_connect",
		    "this proxy opens connections (CONNECT) only: use https, or a client "
		    "that asks for a tunnel");
		return 0;
	}
	if (m->how != TUNNEL_CONNECT ||
	    span_copy(m->authority, text, sizeof(text)) == -1) {
		refuse(y, reqid, "", 400, "malformed", "not a CONNECT request");
		return 0;
	}
	kind = host_normalise(text, strlen(text), host, &port);
	if (kind <= 0 || port == 0) {
		refuse(y, reqid, text, 400, "malformed",
		    "CONNECT wants a host, a colon and a port");
		return 0;
	}
	if (!is_named(y->rule, host, port)) {
		(void)snprintf(text, sizeof(text), "%s:%u", host, port);
		refuse(y, reqid, text, 403, "host_not_named",
		    "this host and port are not among the network.hosts of this tool "
		    "server");
		return 0;
	}
	begin(y, reqid, kind, host, port);
	return 0;
}

void
dial_tick(uint64_t now_ms)
{
	struct dial *d, *next;

	for (d = TAILQ_FIRST(&dials); d != NULL; d = next) {
		next = TAILQ_NEXT(d, entry);
		if (d->fd < 0 || d->writable == NULL || now_ms < d->try_due_ms)
			continue; /* the resolver has a time limit of its own */
		d->error = ETIMEDOUT;
		connect_next(d);
	}
}
