/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request target of the gate, /{service}/path?query.  gated splits with
 * it, judge checks with it again what it decides on; written by agents.
 *
 * A path passes only if every reader sees the same one: the path as sent, the
 * path decoded once, and the path decoded once more by a careless upstream
 * must have the same segments.  So what passes is forwarded byte for byte.
 */
#ifndef AEGIS_COMMON_TARGET_H
#define AEGIS_COMMON_TARGET_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/host.h"
#include "common/span.h"

#define TARGET_SERVICE_MAX 64

enum target_err {
	TARGET_OK = 0,
	TARGET_ERR_FORM = -1,      /* does not begin with a slash, or a forbidden byte */
	TARGET_ERR_TRAVERSAL = -2, /* a segment is . or .. in any disguise */
	TARGET_ERR_NUL = -3,       /* NUL, raw or escaped */
	TARGET_ERR_AMBIGUOUS = -4, /* escaped / or \, raw \, double escapes of anything,
				      escaped controls, escapes that are not UTF-8 */
	TARGET_ERR_ESCAPE = -5,    /* % not followed by two hex digits */
	TARGET_ERR_NO_SERVICE = -6,
	TARGET_ERR_SERVICE = -7, /* service is not [A-Za-z0-9_-]{1,64} */
};

struct target {
	struct span service;
	struct span path;  /* as received, without the service; "/" if nothing was left */
	struct span query; /* as received, without the question mark */
	bool has_query;    /* there was a question mark */
};

/*
 * Split and check a request target in origin form.  Paths are refused before
 * services, so /../x is a traversal.  The spans point into s, path perhaps into
 * static memory.  0 or a negative enum target_err.
 */
int target_parse(const char *s, size_t len, struct target *out);

/*
 * The same checks for an upstream path (with optional query) that comes without
 * a service, as the MCP tool takes it: fills path and query only.
 */
int target_parse_upstream(const char *s, size_t len, struct target *out);

/*
 * Write path[?query], the target to send upstream, without NUL.  Returns its
 * length, or -1 if it is longer than cap.
 */
ssize_t target_upstream(const struct target *t, char *out, size_t cap);

/*
 * Decode the escapes of a checked path once, for matching policies; the result
 * is UTF-8 without controls.  No NUL is added; len bytes always suffice.
 * Returns the length, or -1 if it does not fit or an escape is malformed.
 */
ssize_t target_path_decode(struct span path, char *out, size_t cap);

#define TARGET_READINGS_MAX 8

/*
 * A path as servers may read it, none twice: first with its escapes decoded once; then as
 * those do that take several slashes for one and cut off what follows a semicolon in a
 * segment, and those that take an escaped ? or # for the end of the path. What rules say
 * of a path has to hold however it is read.
 */
struct target_readings {
	struct span as[TARGET_READINGS_MAX];
	size_t n;
	char decoded[8192], plain[8192]; /* as points into these */
};

/* Those of a checked path. 0, or -1 if it does not fit or an escape is malformed. */
int target_read(struct span path, struct target_readings *);

/* Text for people. */
const char *target_strerror(int err);

#endif
