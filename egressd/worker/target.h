/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a request may go: the authority against the list of domains sealed with the
 * credential, and the addresses behind it against what must never get a credential. Runs
 * in the egress worker; the authority was judged already, and is checked again here
 * because this process holds the secret.
 */
#ifndef AEGIS_WORKER_TARGET_H
#define AEGIS_WORKER_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/host.h"
#include "common/span.h"

struct credential;

#define ADDRESSES_MAX 16

struct address {
	union {
		struct sockaddr sa;
		struct sockaddr_storage ss;
	} u;
	socklen_t len;
};

struct worker_target {
	char host[HOST_MAX]; /* as host_normalise() wrote it */
	enum host_kind kind;
	uint16_t port;
	bool tls;
	bool allow_private;
};

enum target_verdict {
	TARGET_GOOD = 0,
	TARGET_BAD_AUTHORITY = -1,
	TARGET_NOT_ALLOWED = -2 /* no pattern of the credential covers it */
};

/*
 * Reads an authority and checks it against the credential's domains. A pattern without a
 * port covers the port sealed with the credential (443 for https) and no other.
 */
enum target_verdict worker_target(
    struct worker_target *, const struct credential *, struct span authority);

/*
 * The addresses of a `resolved` message that a credential may travel to, in order.
 * Returns how many; *refused counts the others. -1: the message is malformed.
 */
int target_addresses(const struct worker_target *, struct span octets,
    struct address out[ADDRESSES_MAX], unsigned *refused);

/* The address of a target that is a literal; 1, or 0 when it is refused. */
int target_literal(const struct worker_target *, struct address *);

/* "host:port" with brackets where needed; returns out. */
const char *target_text(const struct worker_target *, char *out, size_t size);
/* An address as text, without the port. */
const char *address_text(const struct address *, char *out, size_t size);

/* What the last address was that was refused: "loopback" and so on. */
const char *target_rule(void);

#endif
