/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timestamps of RFC 3339, strict, without the C library's time zones. Runs in every
 * process; the text may come from anybody.
 */
#ifndef AEGIS_COMMON_RFC3339_H
#define AEGIS_COMMON_RFC3339_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RFC3339_SIZE 32 /* enough for every formatted timestamp with its NUL */

/*
 * Parses YYYY-MM-DDTHH:MM:SS[.f{1,9}](Z|+hh:mm|-hh:mm), exactly len characters, T and Z
 * in upper case, seconds 0-59 (no leap seconds), a date that exists. *sec is the Unix
 * second the instant falls in, rounded down; *ns (may be NULL) the rest. Returns 0 or -1.
 */
int rfc3339_parse(const char *s, size_t len, int64_t *sec, uint32_t *ns);

/*
 * Formats UTC with 0, 3 or 6 fraction digits (ns cut off, not rounded) and Z. Returns the
 * length, or -1 for another number of digits, ns >= 10^9, a year outside 0-9999 or cap
 * too small.
 */
ssize_t rfc3339_format(int64_t sec, uint32_t ns, int digits, char *out, size_t cap);

/*
 * The start of a period as an operator types it: 2026-03-01 (midnight UTC), a timestamp
 * as above, or an age before now: a number and s, m, h, d or w. All in Unix seconds.
 * Returns 0 or -1.
 */
int since_parse(const char *s, int64_t now, int64_t *sec);

#endif
