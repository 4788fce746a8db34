/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants: the judge's word to one redeemer (a worker or toolhost), carried by the gate.
 * The judge seals id, time and the SHA-256 of what it judged under a key that only it and
 * that redeemer know (message grant_key); so a captured gate can neither make a grant,
 * nor change what it is for, nor use it twice, nor take it to another redeemer.
 */
#ifndef AEGIS_GRANT_H
#define AEGIS_GRANT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/wire.h"

struct secret;
struct replay;

#define GRANT_ID_LEN 16
#define GRANT_MAC_LEN 32
#define GRANT_DIGEST_LEN 32

/*
 * SHA-256 of a judged request: every field with its length before it, so that no two
 * different requests give the same octets. max_body: what a body of unknown length may
 * have; upgrade: to a WebSocket.
 */
void grant_digest_proxy(struct span method, struct span authority, struct span target,
    struct span headers, uint64_t body_len, uint64_t max_body, bool upgrade,
    uint8_t digest[GRANT_DIGEST_LEN]);
/* SHA-256 of a judged tool call: the server's number, the execution ("": for all), and
 * the payload's octets. */
void grant_digest_tool(uint32_t server, struct span execution, const void *payload,
    size_t len, uint8_t digest[GRANT_DIGEST_LEN]);

struct grant {
	uint8_t request_id[16];
	uint8_t
	    id[GRANT_ID_LEN];  /* a number (native order) that no grant shares; random */
	uint64_t not_after_ms; /* loop_boot_ms(): one machine, one clock, set by nobody */
	uint8_t mac[GRANT_MAC_LEN];
};

/* Judge: fills id, not_after_ms and mac; request_id is set already. 0 or -1. */
int grant_seal(struct grant *, const struct secret *key, uint64_t now_ms,
    const uint8_t digest[GRANT_DIGEST_LEN]);

enum grant_verdict {
	GRANT_GOOD = 0,
	GRANT_FORGED = -1, /* not of this key, or not for this request */
	GRANT_LATE = -2,
	GRANT_REUSED = -3
};

/* The redeemer's side: its current key, the one before (kept GRANT_TTL_MS), what was
 * used. */
struct grant_book;
struct grant_book *grant_book_new(void);
void grant_book_free(struct grant_book *);
/* A new key; takes it. */
void grant_book_key_take(struct grant_book *, struct secret *key, uint64_t now_ms);
int grant_book_has_key(const struct grant_book *);
enum grant_verdict grant_redeem(struct grant_book *, const struct grant *,
    uint64_t now_ms, const uint8_t digest[GRANT_DIGEST_LEN]);
const char *grant_strverdict(enum grant_verdict);

#endif
