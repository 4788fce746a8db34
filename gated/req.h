/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request from its head to the last octet of its answer. gated. Everything of the
 * head that is needed later is copied, since the octets it was read from are reused.
 */
#ifndef AEGIS_GATED_REQ_H
#define AEGIS_GATED_REQ_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/chan.h"
#include "common/http1.h"
#include "common/http1_chunk.h"
#include "common/proto.h"
#include "gated/route.h"
#include "gated/timer.h"

struct conn;
struct feed;
struct redeemer;
struct wsock;
struct grant_copy;

enum req_state {
	REQ_COLLECT = 1, /* the body comes before the question */
	REQ_ASKED,       /* the judge has the question */
	REQ_DOOR,        /* granted, the redeemer's door has not arrived */
	REQ_SENT,        /* the redeemer has it */
	REQ_STREAM,      /* the answer flows */
	REQ_EVENTS,      /* it is a stream of events, as they come */
	REQ_REFUSING     /* the judge words our refusal */
};

/* A piece of req.text. */
struct part {
	uint32_t off, len;
};

/* The agent's body on its way. */
struct body {
	enum http1_body kind;
	bool done;      /* the agent has sent all of it */
	bool discard;   /* nobody wants the rest */
	uint64_t left;  /* of a body with a length */
	uint64_t total; /* octets so far */
	uint64_t limit; /* more than this is refused */
	uint32_t since; /* octets since the timer was started */
	size_t charged; /* of held, in the process' account */
	struct http1_chunked chunked;
	struct buf held; /* octets for which there is no taker yet */
	size_t held_off;
	struct inspect *look; /* what it holds is looked at, or NULL */
	bool look_blocks;     /* nothing leaves that has not been seen to its end */
	bool told;            /* the judge knows of a finding */
	uint64_t given;       /* octets that were sent, when looked at */
	int fd;               /* to the worker, or -1 */
	int ended; /* the same after its end was told, kept until the answer is there */
	struct event writable;
};

enum framing { FRAMING_LENGTH = 1, FRAMING_CHUNKED, FRAMING_CLOSE };

/* A streamed answer. */
struct flow {
	int fd; /* from the worker, or -1 */
	struct event readable;
	bool listening;  /* readable is added */
	bool eof, ended; /* the stream's end, proxy_end */
	bool gone;       /* the worker is, and no proxy_end will come */
	enum framing framing;
	uint64_t length; /* with FRAMING_LENGTH */
	uint64_t sent;
	uint64_t promised; /* proxy_end.bytes */
};

struct req {
	TAILQ_ENTRY(req)
	entry; /* in its redeemer, among those that wait for a door, or free */
	LIST_ENTRY(req) by_id; /* while the answer flows, or may come as events */
	struct conn *conn; /* NULL: the agent is gone, kept until who serves it knows */
	struct timer timer;
	struct chan
	    *chan; /* with `ask`: the open question, which is 0 when there is none */
	uint64_t ask;
	struct redeemer *redeemer;
	struct grant_copy *grant; /* in REQ_DOOR */
	const struct route *route;
	enum req_state state;
	uint8_t id[REQUEST_ID_LEN];
	bool has_id;
	bool seal; /* refuse in SEAL's error body */
	bool head_only;
	bool keep_alive;
	bool wants_continue;
	uint8_t minor;
	uint8_t wrap;
	uint8_t method_len;
	uint16_t refused; /* status, when the gate refuses */
	uint64_t max_response;
	char method[HTTP1_MAX_METHOD];
	uint64_t body_len; /* as declared; BODY_LEN_UNKNOWN when chunked */
	struct buf text;
	struct buf parts; /* of an answer of the judge, until all are here */
	/* target first, then what the route needs */
	struct part target, token, target_host, headers, content_type, authorization,
	    host, origin, context;
	/* of MCP */
	struct part accept, session, version, rpc_method, rpc_name;
	bool has_target_host;
	struct feed *feed; /* a feed of the data API, or NULL */
	struct wsock *ws;  /* a WebSocket to an upstream, or what is to be one; or NULL */
	uint8_t inspect;   /* enum inspect_mode, as judged */
	bool watched;      /* mcp_stream.c knows it by its id */
	struct body body;
	struct flow flow;
};

TAILQ_HEAD(req_list, req);

/* A request for this connection, which must have none. NULL without memory. */
struct req *req_new(struct conn *);
/* Ends everything the request has begun, tells the redeemer, and frees it. */
void req_cancel(struct req *);
/* Frees; nothing may be open. */
void req_free(struct req *);

/* Makes an id up when the judge has given none. */
void req_name(struct req *);
/* Keeps a copy of s in req.text. 0 or -1. */
int req_keep(struct req *, struct part *, struct span s);
struct span req_part(const struct req *, struct part);
struct span req_method(const struct req *);
/* Octets of the body that are held. */
struct span req_body(const struct req *);

/* How many there were. */
uint64_t requests_begun(void);
/* A complete head has arrived: routes it. The head's spans die when this returns. */
void request_begin(struct conn *, const struct http1_head *);
/* The whole body is here and the question was waiting for it. */
void request_collected(struct req *);

void proxy_begin(struct req *, const struct http1_head *);
void proxy_collected(struct req *);
void seal_begin(struct req *, const struct http1_head *);
void seal_collected(struct req *);
/* Keeps what the judge gets of the head. Why it is refused, or NULL. */
const char *api_keep_fields(struct req *, const struct http1_head *);
void api_begin(struct req *, const struct http1_head *);
void api_collected(struct req *);
void mcp_begin(struct req *, const struct http1_head *);

#endif
