/* SPDX-License-Identifier: Apache-2.0 */
/* What a tool server asks its proxy: the head of one CONNECT request. */
#ifndef AEGIS_TOOLEXEC_CONNECT_HEAD_H
#define AEGIS_TOOLEXEC_CONNECT_HEAD_H

#include <stddef.h>
#include <stdint.h>

#define CONNECT_HEAD_MAX 8192
#define CONNECT_AUTHORITY_MAX 300

enum connect_error {
	CONNECT_MALFORMED = -1,
	CONNECT_OTHER_METHOD = -2,
	CONNECT_TOO_LONG = -3
};

/*
 * Reads a request line CONNECT authority HTTP/1.x and its field lines (RFC 9112 2 and 3,
 * RFC 9110 9.3.6): lines end in CRLF, no folding, no control characters, one blank
 * between the parts. The authority is copied as it stands, with a NUL; the fields are
 * passed over. Returns the octets of the head, 0 when more are needed, or an enum
 * connect_error, which does not wait for the head to be whole.
 */
int connect_head(const uint8_t *p, size_t len, char authority[CONNECT_AUTHORITY_MAX + 1]);

#endif
