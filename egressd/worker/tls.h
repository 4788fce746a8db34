/* SPDX-License-Identifier: Apache-2.0 */
/* The TLS settings of the egress worker: whom it believes, which versions it speaks. */
#ifndef AEGIS_WORKER_TLS_H
#define AEGIS_WORKER_TLS_H

struct ssl_ctx_st;
struct ssl_session_st;
struct worker_conf;

/*
 * TLS 1.2 and 1.3 with verified peers. Certificate authorities come from the bundle of
 * the configuration, or from a directory of hashed names (read while connecting), by
 * default the system's. Called before the process is boxed. NULL with *why.
 */
struct ssl_ctx_st *worker_tls_new(const struct worker_conf *, const char **why);

/*
 * on_session gets every session that an upstream offers for resumption, with the arg of
 * worker_tls_owner(), and returns 1 when it keeps it.
 */
void worker_tls_on_session(
    struct ssl_ctx_st *, int (*on_session)(void *arg, struct ssl_session_st *));
void worker_tls_owner(void *ssl, void *arg);

#endif
