/* SPDX-License-Identifier: Apache-2.0 */
/* A self-signed certificate for local use, made by `aegis init --generate-cert`. */
#ifndef AEGIS_CERT_H
#define AEGIS_CERT_H

/*
 * Makes an ECDSA P-256 key (mode 0600) and a certificate (0644) for localhost, 127.0.0.1
 * and
 * ::1, good for 365 days. Neither file may exist. 0; -1 after saying why.
 */
int cert_generate(const char *cert_path, const char *key_path);

#endif
