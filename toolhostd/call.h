/* SPDX-License-Identifier: Apache-2.0 */
/* Tool calls: redeemed, sent under an id of ours, answered under the agent's. toolhostd.
 */
#ifndef AEGIS_TOOLHOSTD_CALL_H
#define AEGIS_TOOLHOSTD_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/proto.h"

struct chan;
struct server;

struct call {
	TAILQ_ENTRY(call) entry;
	struct server *server;
	struct chan *gate; /* NULL: the gate is gone */
	uint64_t reqid;
	uint8_t request_id[16], grant[16];
	struct buf line; /* what goes to the server, until it is sent */
	char id[256];    /* the agent's id as it stood on the wire */
	uint64_t number; /* ours */
	bool sent;
	uint8_t mcp;       /* enum tool_mcp */
	bool cacheable;    /* results say how long they hold */
	uint8_t log_level; /* enum mcp_level */
	char token[256];   /* the agent's progressToken as it stood; "": none */
	unsigned events;   /* sent so far */
	uint64_t due_ms, began_us, bytes_in, max_response;
};

int call_take(struct chan *, uint64_t reqid, void *msg);      /* tool_call */
int call_cancel(struct chan *, uint64_t reqid, void *msg);    /* tool_cancel */
int call_withdraw(struct chan *, uint64_t reqid, void *msg);  /* tool_withdraw */
int call_grant_key(struct chan *, uint64_t reqid, void *msg); /* grant_key */
int call_setup(void);
/* Sends what waited for the start. */
void call_send_waiting(struct server *);
struct call *call_find(struct server *, uint64_t number);
/* The only call under way on this server, if the agent takes events; else NULL. */
/* The longest answer that a call under way may have; without calls what the server may
 * write. */
uint64_t call_most_wanted(const struct server *);
struct call *call_sole(struct server *);
/* Sends a message (one line, no line break in it) to the agent ahead of the result.
 * must: not one that may be left out when there are too many. 0 or -1. */
int call_event(struct call *, const struct buf *line, bool must);
/* The server's answer: the response line, where its id stands in it, and where members of
 * its result begin (0: it has none, or says resultType itself). */
void call_answer(struct call *, const uint8_t *line, size_t len, size_t id_at,
    size_t id_len, size_t result_at);
/* Ends a call without an answer. */
void call_fail(struct call *, enum outcome, unsigned status, const char *message);
void call_fail_all(struct server *, enum outcome, unsigned status, const char *message);
void call_gate_gone(struct chan *);
void call_tick(struct server *, uint64_t now_ms);
/* How many are under way, over all servers. */
unsigned call_count(void);

#endif
