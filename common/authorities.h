/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificate authorities from a file that the master has opened: workers and vault, on
 * what the operator named.
 */
#ifndef AEGIS_AUTHORITIES_H
#define AEGIS_AUTHORITIES_H

#include <openssl/x509_vfy.h>

/* Adds every certificate of a PEM file, which is closed. 0, or -1 when there is none. */
int authorities_load(X509_STORE *, int fd);

#endif
