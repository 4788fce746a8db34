/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision about one tool call: doc/contexts.md, after section 8.1 to 8.3 of the
 * protocol notes. A pure function of context, call and rate limits. Runs in the judge and
 * in tests.
 */
#ifndef AEGIS_JUDGE_CONTEXT_EVAL_H
#define AEGIS_JUDGE_CONTEXT_EVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/json.h"
#include "common/span.h"
#include "common/context.h"

struct context_call {
	struct span tool;
	const struct json_doc *doc;
	uint32_t args; /* an object, or JSON_NONE for no arguments at all */
};

struct context_verdict {
	bool allowed;
	unsigned code; /* 2000 to 2006 when not allowed */
	size_t cap;    /* which capability allowed it, or whose constraint failed */
	uint32_t retry_after;  /* seconds, with 2005 */
	uint64_t max_response; /* octets, 0: no limit of its own */
	char why[384];         /* which rule decided, for people */
};

/* 0: capability `cap` may be used once more. Else in how many seconds; CONTEXT_BUSY: when
 * one of the calls under way has ended. */
#define CONTEXT_BUSY UINT32_MAX
typedef uint32_t (*context_rate_fn)(size_t cap, void *arg);

/* Decides. rate may be NULL: limits are not looked at. Counts nothing: the caller does,
 * when the call is allowed. */
void context_eval(const struct context *, const struct context_call *,
    context_rate_fn rate, void *arg, struct context_verdict *);

/* What one entry or capability said about the call; for people who ask why. */
struct context_step {
	const struct context_deny *deny;      /* or */
	const struct context_capability *cap; /* one of the two */
	size_t index;
	enum {
		CONTEXT_STEP_PASSED, /* does not cover the call */
		CONTEXT_STEP_DENIES,
		CONTEXT_STEP_REFUSES, /* a constraint failed */
		CONTEXT_STEP_ALLOWS
	} result;
	const char *constraint;                /* which failed */
	const struct context_verdict *verdict; /* with REFUSES: code and why */
};
typedef void (*context_step_fn)(const struct context_step *, void *arg);

/* As context_eval(), and tells every step up to the one that decided. */
void context_eval_steps(const struct context *, const struct context_call *,
    context_rate_fn rate, void *arg, struct context_verdict *, context_step_fn,
    void *step_arg);

/* Some capability names the tool and no deny entry forbids it whatever its arguments. */
bool context_names_tool(const struct context *, struct span tool);

#endif
