/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to upstreams: resolving by way of the dispatcher, connecting to a checked
 * address, TLS, and keeping idle connections for the next request. Egress worker.
 *
 * Sessions and idle connections are kept per (host, port) and never shared between them.
 */
#ifndef AEGIS_WORKER_UPSTREAM_H
#define AEGIS_WORKER_UPSTREAM_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/stream.h"
#include "egressd/worker/target.h"

struct place;
struct chan;

enum upstream_failure {
	UPSTREAM_RESOLVE = 1,
	UPSTREAM_REFUSED, /* every address is one that must not get a credential */
	UPSTREAM_CONNECT,
	UPSTREAM_TLS
};

enum upstream_state { UP_NEW, UP_RESOLVING, UP_CONNECTING, UP_TLS, UP_OPEN, UP_IDLE };

/* The one who uses connections. All may close the connection. */
struct upstream_user {
	void (*on_open)(void *arg);
	void (*on_fail)(void *arg, enum upstream_failure, const char *text);
	void (*on_io)(void *arg, short what); /* EV_READ, EV_WRITE */
};

struct upstream {
	TAILQ_ENTRY(upstream) entry; /* idle in its place, or opening */
	struct place *place;
	enum upstream_state state;
	struct stream stream;
	struct event readable, writable;
	bool reading;    /* readable is added */
	bool reused;     /* carried a request before this one */
	void *arg;       /* of the user */
	uint64_t due_ms; /* opening: give up; idle: close */
	uint64_t try_due_ms;
	struct chan *dispatcher; /* with ask: the open question */
	uint64_t ask;
	bool allow_private;
	struct worker_target to;
	struct address addresses[ADDRESSES_MAX];
	int naddresses, next;
	char address[64]; /* the one connected to, as text */
	char error[128];  /* why the last address did not work */
	char detail[176]; /* what an exchange says of it, or "" (exchange.c) */
};

/* Before the process is boxed. 0 or -1 with *why. */
int upstream_init(const struct upstream_user *, const char **why);

/*
 * An idle connection if there is one (state UP_OPEN, ready), else a new one to be started
 * with upstream_start(). fresh: never an idle one. probe: an idle one only if it shows no
 * sign of being closed. NULL without memory.
 */
struct upstream *upstream_get(
    const struct worker_target *, bool fresh, bool probe, void *arg);
/* Begins to open; the user's on_open or on_fail may be called from inside. */
void upstream_start(struct upstream *);
/* How many were begun. */
uint64_t upstream_opened(void);
/* Keeps the connection for another request. */
void upstream_keep(struct upstream *);
void upstream_close(struct upstream *);
/* The credential changed, perhaps what it allows: closes all idle connections. */
void upstream_forget(void);

/* Readiness to write is reported once. */
void upstream_want_write(struct upstream *);
/* Stops or resumes reports of readiness to read. */
void upstream_set_reading(struct upstream *, bool);

/* The dispatcher's door is shut (its waiters were told). Deadlines; every 100 ms or so.
 */
void upstream_sweep(uint64_t now_ms);

#endif
