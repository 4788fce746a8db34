/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doors. Messages of one turn share a datagram: at fifty requests at once that is one
 * system call where there were eight, and half of the CPU of a request was such calls.
 * The datagrams of a peer are hostile: header, type, permit row, state, decode, in
 * this order, and the first thing that is wrong shuts the door.
 */
#include "common/chan.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"

#define RECV_BATCH 4
#define SPARES_MAX 4                /* datagrams that are kept for the next */
#define SPARE_MAX (16 * 1024)       /* and how long they may be */
#define QUEUE_MAX (8 * 1024 * 1024) /* octets that wait for a slow peer */
#define OPEN_DEFAULT 1024
#define PATIENT_DOORS 64  /* read in one turn */
#define PATIENT_ROUNDS 16 /* of RECV_BATCH each */

/* A datagram to be sent: messages back to back. */
struct out {
	STAILQ_ENTRY(out) entry;
	uint8_t *octets;
	size_t len, cap;
	int fds[WIRE_MAX_FDS];
	unsigned nfds;
	int alone; /* one message with descriptors or a secret: wiped */
};

struct waiter {
	uint64_t id; /* 0: free */
	uint64_t due_ms;
	const struct msg_desc *ask;
	chan_answer_fn fn; /* NULL: forgotten */
	void *arg;
};

struct chan {
	TAILQ_ENTRY(chan) entry;
	struct chan_conf conf;
	int fd;
	struct event *readable, *writable;
	int ready, dead, read_paused, write_wait, patient;
	uint8_t state;
	uint64_t once; /* bit per permit row already used */
	STAILQ_HEAD(, out) out;
	struct out *last; /* of them, when there is one */
	size_t out_octets;
	struct waiter *waiters;
	uint32_t nwaiters, waiting;
	uint32_t generation, free_hint;
	uint64_t next_due_ms;
	unsigned open; /* asks of the peer that we owe an answer */
};

static TAILQ_HEAD(, chan) chans = TAILQ_HEAD_INITIALIZER(chans);
static void (*violation)(enum role, uint32_t, unsigned, const char *);
static void (*news_hook)(void);
static STAILQ_HEAD(, out) spares = STAILQ_HEAD_INITIALIZER(spares);
static unsigned nspares;
static int patient_fd = -1; /* epoll: doors that do not wake us */
static int patient_done;    /* in this turn */
static int patient_news;    /* of this turn, and nobody was told */
static uint64_t refused[ROLE_MAX];

/* One set of buffers for the process: handlers run to their end before the next read. */
static uint8_t in_octets[RECV_BATCH][MSG_MAX + 1];
static uint8_t scratch[MSG_MAX];

static void on_readable(evutil_socket_t, short, void *);
static void on_writable(evutil_socket_t, short, void *);

void
chan_violation_hook(void (*fn)(enum role, uint32_t, unsigned, const char *))
{
	violation = fn;
}

void
chan_news_hook(void (*fn)(void))
{
	news_hook = fn;
}

static void
close_all(const int *fds, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		close(fds[i]);
}

static int
send_hello(struct chan *c)
{
	MSG_INIT(hello, m);

	m.version = MSG_VERSION;
	memcpy(m.schema, msg_schema_hash(), sizeof(m.schema));
	m.role = (uint8_t)c->conf.own_role;
	return chan_note(c, MSG_hello, &m);
}

static struct chan *
open_door(struct event_base *base, int fd, const struct chan_conf *conf, int greeted)
{
	struct chan *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return NULL;
	}
	c->fd = fd;
	c->conf = *conf;
	if (c->conf.max_open == 0)
		c->conf.max_open = OPEN_DEFAULT;
	c->state = CHAN_READY;
	c->next_due_ms = UINT64_MAX;
	STAILQ_INIT(&c->out);
	/* the judge is told first: that a call is over it must know before the agent
	 * does, whose next one would exceed its limit */
	if (conf->peer_role == ROLE_JUDGE)
		TAILQ_INSERT_HEAD(&chans, c, entry);
	else
		TAILQ_INSERT_TAIL(&chans, c, entry);
	evutil_make_socket_nonblocking(fd);
	c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(base, fd, EV_WRITE, on_writable, c);
	if (c->readable == NULL || c->writable == NULL ||
	    event_add(c->readable, NULL) == -1 || (!greeted && send_hello(c) == -1)) {
		c->conf.on_gone = NULL;
		chan_drop(c, "out of memory");
		return NULL;
	}
	c->ready = greeted;
	return c;
}

struct chan *
chan_new(struct event_base *base, int fd, const struct chan_conf *conf)
{
	return open_door(base, fd, conf, 0);
}

struct chan *
chan_new_greeted(struct event_base *base, int fd, const struct chan_conf *conf)
{
	return open_door(base, fd, conf, 1);
}

static void
reading_set(struct chan *c, int on)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	if (c->patient)
		(void)epoll_ctl(
		    patient_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, c->fd, &ev);
	else if (on)
		event_add(c->readable, NULL);
	else
		event_del(c->readable);
}

int
chans_patient_init(void)
{
	patient_fd = epoll_create1(EPOLL_CLOEXEC);
	return patient_fd == -1 ? -1 : 0;
}

void
chan_patient(struct chan *c)
{
	if (patient_fd == -1 || c->patient || c->dead)
		return;
	if (!c->read_paused)
		reading_set(c, 0);
	c->patient = 1;
	if (!c->read_paused)
		reading_set(c, 1);
}

void
chan_drop(struct chan *c, const char *reason)
{
	struct waiter w;
	uint32_t i;

	if (c->dead)
		return;
	c->dead = 1;
	LOG_DEBUG("chan.gone", LS("peer", role_name(c->conf.peer_role)),
	    LU("instance", c->conf.peer_instance), LS("reason", reason));
	if (c->readable != NULL)
		event_del(c->readable);
	if (c->writable != NULL)
		event_del(c->writable);
	close(c->fd);
	c->fd = -1;
	for (i = 0; i < c->nwaiters; i++) {
		w = c->waiters[i];
		c->waiters[i].id = 0;
		if (w.id != 0 && w.fn != NULL)
			w.fn(c, CHAN_GONE, NULL, w.arg);
	}
	c->waiting = 0;
	if (c->conf.on_gone != NULL)
		c->conf.on_gone(c, c->conf.owner);
}

/* The peer broke the rules: tell, then shut the door. */
static void
violate(struct chan *c, unsigned type, const char *reason)
{
	refused[c->conf.peer_role]++;
	LOG_WARN("permit.refused", LS("peer", role_name(c->conf.peer_role)),
	    LU("instance", c->conf.peer_instance), LU("type", type),
	    LS("reason", reason));
	if (violation != NULL)
		violation(c->conf.peer_role, c->conf.peer_instance, type, reason);
	chan_drop(c, reason);
}

/*
 * Without memory a door would have to be shut, and nobody would open it again while both
 * sides live. A process that ends is started anew, with all of its doors.
 */
static void __attribute__((noreturn)) no_memory(void)
{
	fatalx("out of memory");
}

/* A datagram that gets its octets. */
static struct out *
out_new(void)
{
	struct out *o = STAILQ_FIRST(&spares);

	if (o == NULL) {
		o = calloc(1, sizeof(*o));
		if (o == NULL)
			no_memory();
		return o;
	}
	STAILQ_REMOVE_HEAD(&spares, entry);
	nspares--;
	return o;
}

static void
out_free(struct out *o)
{
	close_all(o->fds, o->nfds);
	if (o->alone)
		explicit_bzero(o->octets, o->len);
	o->len = o->nfds = 0;
	o->alone = 0;
	if (nspares < SPARES_MAX && o->cap <= SPARE_MAX) {
		STAILQ_INSERT_HEAD(&spares, o, entry);
		nspares++;
		return;
	}
	free(o->octets);
	free(o);
}

/* The first datagram has gone, or nobody is there to take it. */
static void
out_drop_first(struct chan *c)
{
	struct out *o = STAILQ_FIRST(&c->out);

	STAILQ_REMOVE_HEAD(&c->out, entry);
	c->out_octets -= o->len;
	out_free(o);
}

static void
chan_free(struct chan *c)
{
	while (!STAILQ_EMPTY(&c->out))
		out_drop_first(c);
	TAILQ_REMOVE(&chans, c, entry);
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	free(c->waiters);
	free(c);
}

void *
chan_owner(const struct chan *c)
{
	return c->conf.owner;
}

void
chan_owner_set(struct chan *c, void *owner)
{
	c->conf.owner = owner;
}

enum role
chan_peer_role(const struct chan *c)
{
	return c->conf.peer_role;
}

uint32_t
chan_peer_instance(const struct chan *c)
{
	return c->conf.peer_instance;
}

const char *
chan_peer_name(const struct chan *c)
{
	return c->conf.peer_name;
}

int
chan_is_ready(const struct chan *c)
{
	return c->ready && !c->dead;
}

void
chan_state_set(struct chan *c, uint8_t state)
{
	c->state = state;
}

unsigned
chan_waiting(const struct chan *c)
{
	return c->waiting;
}

void
chans_each(void (*fn)(struct chan *, size_t, void *), void *arg)
{
	struct chan *c;

	TAILQ_FOREACH (c, &chans, entry)
		if (!c->dead)
			fn(c, c->out_octets, arg);
}

uint64_t
chan_refused(enum role peer)
{
	return refused[peer];
}

/* -- sending -- */

/* Room for so many octets more. */
static void
out_reserve(struct out *o, size_t more)
{
	size_t cap = o->cap == 0 ? 1024 : o->cap;
	uint8_t *p;

	while (cap < o->len + more)
		cap *= 2;
	if (cap == o->cap)
		return;
	p = realloc(o->octets, cap);
	if (p == NULL)
		no_memory();
	o->octets = p;
	o->cap = cap;
}

/* Puts an encoded message behind the others of its datagram, or into a new one. */
static void
put_out(struct chan *c, const struct wire_w *w, int alone)
{
	struct out *o = c->last;

	if (STAILQ_EMPTY(&c->out) || alone || o->alone || o->len + w->len > MSG_MAX) {
		o = out_new();
		out_reserve(o, w->len);
		STAILQ_INSERT_TAIL(&c->out, o, entry);
		c->last = o;
		o->alone = alone;
		o->nfds = w->nfds;
		memcpy(o->fds, w->fds, sizeof(o->fds));
	} else {
		out_reserve(o, w->len);
	}
	memcpy(o->octets + o->len, w->p, w->len);
	o->len += w->len;
	c->out_octets += w->len;
}

/* Descriptors come with one message, and a secret is not copied about. */
static int
stands_alone(const struct msg_desc *d, const struct wire_w *w)
{
	const struct msg_field *f;
	size_t i, n;

	if (w->nfds > 0 || !d->owns)
		return w->nfds > 0;
	for (f = d->fields(&n), i = 0; i < n; i++)
		if (f[i].kind == FIELD_SECRET)
			return 1;
	return 0;
}

static int
enqueue(
    struct chan *c, enum msg_type type, void *msg, uint64_t reqid, uint32_t deadline_ms)
{
	const struct msg_desc *d = msg_desc_get(type);
	struct wire_w w = {.p = scratch, .cap = sizeof(scratch)};
	const struct msg_field *f;
	size_t i, n;
	int r = -1;

	if (c->dead || c->out_octets > QUEUE_MAX)
		goto out;
	if (msg_encode(&w, d, msg, reqid, deadline_ms) == -1) {
		LOG_ERROR("chan.encode", LS("type", d->name),
		    LS("what", "a field is too long or not UTF-8"));
		goto out;
	}
	put_out(c, &w, stands_alone(d, &w));
	r = 0;
out:
	if (!d->owns)
		return r;
	/* descriptors are ours from here on, sent or not */
	for (f = d->fields(&n), i = 0; i < n; i++) {
		int *fd = (int *)(void *)((uint8_t *)msg + f[i].offset);

		if (f[i].kind == FIELD_SECRET)
			explicit_bzero(scratch, w.len);
		if (f[i].kind != FIELD_FD && f[i].kind != FIELD_OPTFD)
			continue;
		if (r == -1 && *fd >= 0)
			close(*fd);
		*fd = -1;
	}
	return r;
}

int
chan_note(struct chan *c, enum msg_type type, void *msg)
{
	return enqueue(c, type, msg, 0, 0);
}

int
chan_note_for(struct chan *c, uint64_t reqid, enum msg_type type, void *msg)
{
	return enqueue(c, type, msg, reqid, 0);
}

int
chan_answer(struct chan *c, uint64_t reqid, enum msg_type type, void *msg)
{
	if (c->open > 0)
		c->open--;
	if (c->read_paused && !c->dead && c->open < c->conf.max_open / 2) {
		c->read_paused = 0;
		reading_set(c, 1);
	}
	return enqueue(c, type, msg, reqid, 0);
}

int
chan_answer_error(struct chan *c, uint64_t reqid, uint32_t code, const char *message)
{
	MSG_INIT(error, m);

	m.code = code;
	m.message = span_str(message);
	return chan_answer(c, reqid, MSG_error, &m);
}

/* Sends one datagram. 1 when more may go, 0 when the peer is slow or the queue empty. */
static int
send_datagram(struct chan *c)
{
	struct out *o = STAILQ_FIRST(&c->out);
	struct iovec iov = {o->octets, o->len};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
	} control;
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (o->nfds > 0) {
		memset(&control, 0, sizeof(control));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(o->nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), o->fds, o->nfds * sizeof(int));
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(o->nfds * sizeof(int));
	}
	if (sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
			event_add(c->writable, NULL);
			c->write_wait = 1;
		} else if (errno != EINTR) {
			chan_drop(c, strerror(errno));
		}
		return errno == EINTR;
	}
	out_drop_first(c);
	return !STAILQ_EMPTY(&c->out);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct chan *c = arg;

	(void)fd;
	(void)what;
	c->write_wait = 0;
}

void
chans_flush(void)
{
	struct chan *c, *next;

	patient_done = patient_news = 0;
	for (c = TAILQ_FIRST(&chans); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		while (!c->dead && !c->write_wait && !STAILQ_EMPTY(&c->out) &&
		    send_datagram(c))
			;
		if (c->patient && c->waiting > 0)
			loop_soon(); /* its answer is waited for */
	}
	for (c = TAILQ_FIRST(&chans); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->dead)
			chan_free(c);
	}
}

/* -- questions of ours -- */

uint64_t
chan_ask(struct chan *c, enum msg_type type, void *msg, uint32_t timeout_ms,
    chan_answer_fn fn, void *arg)
{
	const struct msg_desc *d = msg_desc_get(type);
	struct waiter *w;
	uint32_t i, n;

	for (i = c->free_hint; i < c->nwaiters && c->waiters[i].id != 0; i++)
		;
	if (i == c->nwaiters) {
		for (i = 0; i < c->nwaiters && c->waiters[i].id != 0; i++)
			;
	}
	if (i == c->nwaiters) {
		n = c->nwaiters == 0 ? 16 : c->nwaiters * 2;
		if (n > UINT16_MAX) {
			(void)enqueue(
			    c, type, msg, 0, 0); /* would lose the descriptors */
			chan_drop(c, "too many questions");
			return 0;
		}
		w = reallocarray(c->waiters, n, sizeof(*w));
		if (w == NULL)
			no_memory();
		memset(w + c->nwaiters, 0, (n - c->nwaiters) * sizeof(*w));
		c->waiters = w;
		c->nwaiters = n;
	}
	w = &c->waiters[i];
	c->free_hint = i + 1;
	w->id = (uint64_t)++c->generation << 16 | (i + 1);
	w->ask = d;
	w->fn = fn;
	w->arg = arg;
	w->due_ms = loop_now_ms() + timeout_ms;
	if (enqueue(c, type, msg, w->id, timeout_ms) == -1) {
		w->id = 0;
		return 0;
	}
	if (w->due_ms < c->next_due_ms)
		c->next_due_ms = w->due_ms;
	c->waiting++;
	return w->id;
}

static struct waiter *
waiter_find(struct chan *c, uint64_t id)
{
	uint32_t i = (uint32_t)(id & 0xffff);

	if (i == 0 || i > c->nwaiters || c->waiters[i - 1].id != id)
		return NULL;
	return &c->waiters[i - 1];
}

void *
chan_waiter(const struct chan *c, uint64_t id, chan_answer_fn fn)
{
	uint32_t i = (uint32_t)(id & 0xffff);

	if (i == 0 || i > c->nwaiters || c->waiters[i - 1].id != id ||
	    c->waiters[i - 1].fn != fn)
		return NULL;
	return c->waiters[i - 1].arg;
}

void
chan_forget(struct chan *c, uint64_t id)
{
	struct waiter *w = waiter_find(c, id);

	if (w != NULL)
		w->fn = NULL; /* the slot is kept: the answer will come and is known */
}

void
chans_tick(void)
{
	struct waiter w;
	struct chan *c;
	uint64_t now = loop_now_ms(), next;
	uint32_t i;

	TAILQ_FOREACH (c, &chans, entry) {
		if (c->dead || c->next_due_ms > now)
			continue;
		next = c->next_due_ms = UINT64_MAX;
		for (i = 0; i < c->nwaiters && !c->dead; i++) {
			w = c->waiters[i];
			if (w.id == 0 || w.fn == NULL)
				continue;
			if (w.due_ms <= now) {
				c->waiters[i].fn = NULL;
				w.fn(c, CHAN_TIMEOUT, NULL, w.arg);
			} else if (w.due_ms < next) {
				next = w.due_ms;
			}
		}
		if (next < c->next_due_ms) /* else a handler has asked something */
			c->next_due_ms = next;
	}
}

/* -- receiving -- */

static int
check_hello(struct chan *c, const struct msg_hello *m)
{
	if (m->version != MSG_VERSION ||
	    memcmp(m->schema, msg_schema_hash(), sizeof(m->schema)) != 0) {
		LOG_ERROR("chan.schema", LS("peer", role_name(c->conf.peer_role)),
		    LX("theirs", m->schema, 8), LX("ours", msg_schema_hash(), 8),
		    LS("what", "programs of different builds: install all of one build"));
		return -1;
	}
	return m->role == (uint8_t)c->conf.peer_role ? 0 : -1;
}

static const struct permit *
permit_find(const struct chan *c, unsigned type, uint64_t *bit)
{
	const struct permit *p;

	*bit = 1;
	for (p = c->conf.permits; p != NULL && p->type != 0; p++, *bit <<= 1)
		if (p->type == type)
			return p;
	return NULL;
}

static void
deliver_answer(
    struct chan *c, const struct msg_head *h, const struct msg_desc *d, void *msg)
{
	struct waiter *w = waiter_find(c, h->reqid), copy;

	if (w == NULL || (d->type != w->ask->answer && d->type != MSG_error)) {
		violate(
		    c, d->type, w == NULL ? "answer without a question" : "wrong answer");
		return;
	}
	copy = *w;
	w->id = 0;
	c->waiting--;
	if (w < c->waiters + c->free_hint)
		c->free_hint = (uint32_t)(w - c->waiters);
	if (copy.fn != NULL)
		copy.fn(c, d->type == MSG_error ? CHAN_ERROR : CHAN_OK, msg, copy.arg);
}

/* One decoded message to the waiter or the permit row's handler. */
static void
dispatch(struct chan *c, const struct msg_head *h, const struct msg_desc *d, void *msg)
{
	const struct permit *p;
	uint64_t bit;

	if (!c->ready) {
		if (d->type != MSG_hello || check_hello(c, msg) == -1) {
			violate(c, d->type, "no proper HELLO");
			return;
		}
		c->ready = 1;
		if (c->conf.on_ready != NULL)
			c->conf.on_ready(c, c->conf.owner);
		return;
	}
	if (d->kind == MSG_IS_ANSWER) {
		deliver_answer(c, h, d, msg);
		return;
	}
	p = permit_find(c, d->type, &bit);
	if (p == NULL) /* refuse_early() saw to that; a compiler cannot know */
		return;
	if (p->flags & PERMIT_ONCE)
		c->once |= bit;
	if (d->kind == MSG_IS_ASK && ++c->open >= c->conf.max_open && !c->read_paused) {
		c->read_paused = 1;
		reading_set(c, 0);
	}
	if (d->kind == MSG_IS_ASK && c->conf.allow != NULL &&
	    c->conf.allow(c, c->conf.owner, d->type, h->reqid, msg) == -1)
		return;
	if (patient_news && !(p->flags & PERMIT_HOT)) {
		patient_news = 0;
		if (news_hook != NULL)
			news_hook();
	}
	if (!c->dead && p->fn(c, h->reqid, msg) == -1)
		violate(c, d->type, "refused by its handler");
}

/* Why this message may not even be decoded, or NULL. */
static const char *
refuse_early(
    struct chan *c, const struct msg_head *h, const struct msg_desc *d, unsigned nfds)
{
	const struct permit *p;
	uint64_t bit;

	if (d == NULL)
		return "unknown type";
	if (h->nfds != nfds)
		return "wrong number of descriptors";
	if (!c->ready)
		return d->type == MSG_hello ? NULL : "message before HELLO";
	if (d->kind == MSG_IS_ANSWER)
		return NULL;
	p = permit_find(c, d->type, &bit);
	if (p == NULL)
		return "no permit";
	if (!(p->states & c->state))
		return "not in this state";
	if ((p->flags & PERMIT_ONCE) && (c->once & bit))
		return "only once";
	if (d->kind == MSG_IS_ASK && h->reqid == 0)
		return "question without an id";
	return NULL;
}

/* One message of a datagram. Descriptors come only with a datagram of one message. */
static void
receive_one(struct chan *c, const struct msg_head *h, uint8_t *body, const int *fds,
    unsigned nfds)
{
	const struct msg_desc *d = msg_desc_get(h->type);
	const char *reason = refuse_early(c, h, d, nfds);
	static union msg_any msg; /* as the buffers: one at a time */

	if (reason == NULL && msg_decode(d, body, h->len, fds, nfds, &msg) == -1) {
		if (errno == ENOMEM && c->conf.peer_role != ROLE_ADMIN)
			no_memory(); /* and no fault of the peer's */
		reason = "cannot be decoded";
	}
	if (reason != NULL) {
		close_all(fds, nfds);
		violate(c, h->type, reason);
		return;
	}
	dispatch(c, h, d, &msg);
	msg_release(d, &msg);
}

/* A datagram: messages back to back that fill it exactly. */
static void
receive_datagram(
    struct chan *c, uint8_t *p, size_t len, const int *fds, unsigned nfds, int cut)
{
	struct msg_head h = {0};
	size_t used;

	while (!c->dead && len > 0) {
		if (cut || msg_head_decode(p, len, &h) == -1 ||
		    (nfds > 0 && h.len != len - MSG_HEADER)) {
			close_all(fds, nfds);
			violate(c, h.type, cut ? "cut datagram" : "bad header");
			return;
		}
		receive_one(c, &h, p + MSG_HEADER, fds, nfds);
		used = MSG_HEADER + h.len;
		p += used;
		len -= used;
	}
}

void
chan_feed(struct chan *c, uint8_t *p, size_t len)
{
	receive_datagram(c, p, len, NULL, 0, 0);
}

static unsigned
received_fds(struct msghdr *mh, int *fds)
{
	struct cmsghdr *cm;
	unsigned n = 0, i, have;
	int fd;

	for (cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		have = (unsigned)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (i = 0; i < have; i++) {
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
			if (n < WIRE_MAX_FDS)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	return n;
}

/* Takes some datagrams; returns how many. */
static int
receive(struct chan *c)
{
	struct mmsghdr mm[RECV_BATCH];
	struct iovec iov[RECV_BATCH];
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE((WIRE_MAX_FDS + 1) * sizeof(int))];
	} control[RECV_BATCH];
	int fds[WIRE_MAX_FDS], n, i, cut;
	unsigned nfds;

	memset(mm, 0, sizeof(mm));
	for (i = 0; i < RECV_BATCH; i++) {
		iov[i].iov_base = in_octets[i];
		iov[i].iov_len = sizeof(in_octets[i]);
		mm[i].msg_hdr.msg_iov = &iov[i];
		mm[i].msg_hdr.msg_iovlen = 1;
		mm[i].msg_hdr.msg_control = &control[i];
		mm[i].msg_hdr.msg_controllen = sizeof(control[i]);
	}
	n = recvmmsg(c->fd, mm, RECV_BATCH, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	if (n < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			chan_drop(c, strerror(errno));
		return 0;
	}
	for (i = 0; i < n; i++) {
		nfds = received_fds(&mm[i].msg_hdr, fds);
		cut = (mm[i].msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
		if (c->dead || mm[i].msg_len == 0) {
			/* an empty datagram is what the end of a SEQPACKET looks like */
			close_all(fds, nfds);
			if (!c->dead)
				chan_drop(c, "closed by the peer");
			continue;
		}
		receive_datagram(c, in_octets[i], mm[i].msg_len, fds, nfds, cut);
	}
	return n;
}

void
chans_read_patient(void)
{
	struct epoll_event ev[PATIENT_DOORS];
	struct chan *c;
	int i, n, round, got;

	if (patient_fd == -1 || patient_done)
		return;
	patient_done = 1;
	n = epoll_wait(patient_fd, ev, PATIENT_DOORS, 0);
	for (i = 0; i < n; i++) {
		c = ev[i].data.ptr; /* what died in this turn is freed at its end */
		for (round = 0; round < PATIENT_ROUNDS && !c->dead && !c->read_paused;
		     round++) {
			got = receive(c);
			patient_news |= got > 0;
			if (got < RECV_BATCH)
				break;
		}
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct chan *c = arg;

	(void)fd;
	(void)what;
	chans_read_patient();
	if (!c->dead)
		(void)receive(c);
}
