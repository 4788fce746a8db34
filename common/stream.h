/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A non-blocking byte stream: a TCP or UNIX socket, plain or under TLS. gated uses the
 * accepting side, the egress worker the connecting side. Never blocks, never raises
 * SIGPIPE.
 */
#ifndef AEGIS_STREAM_H
#define AEGIS_STREAM_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct ssl_ctx_st;

struct stream {
	int fd;
	void *ssl;      /* SSL *, NULL: plain */
	int want_write; /* TLS wants to write before it can go on reading, or the reverse
			 */
	int want_read;
	int handshaken;
};

/* Results besides a positive count. */
#define STREAM_AGAIN (-1) /* wait for readiness (see stream_events) */
#define STREAM_ERROR (-2)
#define STREAM_EOF 0

void stream_plain(struct stream *, int fd);
/* TLS over fd; server != 0: accept, else connect to `name` (SNI and verified name). */
int stream_tls(
    struct stream *, int fd, struct ssl_ctx_st *, int server, const char *name);
/* Drives the handshake: 1 done, STREAM_AGAIN, STREAM_ERROR (stream_error has the reason).
 */
int stream_handshake(struct stream *);
ssize_t stream_read(struct stream *, void *, size_t);
ssize_t stream_write(struct stream *, const void *, size_t);
ssize_t stream_writev(struct stream *, const struct iovec *, int n);
/* libevent's EV_READ/EV_WRITE that make progress possible, given what the caller wants.
 */
short stream_events(const struct stream *, short wanted);
/* Octets already decrypted that no event will announce. */
size_t stream_pending(const struct stream *);
/* Why the last call failed, for logs; never holds data of the stream. */
const char *stream_error(const struct stream *);
/* Says goodbye (TLS close_notify, once, without waiting) and closes. */
void stream_close(struct stream *);

#endif
