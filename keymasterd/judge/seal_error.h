/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals in the words of SEAL: codes, HTTP statuses, and the one body that every client
 * we know can read. Runs in the judge.
 */
#ifndef AEGIS_JUDGE_SEAL_ERROR_H
#define AEGIS_JUDGE_SEAL_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"

struct buf;
struct decide;

enum seal_code {
	SEAL_MALFORMED = 1000,
	SEAL_SIGNATURE = 1001,
	SEAL_EXPIRED =
	    1003, /* token or session over; also stale and repeated envelopes */
	SEAL_TOKEN = 1004,
	SEAL_NO_SESSION = 1005,
	SEAL_REVOKED = 1006,
	SEAL_NOT_ALLOWED = 2000,
	SEAL_DENIED = 2001,
	SEAL_PATH = 2002,
	SEAL_COMMAND = 2003,
	SEAL_DOMAIN = 2004,
	SEAL_RATE = 2005,
	SEAL_NO_CAPABILITY = 2006,
	SEAL_WORKLOAD = 3000,
	SEAL_SCOPE = 3001,
	SEAL_ATTEST = 3002
};

struct seal_refusal {
	unsigned code;        /* enum seal_code; below 1000 it is an HTTP status itself */
	uint32_t status;      /* HTTP; 0: the code's own (seal_status) */
	const char *message;  /* for people; may hold text of agents, is escaped */
	const char *reason;   /* details.reason, for machines; NULL: none */
	uint32_t retry_after; /* seconds; 0: no header */
	struct span request;  /* the payload's id as raw JSON; p NULL: the request id */
	uint64_t limit;       /* details.limit; 0: none */
	bool flat;            /* attestation: code and message at the top as well */
};

/* 1xxx and 3xxx: 401, 2005: 429, other 2xxx: 403. */
uint32_t seal_status(unsigned code);

/*
 * The body: protocol, status "error", error {code, message, timestamp, request_id,
 * details}, and error_code and message at the top when flat. 0, or -1 without memory.
 */
int seal_error_body(struct buf *, const struct seal_refusal *,
    const uint8_t request_id[16], uint64_t unix_us);

/* Ends a question: row blocked with the code, Retry-After, answer in SEAL's body. */
void seal_refuse(struct decide *, const struct seal_refusal *);

#endif
