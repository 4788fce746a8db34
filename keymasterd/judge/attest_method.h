/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a workload shows who it is: one file for each method. All of attest_methods[] must
 * agree, in this order. Judge only.
 */
#ifndef AEGIS_JUDGE_ATTEST_METHOD_H
#define AEGIS_JUDGE_ATTEST_METHOD_H

#include <stdint.h>

#include "common/span.h"

struct agent;
struct token;

struct attest_ask {
	struct span token;         /* as shown, blanks gone */
	uint64_t process;          /* process_seen's number; 0: not a local connection */
	struct token *found;       /* set by attest_by_token */
	const struct agent *agent; /* the same */
};

struct attest_method {
	const char *name;
	/* 0, or -1 with a sentence that may be told to whoever asks. */
	int (*check)(struct attest_ask *, const char **why);
};

/* attest_token.c: an agent's token, or that of a run. */
extern const struct attest_method attest_by_token;
/* attest_process.c: what the agent requires of the process that connected. */
extern const struct attest_method attest_by_process;

/* All of them. 0 or -1 as above. */
int attest_check(struct attest_ask *, const char **why);

#endif
