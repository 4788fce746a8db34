/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal text (RFC 4648 section 8). Runs in every process on bytes from anybody. */
#ifndef AEGIS_COMMON_HEX_H
#define AEGIS_COMMON_HEX_H

#include <stddef.h>
#include <sys/types.h>

/* Writes 2n lower-case digits and a NUL. Returns 2n, or -1 when cap is too small. */
ssize_t hex_encode(const void *in, size_t n, char *out, size_t cap);

/*
 * Decodes len digits of either case. Returns the number of bytes, or -1 for an odd
 * length, another character, or more than cap bytes.
 */
ssize_t hex_decode(const char *in, size_t len, void *out, size_t cap);

#endif
