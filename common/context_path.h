/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as a policy needs them: lexically normalised, compared component by component.
 * The judge runs this on what agents wrote; the master on what the configuration lists.
 * Whatever two programs could read in two ways is refused. Pure functions.
 */
#ifndef AEGIS_COMMON_CONTEXT_PATH_H
#define AEGIS_COMMON_CONTEXT_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

#define CONTEXT_PATH_MAX 4096 /* of a path with its NUL; longer ones are refused */

struct context_path {
	bool relative;
	size_t len;
	char text[CONTEXT_PATH_MAX +
	    1]; /* "/a/b", "/" or, relative, "/a/b" below somewhere */
};

/* Without white space and control characters at both ends, as trim() of common languages
 * leaves it. */
struct span context_trim(struct span);

/*
 * Normalises a path: ".", "//" and a trailing "/" go. NULL, or why it is refused: empty,
 * too long; a ".." component, also with blanks around it or in characters that
 * compatibility normalisation (NFKC) turns into dots; white space at an end; control
 * characters; backslashes; "~" or a "$VARIABLE" in front; a scheme or drive ("file:",
 * "C:"); percent escapes of ".", "/", "\", NUL or "%"; characters that normalisation
 * turns into separators.
 */
const char *context_path_read(struct span, struct context_path *);

/*
 * Would a program take this text, of an argument nobody said is a path, for one that
 * leads somewhere else? It begins with "/", "\", "~", "$NAME", a drive or "file:", has a
 * ".." component or an escape of one. http and https URLs are none.
 */
bool context_path_like(struct span);

/*
 * As administrators write it in a list: absolute, "*" within components, a last "*" or
 * "**" component means everything below, as none does. NULL, or why not.
 */
const char *context_path_pattern(struct span, struct context_path *);
/* Does the (normalised) pattern cover the path or something above it? fold: ASCII letters
 * in either case. */
bool context_path_match(const char *pattern, const struct context_path *, bool fold);
/* Does some component of the path, or a row of them, match "a" or "a/b", in either case?
 */
bool context_path_has(const char *components, const struct context_path *);

#endif
