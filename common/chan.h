/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A door: one SOCK_SEQPACKET descriptor, one message a datagram, a permit table for what
 * the peer may ask, and the matching of our questions with its answers. Runs in every
 * daemon on its only event loop. What the peer may not say costs it the door.
 *
 * Messages go out together when the turn of the loop ends (chans_flush), so that a turn's
 * database commit comes before the answers that rest on it.
 */
#ifndef AEGIS_CHAN_H
#define AEGIS_CHAN_H

#include <stdint.h>

#include "common/msg.h"
#include "common/role.h"

struct chan;
struct event_base;

/*
 * Handles one permitted message. `msg` is the decoded struct; its strings live until the
 * handler returns, its descriptors and secrets are released then unless taken (set to -1
 * or NULL). An ASK must be answered with its reqid, now or later. 0, or -1 to drop the
 * peer for a message that was well-formed but cannot be honest.
 */
typedef int (*chan_fn)(struct chan *, uint64_t reqid, void *msg);

enum { /* permit.states: bits of the peer's state, chan_state_set() */
	CHAN_READY = 1 << 0,
	CHAN_STATE_2 = 1 << 1,
	CHAN_STATE_3 = 1 << 2,
	CHAN_ANY = 0xff
};

enum {
	PERMIT_ONCE = 1 << 0, /* at most once in the life of the door */
	PERMIT_HOT = 1 << 1   /* its handler looks at no row: chan_news_hook() */
};

/* One row: this peer may send this type in these states. No row: refused. */
struct permit {
	uint16_t type;
	uint8_t states;
	uint8_t flags;
	chan_fn fn;
};

#define PERMIT_LAST           \
	{                     \
		0, 0, 0, NULL \
	}

struct chan_conf {
	enum role own_role;
	enum role peer_role;
	uint32_t peer_instance;
	char peer_name[161]; /* which one of its kind; "" when there is one */
	const struct permit
	    *permits; /* ends with PERMIT_LAST; NULL: nothing but answers */
	void *owner;
	void (*on_ready)(struct chan *, void *owner); /* HELLO was right; may be NULL */
	/* The door is shut; every waiter has been told. Must not use the chan afterwards.
	 */
	void (*on_gone)(struct chan *, void *owner);
	/* Asked for each permitted question before its handler: 0 goes on; -1, it was
	 * answered already and that is all. May be NULL. */
	int (*allow)(
	    struct chan *, void *owner, unsigned type, uint64_t reqid, const void *msg);
	unsigned
	    max_open; /* unanswered asks of the peer before we stop reading; 0: 1024 */
};

/* Takes fd. Sends HELLO. NULL on failure (fd closed). */
struct chan *chan_new(struct event_base *, int fd, const struct chan_conf *);
/* The same for a descriptor on which HELLO was exchanged already (sync_hello). */
struct chan *chan_new_greeted(struct event_base *, int fd, const struct chan_conf *);
/* Octets of a datagram (without descriptors) that were received before it was ours. */
void chan_feed(struct chan *, uint8_t *, size_t len);
/* Shuts the door; waiters get CHAN_GONE, on_gone is called. Safe inside handlers. */
void chan_drop(struct chan *, const char *reason);

void *chan_owner(const struct chan *);
void chan_owner_set(struct chan *, void *owner);
enum role chan_peer_role(const struct chan *);
uint32_t chan_peer_instance(const struct chan *);
const char *chan_peer_name(const struct chan *);
/* 1 once HELLO was exchanged. */
int chan_is_ready(const struct chan *);
void chan_state_set(struct chan *, uint8_t state);
/*
 * Notes of this peer need not wake us: they are read when a turn begins for another
 * reason, before anything else of that turn, or by chans_read_patient().
 */
void chan_patient(struct chan *);
/* To be called once before the box in a process that has such peers. 0 or -1. */
int chans_patient_init(void);
/* Reads what patient doors hold, once a turn. */
void chans_read_patient(void);
/* Asks of ours without an answer yet. */
unsigned chan_waiting(const struct chan *);

/*
 * Queue a message. Descriptors in it become the channel's and are closed once sent (also
 * on failure); secrets are copied to the queue and stay the caller's. 0, or -1 when the
 * message does not fit its limits or the queue is full (see chan.c QUEUE_MAX).
 */
int chan_note(struct chan *, enum msg_type, void *msg);
/* A note that belongs to the question `reqid` (admin_row). */
int chan_note_for(struct chan *, uint64_t reqid, enum msg_type, void *msg);
int chan_answer(struct chan *, uint64_t reqid, enum msg_type, void *msg);
int chan_answer_error(struct chan *, uint64_t reqid, uint32_t code, const char *message);

enum chan_status {
	CHAN_OK = 0,
	CHAN_ERROR = -1, /* the peer answered with msg_error: it is in msg */
	CHAN_TIMEOUT = -2,
	CHAN_GONE = -3
};

/* msg is the answer's struct (CHAN_OK), a struct msg_error (CHAN_ERROR) or NULL. */
typedef void (*chan_answer_fn)(struct chan *, enum chan_status, void *msg, void *arg);

/* Asks. Returns the question's id, or 0 on failure (then fn is never called). */
uint64_t chan_ask(struct chan *, enum msg_type, void *msg, uint32_t timeout_ms,
    chan_answer_fn fn, void *arg);
/* The answer is no longer wanted: fn will not be called, a late answer is dropped. */
void chan_forget(struct chan *, uint64_t id);

/* Sends all that is queued anywhere; frees what was dropped. Called by the loop. */
void chans_flush(void);
/* Tells waiters whose time is over. Called by the loop's tick. */
void chans_tick(void);

/* For numbers (stats.h): every door that is open, and how many messages of peers of a
 * role were refused. */
void chans_each(void (*fn)(struct chan *, size_t octets_queued, void *arg), void *arg);
uint64_t chan_refused(enum role peer);
/* What the question `id` of ours waits with: its arg, if it waits for fn; else NULL. */
void *chan_waiter(const struct chan *, uint64_t id, chan_answer_fn fn);

/*
 * fn is called once when patient doors had something to say and a handler without
 * PERMIT_HOT is about to run in the same turn: who asks about the past is to see it.
 */
void chan_news_hook(void (*fn)(void));

/* Called once for each violation, before the door is shut. */
void chan_violation_hook(
    void (*fn)(enum role, uint32_t instance, unsigned type, const char *reason));

#endif
