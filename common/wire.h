/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded reader and writer of the messages between processes. Every process uses it;
 * the reader trusts nothing of what it reads. All integers are in network order; a string
 * or blob is a 32-bit length and its octets.
 */
#ifndef AEGIS_WIRE_H
#define AEGIS_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

struct secret;

#define WIRE_MAX_FDS 4

struct wire_w {
	uint8_t *p;
	size_t len, cap;
	int fds[WIRE_MAX_FDS];
	unsigned nfds;
	int failed;
};

struct wire_r {
	uint8_t *p; /* writable, so that a secret can be wiped once it is taken out */
	size_t len, off;
	const int *fds;
	unsigned nfds, nextfd;
	int failed, no_memory; /* no_memory: for a secret */
};

void wire_put_u8(struct wire_w *, uint8_t);
void wire_put_u32(struct wire_w *, uint32_t);
void wire_put_u64(struct wire_w *, uint64_t);
void wire_put_fix(struct wire_w *, const void *, size_t);
void wire_put_span(struct wire_w *, struct span, size_t max);
void wire_put_str(struct wire_w *, struct span, size_t max);
void wire_put_secret(struct wire_w *, const struct secret *, size_t max);
void wire_put_fd(struct wire_w *, int fd, int optional);

uint8_t wire_get_u8(struct wire_r *);
uint32_t wire_get_u32(struct wire_r *);
uint64_t wire_get_u64(struct wire_r *);
void wire_get_fix(struct wire_r *, void *, size_t);
struct span wire_get_span(struct wire_r *, size_t max);
struct span wire_get_str(struct wire_r *, size_t max);
struct secret *wire_get_secret(struct wire_r *, size_t max);
int wire_get_fd(struct wire_r *, int optional);

#endif
