/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the arguments of a tool call the way a policy needs them: paths lexically
 * normalised, commands as words, URLs reduced to their host. The input is an agent's and
 * hostile; whatever two programs could read in two ways is refused here. Pure functions.
 */
#ifndef AEGIS_JUDGE_CONTEXT_ARGS_H
#define AEGIS_JUDGE_CONTEXT_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/host.h"
#include "common/json.h"
#include "common/span.h"

#define CONTEXT_PATH_MAX 4096  /* of a path with its NUL; longer ones are refused */
#define CONTEXT_TEXT_MAX 32768 /* of a command with its arguments */
#define CONTEXT_WORDS_MAX 1024

struct context_list;

struct context_path {
	bool relative;
	size_t len;
	char text[CONTEXT_PATH_MAX +
	    1]; /* "/a/b", "/" or, relative, "/a/b" below somewhere */
};

/*
 * Normalises a path: ".", "//" and a trailing "/" go. NULL, or why it is refused: empty,
 * too long, a ".." component, a control character, a backslash, "~" in front, a scheme or
 * drive ("file:", "C:"), percent escapes of ".", "/", "\", NUL or "%".
 */
const char *context_path_read(struct span, struct context_path *);
/*
 * As administrators write it in a list: absolute, "*" within components, a last "*" or
 * "**" component means everything below, as none does. NULL, or why not.
 */
const char *context_path_pattern(struct span, struct context_path *);
/* Does the (normalised) pattern cover the path or something above it? */
bool context_path_match(const char *pattern, const struct context_path *);
/* Does some component of the path, or a row of them, match "a" or "a/b"? */
bool context_path_has(const char *components, const struct context_path *);

/* The host of an http or https URL, in the one spelling of host_normalise(). NULL, or why
 * it is refused. */
const char *context_url_host(struct span url, char host[static HOST_MAX], bool *address);

/* Words of a command: `command` split at blanks, then `args`. */
struct context_words {
	struct span v[CONTEXT_WORDS_MAX];
	size_t n;
	char text[CONTEXT_TEXT_MAX];
};

enum context_arg {
	CONTEXT_ARG_ABSENT = 0,
	CONTEXT_ARG_GOOD = 1,
	CONTEXT_ARG_BAD = -1 /* there, but it cannot be judged */
};

/*
 * Reads `command` (text or list) and `args` of an arguments object. BAD: wrong types, a
 * character with a meaning in a shell, control characters, or a second argument that
 * could carry a command as well (cmd, argv, script ...); *why says which.
 */
enum context_arg context_words_read(
    const struct json_doc *, uint32_t args, struct context_words *, const char **why);

/*
 * Walks every value of every argument that holds a path (or, the other function, a URL):
 * the usual names and those in `more`. fn gets the decoded text, or p NULL for a value
 * that is neither text nor a list of texts, or too long; it returns 0 to go on. Returns
 * how many values there were, or -1 when fn stopped it.
 */
typedef int (*context_value_fn)(struct span value, const char *name, void *arg);
int context_paths_each(const struct json_doc *, uint32_t args,
    const struct context_list *more, context_value_fn, void *arg);
int context_urls_each(const struct json_doc *, uint32_t args,
    const struct context_list *more, context_value_fn, void *arg);

#endif
