/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the arguments of a tool call the way a policy needs them: commands as words,
 * URLs reduced to their host. The input is an agent's and hostile; whatever two programs
 * could read in two ways is refused here. Pure functions. Judge only.
 */
#ifndef AEGIS_JUDGE_CONTEXT_ARGS_H
#define AEGIS_JUDGE_CONTEXT_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/host.h"
#include "common/json.h"
#include "common/span.h"

#define CONTEXT_TEXT_MAX 32768 /* of a command with its arguments */
#define CONTEXT_WORDS_MAX 1024

/* The host of an http or https URL, in the one spelling of host_normalise(). NULL, or why
 * it is refused. */
const char *context_url_host(struct span url, char host[static HOST_MAX], bool *address);

/*
 * Would a program take this text, of an argument nobody said is a URL, for one? It begins
 * with a scheme and "://", or with "//" or "\\\\", or it is one word that holds "://".
 */
bool context_url_like(struct span);

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

#endif
