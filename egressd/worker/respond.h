/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent gets to see of an answer's head, and the answers that the worker words
 * itself. Egress worker; heads are hostile.
 */
#ifndef AEGIS_WORKER_RESPOND_H
#define AEGIS_WORKER_RESPOND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/http1.h"

#define RESPOND_HEADERS_MAX 32768 /* proxy_head.headers */

/* Limits for the heads of upstreams. */
extern const struct http1_limits respond_limits;

/*
 * Writes the fields of a head that may be passed on, as "name: value\r\n"...: all but
 * hop-by-hop fields, those that Connection names, cookies, the proxy's authentication and
 * framing (which is the gate's; Content-Length stays in answers that have no body by
 * rule, to HEAD and 304). The octets end up with agents; search them first. Returns the
 * length, or -1 when cap is too small.
 */
ssize_t respond_headers(const struct http1_head *, char *out, size_t cap);

/* Why a final head cannot be passed on, or NULL. 1xx are the caller's. */
const char *respond_refuse(const struct http1_head *);

/* One member of a made answer beside "error". */
struct respond_kv {
	const char *key;
	const char *value; /* NULL: left out */
};

/* {"error":error, members...}; 0 or -1 without memory. */
int respond_made(struct buf *out, const char *error, const struct respond_kv *, size_t n);

#endif
