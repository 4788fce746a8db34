/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decisions: one struct follows a question of the gate from its arrival to its answer and
 * carries the ledger row that will be written for it. Every question ends in exactly one
 * of the functions below, which append the row and queue the answer; it leaves after the
 * commit (turn.h). Runs in the judge on what agents wrote.
 *
 *	struct decide d;
 *	decide_begin(&d, chan, reqid, m->peer);
 *	d.row.agent = span_str(agent->name);
 *	decide_refuse(&d, 403, "agent_scope", "...", "hint", DK("agent", agent->name),
 *DK_END);
 */
#ifndef AEGIS_JUDGE_DECIDE_H
#define AEGIS_JUDGE_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/chan.h"
#include "common/grant.h"
#include "common/proto.h"
#include "common/span.h"
#include "keymasterd/judge/ledger.h"

struct redeemer;
struct flight;
struct agent;

struct decide {
	struct chan *chan;
	uint64_t reqid;
	uint8_t request_id[16]; /* X-Aegis-Request-Id; row.request points here */
	struct ledger_row row;  /* kind is LEDGER_DECISION, peer is set */
	int budget;   /* enum ledger_cause of a refusal before authentication, -1: none */
	uint8_t seal; /* if the commit fails, say so in SEAL's error body */
	uint8_t close;       /* close the agent's connection after the answer */
	char policy[120];    /* row.policy points here */
	const char *headers; /* extra header lines of the answer, NULL: none */
};

/* Fresh request id, empty row. peer must live until the answer. */
void decide_begin(struct decide *, struct chan *, uint64_t reqid, struct span peer);

/* Extra members of a refusal's body, in order, DK_END last. */
enum decide_kv_kind { DECIDE_STR = 1, DECIDE_UINT, DECIDE_LIST };
struct decide_kv {
	const char *key;
	enum decide_kv_kind kind;
	struct span s; /* LIST: comma separated, written as an array */
	uint64_t u;
};
#define DK(k, str) ((struct decide_kv){(k), DECIDE_STR, span_str(str), 0})
#define DKS(k, span) ((struct decide_kv){(k), DECIDE_STR, (span), 0})
#define DKU(k, n) ((struct decide_kv){(k), DECIDE_UINT, {NULL, 0}, (n)})
#define DK_END ((struct decide_kv){NULL, DECIDE_STR, {NULL, 0}, 0})
#define DKL(k, span) ((struct decide_kv){(k), DECIDE_LIST, (span), 0})

/*
 * The gate's own refusals (spec/gate.md 7.4): row blocked with `code`, reason `error`;
 * body {"error":error, the members, "hint":hint}. hint may be NULL; n members.
 */
void decide_refuse_kv(struct decide *, uint32_t status, const char *code,
    struct span error, const char *hint, const struct decide_kv *, size_t n);
#define decide_refuse(d, status, code, error, hint, ...)                 \
	decide_refuse_kv((d), (status), (code), span_str(error), (hint), \
	    (const struct decide_kv[]){__VA_ARGS__},                     \
	    sizeof((struct decide_kv[]){__VA_ARGS__}) / sizeof(struct decide_kv))

/*
 * Any other answer (SEAL results and errors, API answers): the caller has filled the row,
 * d->row.decision included; with d->row.kind == 0 no row is written (health, key sets).
 * The body is JSON, at most 49152 octets. Copies it.
 */
void decide_answer(struct decide *, uint32_t status, const void *body, size_t len);

/* The same refusal in SEAL's error body (spec/seal.md 6.4); row blocked, code as text.
 * request: the payload's id as raw JSON, NULL gives the request id in hex. */
void decide_refuse_seal(struct decide *, uint32_t status, unsigned code,
    const char *message, struct span request);

/*
 * A grant for toolhost. The caller has filled the row and checked that redeemer_ready();
 * this computes the digest over the payload, seals, notes the flight, appends the row
 * (allowed, judged) and queues VERDICT_TOOL. agent may be NULL.
 */
struct decide_tool {
	uint32_t server;
	struct span execution; /* whose process of it; empty: the one for all */
	const void *payload;   /* the slice of the envelope */
	uint32_t payload_off, payload_len;
	uint32_t timeout_ms;
	uint64_t max_response;
	struct agent *agent;
	uint8_t wrap; /* enum wrap, 0: WRAP_SEAL */
	uint8_t log_level;
};
void decide_grant_tool(struct decide *, struct redeemer *, const struct decide_tool *);

/* A grant for a worker; headers as they will be forwarded. */
struct decide_proxy {
	struct span method, authority, target, headers;
	uint64_t body_len;
	enum inspect_mode inspect;
	struct agent *agent;
	bool upgrade;      /* to a WebSocket, of which the rest is */
	uint8_t token[32]; /* the SHA-256 of the agent's token */
	uint64_t process;
};
void decide_grant_proxy(struct decide *, struct redeemer *, const struct decide_proxy *);

#endif
