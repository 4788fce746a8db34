/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of the request that goes to the upstream, the secret inside it. Runs in the
 * egress worker. The head is built in the locked arena each time it is sent (which is
 * nearly always once) and wiped right after, so it needs no keeping.
 */
#ifndef AEGIS_WORKER_INJECT_H
#define AEGIS_WORKER_INJECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/span.h"

struct credential;
struct worker_target;

struct inject_request {
	struct span method, target;
	struct span headers; /* "name: value\r\n"... of the agent */
	uint64_t body_len;   /* BODY_LEN_UNKNOWN: chunked */
	struct span body;    /* what follows the head at once; may be empty */
	const struct worker_target *to;
	uint64_t signed_s; /* of a webhook: the time that is signed */
	const char
	    *ws_key; /* of a request for a WebSocket: Sec-WebSocket-Key, else NULL */
};

/*
 * 0 when the parts of a request can stand in a head: method and names are tokens, target
 * begins with a slash (or is * for OPTIONS) and holds no blank, values hold no control
 * characters. -1 otherwise. They were judged, but came by way of the gate.
 */
int inject_check(const struct inject_request *);

/*
 * Writes head and body to out. Fields that carry credentials, name a host or frame the
 * message are the worker's to set; the agent's are dropped, as is any with the name of
 * the credential's header. Answers are asked for without compression, so that they can be
 * searched. Returns the length, or -1 when cap is too small.
 */
ssize_t inject_build(
    const struct inject_request *, const struct credential *, uint8_t *out, size_t cap);

/* Octets that inject_build() needs at most. */
size_t inject_size(const struct inject_request *, const struct credential *);

/*
 * Builds the whole in locked memory, passes it to fn from octet `skip` on, wipes it.
 * Returns what fn returned, or -100 when there was no memory.
 */
#define INJECT_FAILED (-100)
ssize_t inject_send(const struct inject_request *, const struct credential *, size_t skip,
    ssize_t (*fn)(const void *p, size_t len, void *arg), void *arg);

#endif
