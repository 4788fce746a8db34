/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its answer, from proxy_open to done. Egress worker. These files share
 * the struct: admit.c (the way in), exchange.c (connection, end, time), send.c (towards
 * the upstream), receive.c (heads and small answers) and download.c (streamed answers).
 *
 * Functions that return -1 have ended the exchange, or begun it anew: it may be freed,
 * touch nothing of it.
 */
#ifndef AEGIS_WORKER_EXCHANGE_H
#define AEGIS_WORKER_EXCHANGE_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/grant.h"
#include "common/http1.h"
#include "common/http1_chunk.h"
#include "common/proto.h"
#include "egressd/worker/inject.h"
#include "common/reflect.h"
#include "egressd/worker/upstream.h"

#define EXCHANGES_MAX 256

enum exchange_state {
	EX_OPENING, /* waits for its connection */
	EX_HEAD,    /* sends, and waits for the head or all of a small answer */
	EX_STREAM,  /* passes an answer on */
	EX_SOCKET   /* is a WebSocket */
};

/* A body that comes down a stream from the gate. */
struct upload {
	int fd; /* -1: none, or over */
	bool streamed;
	bool taken; /* something was read from it: it cannot be sent again */
	bool chunked;
	bool waiting;  /* for the gate */
	uint64_t left; /* octets to come; when chunked: that may come */
	uint8_t *buf;
	size_t off, len; /* what is not sent yet */
	struct event readable;
};

/* An answer that goes down a stream to the gate. */
struct download {
	int fd;       /* -1: none */
	bool waiting; /* for the gate */
	bool over;    /* the upstream's part is complete */
	enum http1_body kind;
	uint64_t left; /* with HTTP1_BODY_LENGTH */
	struct http1_chunked chunked;
	struct reflect_at at[2]; /* credential_feed() */
	uint8_t *buf;
	size_t off, len; /* searched, not passed on */
	struct event writable;
};

struct exchange {
	TAILQ_ENTRY(exchange) entry;
	struct chan *gate; /* NULL: gone */
	uint64_t reqid;    /* 0: answered */
	uint8_t request_id[REQUEST_ID_LEN];
	uint8_t grant[GRANT_ID_LEN];
	struct credential *credential;
	struct worker_target to;
	struct upstream *up;
	enum exchange_state state;
	bool hook;    /* a webhook: the judge wants to know how it went, not the answer */
	bool upgrade; /* asks for a WebSocket */
	bool head_only;  /* HEAD */
	bool idempotent; /* may be sent again */
	bool retried;
	bool with_old;  /* the secret before a rotation (grace.h) */
	bool with_both; /* one after the other */
	bool sent_all;  /* head and body are on their way */
	bool sending_failed;
	bool answered;   /* at least one octet came back */
	bool keep;       /* the connection can carry another request */
	struct buf text; /* method, target, headers, body */
	struct inject_request request;
	size_t sent; /* octets of head and inline body */
	bool head_sent;
	struct upload up_body;
	struct buf in; /* an answer that came in pieces */
	size_t need;   /* how much of it makes sense to look at */
	unsigned interim;
	struct http1_parser parser;
	struct download down;
	struct socket *socket; /* of EX_SOCKET */
	uint32_t timeout_ms;
	uint32_t idle_ms; /* of a WebSocket */
	uint64_t due_ms;
	uint64_t began_us;
	uint64_t bytes_in, bytes_out;
	uint32_t status;
	char detail[256];
};

/* Which request a line of the log is about; a delivery of a webhook is for none. */
struct log_kv exchange_log(const struct exchange *);
/* Handlers of permit.c (admit.c, exchange.c). */
int exchange_open(struct chan *, uint64_t reqid, void *msg);
int exchange_cancel(struct chan *, uint64_t reqid, void *msg);
int exchange_socket_end(struct chan *, uint64_t reqid, void *msg);
/* A gate is gone, and with it all it asked for. */
void exchange_gate_gone(struct chan *);

/* 0 or -1 with *why; before the process is boxed. */
int exchange_init(const char **why);
/* Empty and among the living; NULL without memory. */
struct exchange *exchange_new(void);
/*
 * Gets a connection and sends; fresh: not one that carried a request before. Always -1:
 * what happens to the exchange is in other hands then.
 */
int exchange_begin(struct exchange *, bool fresh);
unsigned exchange_count(void);
/* Of these, the WebSockets, and those that ask for one. */
unsigned exchange_count_sockets(void);
void exchange_set_upgrade(struct exchange *);
void exchange_sweep(uint64_t now_ms);

/* Calls fn for each that is a WebSocket; fn may end it. */
void exchange_sockets(void (*fn)(struct exchange *, const void *), const void *arg);

/* Something moved: the clock of inactivity starts anew. */
void exchange_touch(struct exchange *);

/* Ends: the answer was passed on. Always -1. */
int exchange_finish(struct exchange *, enum outcome);
/*
 * Ends with an answer of our own (or, when the head is out already, by cutting the
 * answer). cause may be NULL. Always -1.
 */
int exchange_fail(struct exchange *, enum outcome, uint32_t status, const char *error,
    const char *cause, const char *hint);
/* The connection is not needed any more: kept for others if it can be. */
void exchange_release(struct exchange *);
/* The connection died while an answer was due: once more, or the end. Always -1. */
int exchange_lost(struct exchange *);

/* send.c. 0 or -1. */
int exchange_send(struct exchange *);
/* The body is longer than was judged. Always -1. */
int exchange_too_large(struct exchange *);
void upload_close(struct upload *);
/* receive.c. 0 or -1. */
int exchange_receive(struct exchange *);
/* The upstream's answer cannot be passed on: cause. It holds the secret: where. Always
 * -1. */
int exchange_broken(struct exchange *, const char *cause);
int exchange_echoed(struct exchange *, const char *where);

/*
 * download.c. The final head came, `fields` may be passed on, `len` octets of the body
 * are here: the rest goes down a stream. 0 or -1.
 */
int download_begin(struct exchange *, const struct http1_head *, struct span fields,
    const uint8_t *body, size_t len);
int download_pump(struct exchange *);
void download_close(struct download *);

#endif
