/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table of byte classes for everything that reads HTTP/1.1 text
 * (http1.c, http1_chunk.c, target.c), so that all agree on what a byte may be.
 */
#ifndef AEGIS_COMMON_HTTP1_CLASS_H
#define AEGIS_COMMON_HTTP1_CLASS_H

#include <stdbool.h>
#include <stdint.h>

#define HTTP1_C_TOKEN 0x01  /* tchar, RFC 9110 5.6.2 */
#define HTTP1_C_VALUE 0x02  /* field-vchar, SP, HTAB, obs-text, RFC 9110 5.5 */
#define HTTP1_C_TARGET 0x04 /* visible ASCII without "#<>\^`{|} */
#define HTTP1_C_DIGIT 0x08
#define HTTP1_C_HEX 0x10
#define HTTP1_C_NAME 0x20 /* letter, digit, - _ . as in a host name */

extern const uint8_t http1_class[256];

/* True if byte c belongs to any of the classes in mask. */
static inline bool
http1_is(char c, uint8_t mask)
{
	return (http1_class[(unsigned char)c] & mask) != 0;
}

/* Value of a hexadecimal digit; c must be one. */
static inline unsigned
http1_hex(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

#endif
