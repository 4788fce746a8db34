/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent's connection. gated. An idle one is this struct and nothing else: buffers
 * exist while octets wait in them.
 */
#ifndef AEGIS_GATED_CONN_H
#define AEGIS_GATED_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "common/buf.h"
#include "common/http1.h"
#include "common/stream.h"
#include "gated/timer.h"

struct process_question;
struct req;

enum conn_state {
	CONN_PROCESS = 1, /* the judge looks who has connected */
	CONN_HANDSHAKE,
	CONN_HEAD,  /* between requests, or within a head */
	CONN_BUSY,  /* has a request */
	CONN_FLUSH, /* the last answer is on its way out */
	CONN_LINGER /* it is out; the agent may still be sending */
};

struct conn {
	TAILQ_ENTRY(conn) entry;
	struct stream stream;
	struct event readable, writable;
	struct timer timer;
	struct http1_parser parser;
	struct buf in; /* not parsed yet, from in_off on */
	size_t in_off;
	struct buf out; /* not taken by the socket yet, from out_off on */
	size_t out_off;
	struct req *req;
	enum conn_state state;
	short added;      /* EV_READ, EV_WRITE: which events are added */
	bool dead;        /* closed; freed when the turn ends */
	bool working;     /* its octets are being looked at further up the stack */
	bool close_after; /* no more requests after this one */
	bool unread;      /* the last request was answered before its end */
	bool served;      /* had a request before */
	char peer[INET6_ADDRSTRLEN];
	/* of a local connection: its number with the judge, and the question for it */
	uint64_t process;
	struct process_question *process_ask;
};

/* 0 or -1. */
int conns_init(void);
/* Open connections. */
unsigned conns_open(void);
/* Closes those without a request; the others say Connection: close from now on. */
void conns_drain(void);
bool conns_draining(void);

/* Takes an accepted descriptor. */
void conn_open_take(int fd, const struct sockaddr *);
/*
 * Sends, keeping what the socket does not take. 0, or -1: the connection is closed and
 * its request is gone.
 */
int conn_write(struct conn *, struct iovec *, int n);
/* Octets that wait for the socket. */
size_t conn_unsent(const struct conn *);
/* The answer is complete: frees the request, goes on with the next one or closes. */
void conn_request_done(struct conn *);
/* Closes; hard: with a reset, so that what was sent cannot be taken for a whole answer.
 */
void conn_close(struct conn *, bool hard);
/* Something changed that decides what to wait for. */
void conn_update(struct conn *);
/* There is room for the body again: go on reading. */
void conn_resume(struct conn *);

#endif
