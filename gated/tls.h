/* SPDX-License-Identifier: Apache-2.0 */
/* The gate's own TLS: certificate and key from descriptors of the master. gated. */
#ifndef AEGIS_GATED_TLS_H
#define AEGIS_GATED_TLS_H

#include <stdbool.h>

struct stream;

/* Reads both (PEM) and closes them; before the process is boxed. 0 or -1. */
int tls_init_take(int cert_fd, int key_fd);
/* The same of a reload: kept aside. NULL, or what is wrong with them. */
const char *tls_stage_take(int cert_fd, int key_fd);
/* What was put aside counts for connections from now on; or is thrown away. */
void tls_commit(void);
void tls_forget(void);
bool tls_wanted(void);
/* The accepting side over fd. 0 or -1 (fd stays open). */
int tls_accept(struct stream *, int fd);
/* close_notify without closing. */
void tls_goodbye(struct stream *);

#endif
