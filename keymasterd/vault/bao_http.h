/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 with one OpenBao server: a few connections that are kept, a bounded queue, a
 * deadline for each request. Runs in a vault that is in front of OpenBao. The server is
 * believed what it says, once TLS has proved who it is, but not how: its answers are
 * parsed strictly and bounded.
 */
#ifndef AEGIS_VAULT_BAO_HTTP_H
#define AEGIS_VAULT_BAO_HTTP_H

#include <stdint.h>

#include "common/span.h"

struct secret;
struct ssl_ctx_st;

#define BAO_HTTP_QUEUE_MAX 256          /* requests that wait or are under way */
#define BAO_HTTP_BODY_MAX (512u * 1024) /* of an answer */

enum bao_outcome {
	BAO_ANSWERED, /* status and body are there */
	BAO_BUSY,     /* the queue is full: nothing was sent */
	BAO_UNSENT,   /* no connection: nothing of it reached the server */
	BAO_BROKEN,   /* the connection ended, or what came was no answer */
	BAO_LATE
};

struct bao_answer {
	enum bao_outcome outcome;
	int status;       /* HTTP's */
	struct span body; /* lives until the callback returns, and is wiped then */
	const char *text; /* what went wrong, for people */
};

typedef void (*bao_done_fn)(const struct bao_answer *, void *arg);

struct bao_request {
	const char *method;
	const char *path; /* begins with "/v1/"; the caller made it of safe characters */
	const char *ns;   /* X-Vault-Namespace, or NULL */
	const struct secret *token; /* or NULL */
	struct span body;           /* JSON, copied; may be empty */
	uint32_t timeout_ms;
	int once; /* never sent a second time, not even on a connection that was idle */
};

struct bao_http_conf {
	char addresses[4][46]; /* literal, IPv4 or IPv6 */
	unsigned naddresses;
	uint16_t port;
	char host[256];         /* for Host, and the name that TLS proves */
	struct ssl_ctx_st *tls; /* NULL: plain, over loopback */
};

/* Before anything else; the configuration is borrowed. */
void bao_http_setup(const struct bao_http_conf *);
/* done is called exactly once, perhaps before this returns. */
void bao_http_send(const struct bao_request *, bao_done_fn done, void *arg);
/* Closes everything; requests under way are BAO_BROKEN. */
void bao_http_close(void);

#endif
