/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To which methods and paths a credential is limited, whatever its own rights are: a
 * token that may do everything, lent read-only. Three texts of administrators, sealed
 * with the credential. The judge refuses by them and explains; the worker, which puts the
 * secret into the request, refuses by those that vault sealed.
 *
 * Paths are globs over the whole path, escapes decoded: one star is anything but a slash,
 * two are anything; two behind a last slash are what is before it, and everything below.
 * What is denied counts before what is allowed, and in upper and lower case alike.
 */
#ifndef AEGIS_COMMON_ACCESS_H
#define AEGIS_COMMON_ACCESS_H

#include <stddef.h>

#include "common/span.h"

#define ACCESS_METHODS_MAX 64 /* octets of the text */
#define ACCESS_PATHS_MAX 1000
#define ACCESS_GLOBS_MAX 32 /* in one list */
#define ACCESS_GLOB_MAX 160 /* octets of one */

struct access;

/*
 * A comma separated list as it is sealed: methods in capitals, blanks gone, no doubles.
 * "none" and "" are "", no limit. NULL, or what is wrong, for a message that begins with
 * what the list is; then out is void.
 */
const char *access_methods_text(struct span, char *out, size_t size);
const char *access_paths_text(struct span, char *out, size_t size);

/* From three such texts. NULL: one is none, or no memory. Free with access_free. */
struct access *access_new(
    struct span methods, struct span allow_paths, struct span deny_paths);
void access_free(struct access *);

enum access_verdict { ACCESS_GOOD, ACCESS_METHOD, ACCESS_PATH };

/*
 * target: the upstream's path, with or without a query, as it is sent; headers as they
 * are sent, "name: value\r\n"... *why, when not NULL: what might have turned the request
 * into another.
 */
enum access_verdict access_check(const struct access *, struct span method,
    struct span target, struct span headers, const char **why);

#endif
