/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the judge answers to HTTP itself: a table of method, path, who may ask, and the
 * function that answers. To add a path, add a row to api.c. Judge only.
 */
#ifndef AEGIS_JUDGE_API_H
#define AEGIS_JUDGE_API_H

#include <stdint.h>

#include "common/msg.h"
#include "common/span.h"
#include "keymasterd/judge/decide.h"
#include "keymasterd/judge/operator.h"

struct agent;

#define API_ARG_MAX 129
#define API_BODY_MAX 49152 /* octets of an answer */

enum api_who {
	API_ANYONE,   /* the handler decides */
	API_AGENT,    /* an agent's token: call->agent is set */
	API_READER,   /* an operator's token of any role: call->op is set */
	API_OPERATOR, /* of the roles operator and admin */
	API_ADMIN     /* of the role admin */
};

/*
 * One question. A handler ends it with decide_answer(), api_refuse() or seal_refuse(), at
 * once or later (then it copies what it needs: the message lives as long as the handler
 * runs). d->row is a decision with method, path, peer and, once known, tenant, agent or
 * operator; a handler that only reads public or the asker's own things may set kind 0.
 * Records of another tenant than call->tenant are answered as if they did not exist.
 */
struct api_call {
	struct decide *d;
	const struct msg_api_request *m;
	struct span query;
	char arg[API_ARG_MAX]; /* what stood for {...} in the path, percent-decoded */
	const struct agent *agent;
	const struct operator_who *op;
	const char *tenant; /* of agent or operator, else our own */
};

typedef void (*api_fn)(struct api_call *);

/* A path: {x} stands for one part of it. */
struct api_path {
	const char *method, *path;
	enum api_who who;
	api_fn fn;
};
/* Finds the path and answers, 404 and 405 too. What a handler of a permit table returns.
 */
int api_route(struct chan *, uint64_t reqid, const struct msg_api_request *,
    const struct api_path *, size_t n);

/* Ends the question with an error in the words of its client: SEAL's, which those of the
 * platform read as well, or {"error"}. code: enum seal_code, or an HTTP status. */
void api_refuse(struct decide *, unsigned code, const char *message);
/* A person's token is not good: 401 or 503, and why. */
void api_refuse_person(struct decide *, unsigned code, const char *why);

/* Ends it with a JSON text of at most API_BODY_MAX octets. */
void api_answer(struct decide *, uint32_t status, const void *json, size_t len);

/* The value of `name` in a query, percent-decoded into out. -1: absent or malformed. */
int api_query_get(struct span query, const char *name, char *out, size_t size);

#endif
